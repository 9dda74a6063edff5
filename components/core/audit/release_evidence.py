"""What a registered version was released on: its blessing and policy, verified by the hashes that bind them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from pydantic import ValidationError

from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError, RejectedError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BLESSING_FILE, POLICY_FILE
from modelway.components.core.storage.mlflow import TAG


@dataclass(frozen=True)
class ReleaseEvidence:
    """What a registered version was released on.

    Attributes:
        blessing: Its blessing.
        blessing_sha256: The SHA-256 of the blessing's bytes.
        policy: The policy that it was judged by.
    """

    blessing: Blessing
    blessing_sha256: str
    policy: Policy


def release_evidence(version: ModelVersion) -> ReleaseEvidence:
    """A version's blessing and policy, as they were registered.

    Raises:
        NotFoundError: the version is not registered, or its evidence is missing.
        DamagedError: its evidence was changed.
        RejectedError: it is not blessed.
    """
    versions = version.model.tracking.versions(version.name)
    entry = next((candidate for candidate in versions if str(candidate.version) == version.number), None)
    if entry is None:
        raise NotFoundError(
            f"{version.name} has no version {version.number}",
            value=version.number,
            remedy="`modelway history` and MLflow's registry list the versions",
        )
    texts = {file: version.evidence(file) for file in (BLESSING_FILE, POLICY_FILE)}
    blessing_text, policy_text = texts[BLESSING_FILE], texts[POLICY_FILE]
    if blessing_text is None or policy_text is None:
        missing = " and ".join(file for file, content in texts.items() if content is None)
        raise _invalid(NotFoundError, version, problem=f"has no {missing} in its evidence")
    sha256 = hashlib.sha256(blessing_text).hexdigest()
    if sha256 != entry.tags.get(f"{TAG}blessing_sha256"):
        raise _invalid(DamagedError, version, problem="was registered with another blessing than is stored with it")
    try:
        blessing = Blessing.model_validate_json(blessing_text)
    except ValidationError as error:
        raise _invalid(DamagedError, version, problem="has a blessing that cannot be read") from error
    if hashlib.sha256(policy_text).hexdigest() != blessing.hashes.policy:
        raise _invalid(DamagedError, version, problem="was judged by another policy than is stored with it")
    if not blessing.blessed:
        raise _invalid(
            RejectedError, version, problem=f"is not blessed: {'; '.join(blessing.reasons) or blessing.verdict}"
        )
    return ReleaseEvidence(blessing, sha256, Policy.parse(policy_text, f"{POLICY_FILE} of version {version.number}"))


def _invalid(kind: type[ModelwayError], version: ModelVersion, *, problem: str) -> ModelwayError:
    return kind(
        f"{version} {problem}",
        value=version.number,
        remedy="release again; only a blessed version with complete evidence can be promoted",
    )
