"""What a deployment has to show before anything is touched: image, signature, blessing, bill, approvals, policy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit.approvals import promotion_blockers
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.release_evidence import release_evidence
from modelway.components.core.bundle.bundle import SBOM_FILE, Bundle, verify_bundle
from modelway.components.core.bundle.signing import VERIFYING_KEY, key_file
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.strictness import weaker_checks
from modelway.components.core.errors import (
    CredentialsError,
    DamagedError,
    ModelwayError,
    NotFoundError,
    UnavailableError,
)
from modelway.components.core.oci.fetch import fetch_release
from modelway.components.core.oci.layout import Reference
from modelway.components.core.storage.uri import join, read_uri

_WATCHED = ("policy[deployment.", "policy[serving.")
_TRAFFIC = ".traffic]"  # of an environment, the rest of which is judged by both policies


def recorded_image(version: ModelVersion) -> str:
    """The image that `package_model` made of a version, by digest.

    Raises:
        NotFoundError: it made none.
        DamagedError: what it recorded is damaged.
    """
    file = join(version.store, "packages", version.name, f"{version.number}.json")
    try:
        return str(json.loads(read_uri(file))["image"])
    except NotFoundError as error:
        raise NotFoundError(
            f"{version} has not been packaged: no image of it is recorded",
            file=file,
            remedy="run `package_model` on it first",
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedError(
            f"{file} is damaged: it is not what `package_model` writes there",
            file=file,
            remedy="package the version again, which records the same image",
        ) from error


def image_problems(version: ModelVersion, image: str, *, insecure: bool = False) -> list[str]:
    """What is wrong with an image as the release of a version, a sentence each; none if it is that release.

    Args:
        version: The version.
        image: The image by digest; empty: as `package_model` recorded it.
        insecure: Whether the registry is spoken to by plain HTTP.

    Raises:
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
    """
    found: list[str] = []
    with _noting(found):
        recorded = recorded_image(version)
        image = image or recorded
        if image.partition("@")[2] != recorded.partition("@")[2]:
            found.append(f"the image is not the one that package_model recorded: it is {image}, and not {recorded}")
    with _noting(found):
        if image and not Reference.parse(image, "image").host:
            found.append(f"the image is in a folder, which no cluster pulls from: {image}")
    key: Path | None = None
    with _noting(found):
        key = key_file(VERIFYING_KEY)
    if image:
        with TemporaryDirectory() as work:
            with _noting(found):
                bundle = Bundle(fetch_release(image, Path(work), insecure=insecure))
                if key is not None:
                    verify_bundle(bundle.folder, key)
                found += _bundle_problems(bundle, version)
                if bundle.blessing_sha256() != release_evidence(version).blessing_sha256:
                    found.append("the image holds another blessing than the version is registered with")
            found = [one.replace(f"{work}/", f"{image} /") for one in found]
    return found


def policy_problems(before: Policy, brought: Policy) -> list[str]:
    """What a brought policy watches less closely than the one that the version was released with."""
    return [
        f"the policy that was brought asks less than the one that the version was released with: "
        f"{check.name[len('policy[') : -1]} is {_shown(check.observed)}, and was {_shown(check.threshold)}"
        for check in weaker_checks(before, brought)
        if check.blocks and (check.name.startswith(_WATCHED) or check.name.endswith(_TRAFFIC))
    ]


def precondition_failures(
    version: ModelVersion,
    environment: EnvironmentName,
    *,
    image: str = "",
    policy: Policy | None = None,
    insecure: bool = False,
) -> tuple[str, ...]:
    """Everything that keeps a version from an environment, a sentence each, found at once; none if nothing does.

    Args:
        version: The version.
        environment: Where it is to go.
        image: Its image by digest; empty: as `package_model` recorded it.
        policy: The promoter's policy; None: the released one alone counts.
        insecure: Whether the registry is spoken to by plain HTTP.

    Raises:
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
    """
    failures = image_problems(version, image, insecure=insecure)
    with _noting(failures):
        if policy is not None:
            failures += policy_problems(release_evidence(version).policy, policy)
    failures += promotion_blockers(version, environment, policy=policy)
    return tuple(dict.fromkeys(failures))


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bundle_problems(bundle: Bundle, version: ModelVersion) -> Iterator[str]:
    release = bundle.release()
    if (release.name, release.version) != (version.name, version.number):
        yield f"the image is of version {release.version} of {release.name}, and not of {version}"
    try:
        kind = json.loads((bundle.folder / SBOM_FILE).read_bytes())["bomFormat"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = None
    if kind != "CycloneDX":
        yield f"the image has no bill of materials: {SBOM_FILE} is missing or is none"


@contextmanager
def _noting(found: list[str]) -> Iterator[None]:
    """Notes an error that the user can put right; what is unreachable or refuses access says nothing of the release."""
    try:
        yield
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError as error:
        found.append(error.message)
