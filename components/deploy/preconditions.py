"""The preconditions of a deployment: image, signature, blessing, bill of materials, approvals and policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit.approvals import promotion_blockers
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.bundle.bundle import SBOM_FILE, Bundle, verify_bundle
from modelway.components.core.bundle.keys import VERIFYING_KEY, key_file
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.strictness import weaker_checks
from modelway.components.core.errors import (
    CredentialsError,
    ModelwayError,
    UnavailableError,
)
from modelway.components.core.oci.fetch import fetch_release
from modelway.components.core.oci.layout import Reference
from modelway.components.core.parsing import parse_json

_WATCHED = ("policy[deployment.", "policy[serving.")
_TRAFFIC = ".traffic]"  # of an environment, for the rest of which the stricter of both policies applies


def image_failures(version: ModelVersion, image: str, *, insecure: bool = False) -> list[str]:
    """Why an image is not the release of a version; empty if it is.

    Args:
        version: The version.
        image: The image by digest; empty: the one that `package_model` recorded.
        insecure: Whether to talk to the registry over plain HTTP.

    Raises:
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
    """
    failures: list[str] = []
    with _collecting_errors(failures):
        package_image = recorded_image(version)
        image = image or package_image
        if image.partition("@")[2] != package_image.partition("@")[2]:
            failures.append(f"the image is not the one that package_model recorded: it is {image}, not {package_image}")
    with _collecting_errors(failures):
        if image and not Reference.parse(image, "image").host:
            failures.append(f"the image is in a folder, from which a cluster cannot pull: {image}")
    key: Path | None = None
    with _collecting_errors(failures):
        key = key_file(VERIFYING_KEY)
    if image:
        with TemporaryDirectory() as work:
            with _collecting_errors(failures):
                bundle = Bundle(fetch_release(image, Path(work), insecure=insecure))
                if key is not None:
                    verify_bundle(bundle.folder, key)
                failures += _bundle_failures(bundle, version)
                if bundle.blessing_sha256() != open_version(version).blessing_sha256:
                    failures.append("the image holds another blessing than the version is registered with")
            failures = [failure.replace(f"{work}/", f"{image} /") for failure in failures]
    return failures


def policy_failures(released_policy: Policy, promoter_policy: Policy) -> list[str]:
    """In what the promoter's policy for rollouts and serving is weaker than the released one."""
    return [
        f"the promoter's policy is weaker than the released policy: "
        f"{check.name[len('policy[') : -1]} is {_text(check.observed)}, released with {_text(check.threshold)}"
        for check in weaker_checks(released_policy, promoter_policy)
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
    """All preconditions that a version fails in an environment, a sentence each; empty if it meets them.

    The image is as for `image_failures`. Without the promoter's policy, only the released one applies.

    Raises:
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
    """
    failures = image_failures(version, image, insecure=insecure)
    with _collecting_errors(failures):
        if policy is not None:
            failures += policy_failures(open_version(version).policy, policy)
    failures += promotion_blockers(version, environment, policy=policy)
    return tuple(dict.fromkeys(failures))


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bundle_failures(bundle: Bundle, version: ModelVersion) -> Iterator[str]:
    release = bundle.release()
    if (release.name, release.version) != (version.name, version.number):
        yield f"the image is of version {release.version} of {release.name}, not of {version}"
    try:
        kind = parse_json((bundle.folder / SBOM_FILE).read_bytes())["bomFormat"]
    except (OSError, ValueError, KeyError, TypeError):
        kind = None
    if kind != "CycloneDX":
        yield f"the image has no bill of materials: {SBOM_FILE} is missing or not CycloneDX"


@contextmanager
def _collecting_errors(failures: list[str]) -> Iterator[None]:
    """Collects an error of the release; unavailable services and refused access are no fault of it."""
    try:
        yield
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError as error:
        failures.append(error.message)
