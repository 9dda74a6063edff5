"""The edge to MLflow's registry: a blessed model becomes a version with its evidence and aliases, or nothing does."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit.environments import DEVELOPMENT, alias_of_blessed, periods
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import BLESSING_FILE, Blessing
from modelway.components.core.evidence.model_card import Card
from modelway.components.core.evidence.runs import DECISION, Outcome, RegisteredVersion, RunContext, State
from modelway.components.core.storage.mlflow import POLICY_FILE, TAG, Tracking


@dataclass(frozen=True, kw_only=True)
class Training:
    """Where a model comes from.

    Attributes:
        run_id: The MLflow run that trained it.
        model_id: Its id in MLflow.
        source_version: What the data sources were when the run began.
        code_version: The hash of the library's and the user's own training code.
        data_version: What the user calls the data's version; empty without.
    """

    run_id: str
    model_id: str
    source_version: str = ""
    code_version: str = ""
    data_version: str = ""


@dataclass(frozen=True)
class BlessedModel:
    """A model that every gate lets proceed.

    Attributes:
        blessing: Its blessing.
        card: Its model card.
        reports: Where the gates' reports and the card are kept.
        training: Where it comes from.
        files: The project's three files.
        context: The run.
    """

    blessing: Blessing
    card: Card
    reports: Mapping[str, str]
    training: Training
    files: UserFiles
    context: RunContext

    def tags(self, evidence: str) -> dict[str, str]:
        """The tags of its version, without our prefix; `evidence` is the folder of its evidence in MLflow."""
        blessing, training, context = self.blessing, self.training, self.context
        hashes = {f"{name}_hash": value for name, value in blessing.hashes.model_dump(exclude={"code"}).items()}
        return hashes | {
            "source_version": training.source_version,
            "code_version": training.code_version,
            "data_version": training.data_version,
            "compared_with": context.champion,
            "blessing": blessing.identity,
            "blessing_sha256": blessing.sha256(),
            "evidence": evidence,
            "run": context.run,
            "run_name": context.name,
            "git_commit": context.git_commit,
            "requested_by": context.requested_by,
            "image": blessing.image,
        }

    def texts(self) -> dict[str, str]:
        """What it is blessed by beside the gates' own files, by the file's name."""
        return {
            "project.json": self.files.project.canonical(),
            "contract.json": self.files.contract.canonical(),
            POLICY_FILE: self.files.policy.canonical(),
            BLESSING_FILE: self.blessing.content().decode(),
            "card.md": self.card.markdown,
            "card.html": self.card.page,
        }


class ModelRegistry:
    """MLflow's registry and the audit log, as far as one blessed model is concerned.

    Args:
        tracking: MLflow.
        release: The blessed model.
    """

    def __init__(self, tracking: Tracking, release: BlessedModel) -> None:
        self._release = release
        self._model = RegisteredModel(release.files.project.name, release.context.store, tracking)
        self._alias = alias_of_blessed(self._model, release.files.policy.registration.alias)

    def register(self, evidence: Mapping[str, Path]) -> RegisteredVersion:
        """Registers the model with its evidence, its entry in the audit log and its aliases, or finds it registered.

        Args:
            evidence: The gates' files by the name that they are kept under.

        Raises:
            ModelwayError: one of it cannot be done; then no version is left, and the decision says so.
        """
        blessed_model, tracking = self._release, self._model.tracking
        registered = tracking.with_tag(self._model.name, "blessing", value=blessed_model.blessing.identity)
        if registered is not None:
            version = self._model.version(str(registered.version))
            if registered.tags.get(f"{TAG}run") == blessed_model.context.run:
                return self._admit(version, registered.tags[f"{TAG}blessing_sha256"])  # cut off before the aliases
            is_served = self._model.version_with_alias(self._alias) == version
            registration = self._registration(version, self._alias if is_served else "")
            self._decision(registration).write(blessed_model.context.store, DECISION)
            return registration
        folder = f"evidence/{blessed_model.blessing.identity[:16]}"
        with TemporaryDirectory() as work:
            for file, path in evidence.items():
                shutil.copyfile(path, Path(work) / file)
            for file, text in blessed_model.texts().items():
                (Path(work) / file).write_text(text, encoding="utf-8")
            tracking.log_evidence(blessed_model.training.run_id, Path(work), path=folder)
        training, tags = blessed_model.training, blessed_model.tags(folder)
        with tracking.new_version(self._model.name, training.model_id, run_id=training.run_id, tags=tags) as number:
            return self._admit(self._model.version(number), blessed_model.blessing.sha256())

    def _admit(self, version: ModelVersion, blessing_sha256: str) -> RegisteredVersion:
        """Writes the decision, which is taken back where the audit log or an alias cannot be written."""
        registration, store = self._registration(version, self._alias), self._release.context.store
        decision = self._decision(registration)
        decision.write(store, DECISION)
        try:
            self._log(version, blessing_sha256)
            for alias in dict.fromkeys((self._alias, DEVELOPMENT)):
                version.set_alias(alias)
        except ModelwayError as error:
            failed = {"state": State.FAILED, "model": None, "error": f"registering failed: {error.message}"}
            decision.model_copy(update=failed).write(store, DECISION)
            raise
        return registration

    def _registration(self, version: ModelVersion, alias: str) -> RegisteredVersion:
        model_hash = self._release.blessing.hashes.model
        return RegisteredVersion(name=version.name, version=version.number, alias=alias, model_hash=model_hash)

    def _decision(self, registration: RegisteredVersion) -> Outcome:
        release = self._release
        return Outcome(
            run=release.context.run,
            name=release.context.name,
            project=self._model.name,
            state=State.REGISTERED,
            gates=release.blessing.gates,
            reports=dict(release.reports),
            model=registration,
            blessing=release.blessing.sha256(),
            git_commit=release.context.git_commit,
        )

    def _log(self, version: ModelVersion, blessing_sha256: str) -> None:
        """Writes into the audit log that a version, with the blessing that it is kept with, came to development."""
        context = self._release.context
        served_periods = periods(self._model.audit_log.entries(), version.name, environment=DEVELOPMENT)
        if served_periods and served_periods[-1].version == version.number:
            return
        details = {"blessing_sha256": blessing_sha256, "run": context.run, "git_commit": context.git_commit}
        actor = context.requested_by or "modelway"
        version.log_event("registered", actor, environment=DEVELOPMENT, details=details)
