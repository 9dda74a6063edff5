"""The preconditions of a deployment: image, signature, blessing, bill of materials, approvals and policy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit.approvals import promotion_blockers
from modelway.components.core.audit.opened_version import Opening, opened, try_open
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.requirements import check_environment
from modelway.components.core.bundle.bundle import SBOM_FILE, Bundle, verify_bundle
from modelway.components.core.bundle.keys import VERIFYING_KEY, key_file, verifying_keys
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.strictness import weaker_checks
from modelway.components.core.errors import CredentialsError, ModelwayError, SetupError, UnavailableError
from modelway.components.core.oci.fetch import fetch_release
from modelway.components.core.oci.layout import Reference
from modelway.components.core.parsing import parse_json

_WATCHED = ("policy[deployment.", "policy[serving.")
_TRAFFIC = ".traffic]"  # of an environment, for the rest of which the stricter of both policies applies


def image_failures(
    version: ModelVersion, image: str, *, opening: Opening | None = None, insecure: bool = False
) -> list[str]:
    """Why an image is not the release of a version; empty if it is.

    Args:
        version: The version.
        image: The image by digest; empty: the one that `package_model` recorded.
        opening: What opening the version gave; None: it is opened here.
        insecure: Whether to talk to the registry over plain HTTP.

    Raises:
        SetupError: there is no key to verify it with, or it cannot be read.
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
        ModelwayError: what the caller names is no image by its digest.
    """
    key = key_file(VERIFYING_KEY)
    verifying_keys(key)
    if image:
        Reference.pinned(image, "image", title="image")
    failures: list[str] = []
    with _collecting_errors(failures):
        package_image = recorded_image(version)
        image = image or package_image
        if image.partition("@")[2] != package_image.partition("@")[2]:
            failures.append(f"the image is not the one that package_model recorded: it is {image}, not {package_image}")
    with _collecting_errors(failures):
        if image and not Reference.parse(image, "image").host:
            failures.append(f"the image is in a folder, from which a cluster cannot pull: {image}")
    if image:
        with TemporaryDirectory() as work:
            with _collecting_errors(failures):
                bundle = Bundle(fetch_release(image, Path(work), insecure=insecure))
                verify_bundle(bundle.folder, key)
                failures += _bundle_failures(bundle, version)
                if bundle.blessing_sha256() != opened(version, opening).blessing_sha256:
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
    opening: Opening | None = None,
    insecure: bool = False,
) -> tuple[str, ...]:
    """All preconditions that a version fails in an environment, a sentence each; empty if it meets them.

    Image and opening are as for `image_failures`. Without the promoter's policy, only the released one applies. What is
    wrong with the caller's own set-up is no failure of the version, and raised.

    Raises:
        SetupError: there is no key to verify the version with, or it cannot be read.
        UnavailableError: MLflow, the store or the registry cannot be reached.
        CredentialsError: one of them refuses access.
        ModelwayError: what the caller names is no image by its digest, or the promoter's policy lacks the environment.
    """
    if policy is not None:
        check_environment(policy, environment, origin="that the promoter brings")
    opening = opening or try_open(version)
    failures = [opening.message] if isinstance(opening, ModelwayError) else []
    failures += image_failures(version, image, opening=opening, insecure=insecure)
    with _collecting_errors(failures):
        if policy is not None:
            failures += policy_failures(opened(version, opening).policy, policy)
    failures += promotion_blockers(version, environment, policy=policy, opening=opening)
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
    """Collects an error of the release; services that are away or refuse, and the set-up, are no fault of it."""
    try:
        yield
    except (UnavailableError, CredentialsError, SetupError):
        raise
    except ModelwayError as error:
        failures.append(error.message)
