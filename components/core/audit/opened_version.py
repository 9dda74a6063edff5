"""The one way to a registered version's model and evidence: none is used that its blessing does not vouch for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog, not_witnessed
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project, Split
from modelway.components.core.errors import (
    CredentialsError,
    DamagedError,
    ModelwayError,
    NotFoundError,
    RejectedError,
    UnavailableError,
)
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BLESSING_FILE, CONTRACT_FILE, POLICY_FILE, PROJECT_FILE
from modelway.components.core.storage.mlflow import TAG, Tracking
from modelway.components.core.storage.models import folder_sha256


@dataclass(frozen=True)
class OpenedVersion:
    """A registered version whose evidence is what it was blessed with.

    Attributes:
        version: The version.
        blessing: Its blessing.
        blessing_sha256: The SHA-256 of the blessing's bytes.
        files: The evidence that the blessing binds, by the files' names, and the blessing itself. Of a version whose
            blessing does not bind all of it, what else is there too.
    """

    version: ModelVersion
    blessing: Blessing
    blessing_sha256: str
    files: Mapping[str, bytes]

    @cached_property
    def policy(self) -> Policy:
        """The policy that it was judged by.

        Raises:
            DamagedError: it cannot be read: another Modelway wrote it.
        """
        return Policy.parse(self.files[POLICY_FILE], f"{POLICY_FILE} of version {self.version.number}")

    @cached_property
    def split(self) -> Split | None:
        """How its rows were split; None: its project file is not kept, or another Modelway wrote it."""
        text = self.files.get(PROJECT_FILE)
        try:
            return None if text is None else Project.parse(text, PROJECT_FILE).data.split
        except DamagedError:
            return None

    @property
    def binds_all(self) -> bool:
        """Whether the blessing binds all evidence; older ones bound the model, the data and the three files."""
        return bool(self.blessing.evidence)

    def download(self, folder: str) -> Path:
        """Downloads the model's folder, which is what was blessed.

        Raises:
            DamagedError: it is not.
        """
        path = self.version.model.tracking.download_model(self.version.name, self.version.number, folder=folder)
        model_hash = folder_sha256(path)
        if model_hash != self.blessing.hashes.model:
            raise DamagedError(
                f"the model of {self.version} is not the one that was blessed: its SHA-256 is not "
                f"{self.blessing.hashes.model}",
                file=str(path),
                value=model_hash,
                remedy="see who can write to MLflow's artifact store; release the model again with `modelway run`",
            )
        return path


Opening = OpenedVersion | ModelwayError  # what opening a version gave, for all that a decision asks of it


def open_version(version: ModelVersion, blessing_sha256: str = "") -> OpenedVersion:
    """Opens a registered version: reads its evidence, and verifies all that its blessing binds.

    Args:
        version: The version.
        blessing_sha256: The hash that the blessing must have; empty: the one that MLflow has for the version.

    Raises:
        NotFoundError: the version is not registered, or its evidence is missing.
        DamagedError: its evidence was changed.
        RejectedError: it is not blessed.
    """
    registered = version.registered()
    files = version.model.tracking.evidence(version.name, version.number)
    missing = [name for name in (BLESSING_FILE, POLICY_FILE) if name not in files]
    if missing:
        raise _invalid(NotFoundError, version, problem=f"has no {' and '.join(missing)} in its evidence")
    sha256 = _sha256(files[BLESSING_FILE])
    if {sha256} != {registered.tags.get(f"{TAG}blessing_sha256"), blessing_sha256 or sha256}:
        raise _invalid(DamagedError, version, problem="was registered with another blessing than is stored with it")
    try:
        blessing = Blessing.model_validate_json(files[BLESSING_FILE])
    except ValidationError as error:
        raise _invalid(DamagedError, version, problem="has a blessing that cannot be read") from error
    hashes = blessing.evidence or {
        name: value
        for name, value in (
            (PROJECT_FILE, blessing.hashes.project),
            (CONTRACT_FILE, blessing.hashes.contract),
            (POLICY_FILE, blessing.hashes.policy),
        )
        if name in files
    }
    for name, value in hashes.items():
        if name not in files:
            raise _invalid(DamagedError, version, problem=f"was blessed with {name}, which is not in its evidence")
        if _sha256(files[name]) != value:
            raise _invalid(DamagedError, version, problem=f"was blessed with another {name} than is stored with it")
    if not blessing.blessed:
        raise _invalid(
            RejectedError, version, problem=f"is not blessed: {'; '.join(blessing.reasons) or blessing.verdict}"
        )
    if blessing.evidence:
        files = {name: files[name] for name in (BLESSING_FILE, *hashes)}
    return OpenedVersion(version, blessing, sha256, files)


def try_open(version: ModelVersion) -> Opening:
    """Opens a version as `open_version` does; returns the error where that is the version's own fault.

    Raises:
        UnavailableError: MLflow cannot be reached.
        CredentialsError: it refuses access.
    """
    try:
        return open_version(version)
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError as error:
        return error


def opened(version: ModelVersion, opening: Opening | None = None) -> OpenedVersion:
    """What opening a version gave; without an `opening` it is opened now.

    Raises:
        ModelwayError: it cannot be opened, as `open_version` says.
    """
    opening = opening or open_version(version)
    if isinstance(opening, ModelwayError):
        raise opening
    return opening


def open_champion(name: str, version: str, *, blessing_sha256: str) -> OpenedVersion | None:
    """Opens the version that a candidate is compared with, in MLflow as the environment names it.

    Args:
        name: The registered model's name.
        version: The version; empty: there is none.
        blessing_sha256: The hash of its blessing, by the audit log; empty: not compared.

    Raises:
        NotFoundError: the version is not registered, or its evidence is missing.
        DamagedError: its evidence was changed.
        RejectedError: it is not blessed.
    """
    if not version:
        return None
    model = RegisteredModel(name, store="", tracking=Tracking.from_environment())
    return open_version(model.version(version), blessing_sha256)


def registered_blessings(version: ModelVersion, entries: Iterable[Entry]) -> set[str]:
    """The hashes of the blessings that a version was registered with, by the audit log: one or none."""
    about = ("registered", version.name, version.number)
    return {
        entry.details.get("blessing_sha256", "")
        for entry in entries
        if (entry.event, entry.model, entry.version) == about
    }


def unwitnessed_registration(version: ModelVersion, log: VerifiedLog) -> int:
    """The number of the first entry by which a version was registered and that is not witnessed; 0: there is none."""
    about = [entry for entry in log.unwitnessed if registered_blessings(version, [entry])]
    return about[0].number if about else 0


def registration_problem(release: OpenedVersion, log: VerifiedLog) -> str:
    """Why a version may not be packaged, approved and promoted, a sentence; empty if it may.

    Args:
        release: The version, opened.
        log: The audit log.
    """
    version, blessings = release.version, registered_blessings(release.version, log.trusted)
    if not blessings:
        if number := unwitnessed_registration(version, log):
            return f"the registration of {version} does not count: {not_witnessed(number)}"
        return f"the audit log has no registration of {version}: no gate let it be registered"
    if blessings != {release.blessing_sha256}:
        return f"the audit log says that {version} was registered with another blessing than it has now"
    if not release.binds_all:
        return f"{version} was registered when a blessing did not bind all of its evidence: release it again"
    return ""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _invalid(kind: type[ModelwayError], version: ModelVersion, *, problem: str) -> ModelwayError:
    return kind(
        f"{version} {problem}",
        value=version.number,
        remedy="see who can write to MLflow, and release again: only what was blessed is used",
    )
