"""What a registered version was released on: its blessing and its policy, checked against the hashes that bind them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from modelway.components.core.blessing import BLESSING_FILE, Blessing
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError, RejectedError
from modelway.components.core.policy import Policy
from modelway.components.core.tracking import POLICY_FILE, TAG, Tracking


@dataclass(frozen=True)
class Released:
    """A registered version with the evidence that it was released on.

    Attributes:
        blessing: Its blessing.
        blessing_sha256: The hash of the blessing's bytes.
        policy: The policy that it was judged by.
    """

    blessing: Blessing
    blessing_sha256: str
    policy: Policy


def released(tracking: Tracking, model: str, version: str) -> Released:
    """A version's blessing and policy, as they were registered.

    Raises:
        NotFoundError: the version is not registered, or its evidence is missing.
        DamagedError: its evidence was changed.
        RejectedError: it is not blessed.
    """
    found = next((one for one in tracking.versions(model) if str(one.version) == version), None)
    if found is None:
        raise NotFoundError(
            f"{model} has no version {version}",
            value=version,
            remedy="`modelway history` and MLflow's registry list the versions",
        )
    texts = {file: tracking.evidence(model, version, file) for file in (BLESSING_FILE, POLICY_FILE)}
    blessing, policy = texts[BLESSING_FILE], texts[POLICY_FILE]
    if blessing is None or policy is None:
        missing = " and ".join(file for file, content in texts.items() if content is None)
        raise _evidence(NotFoundError, model, version, f"has no {missing} among its evidence")
    sha256 = hashlib.sha256(blessing).hexdigest()
    if sha256 != found.tags.get(f"{TAG}blessing_sha256"):
        problem = "was registered with another blessing than the one that is kept with it"
        raise _evidence(DamagedError, model, version, problem)
    try:
        given = Blessing.model_validate_json(blessing)
    except ValidationError as error:
        raise _evidence(DamagedError, model, version, "has a blessing that cannot be read") from error
    if hashlib.sha256(policy).hexdigest() != given.hashes.policy:
        raise _evidence(DamagedError, model, version, "was judged by another policy than the one that is kept with it")
    if not given.blessed:
        reasons = "; ".join(given.reasons) or given.verdict
        raise _evidence(RejectedError, model, version, f"is not blessed: {reasons}")
    return Released(given, sha256, Policy.parse(policy, f"{POLICY_FILE} of version {version}"))


def _evidence(kind: type[ModelwayError], model: str, version: str, problem: str) -> ModelwayError:
    return kind(
        f"version {version} of {model} {problem}",
        value=version,
        remedy="release a version again; only one whose evidence is whole and blessed goes further",
    )
