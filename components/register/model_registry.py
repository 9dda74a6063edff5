"""Registers a blessed model in MLflow: as a version with evidence and aliases, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.addresses import without_secrets
from modelway.components.core.audit.environments import DEVELOPMENT, alias_of_blessed, periods
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError, UnavailableError, first_line
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BLESSING_FILE
from modelway.components.core.evidence.runs import DECISION, Outcome, RegisteredVersion, RunContext, State
from modelway.components.core.storage.mlflow import TAG, Tracking
from modelway.components.core.storage.run_files import record_file
from modelway.components.core.storage.uri import delete_uri
from modelway.components.core.termination import termination_deferred


@dataclass(frozen=True, kw_only=True)
class Training:
    """Where a model comes from.

    Attributes:
        run_id: The MLflow run that trained it.
        model_id: Its id in MLflow.
        source_version: The data sources' version when the run began.
        code_version: The hash of the library's and the user's own training code.
        data_version: The user's name for the data's version, if any.
    """

    run_id: str
    model_id: str
    source_version: str = ""
    code_version: str = ""
    data_version: str = ""


class _OvertakenError(Exception):
    """The same request was registered by another run meanwhile."""


@dataclass(frozen=True, kw_only=True)
class BlessedModel:
    """A model that every gate lets proceed, to be registered in MLflow and the audit log.

    Attributes:
        blessing: Its blessing.
        contents: The files that its blessing binds, by their names.
        reports: Where the gates' reports and the card are kept.
        training: Where it comes from.
        files: The project's three files.
        context: The run.
    """

    blessing: Blessing
    contents: Mapping[str, bytes]
    reports: Mapping[str, str]
    training: Training
    files: UserFiles
    context: RunContext

    def register(self, tracking: Tracking) -> RegisteredVersion:
        """Registers the model with evidence, audit log entry and aliases, unless it is registered already.

        A process that is told to end meanwhile does so afterwards: a model is registered whole or not at all.

        Raises:
            ModelwayError: it failed; no version is left, and the decision says so.
        """
        model = RegisteredModel(self.files.project.name, self.context.store, tracking)
        alias = alias_of_blessed(model, self.files.policy.registration.alias)
        registered = tracking.with_tag(model.name, "blessing", value=self.blessing.identity)
        if registered is None:
            with suppress(_OvertakenError), termination_deferred():
                return self._register_anew(model, alias)
            registered = tracking.with_tag(model.name, "blessing", value=self.blessing.identity)
        if registered is None:
            raise UnavailableError(
                "another run registered the same model, and failed in the end",
                value=model.name,
                remedy="run again",
            )
        version = model.version(str(registered.version))
        if registered.tags.get(f"{TAG}run") == self.context.run:  # cut off before the aliases
            with termination_deferred():
                return self._admit(version, alias, blessing_sha256=registered.tags[f"{TAG}blessing_sha256"])
        registration = self._registration(version, alias if model.version_with_alias(alias) == version else "")
        self._decision(registration).write(self.context.store, DECISION)
        return registration

    def _register_anew(self, model: RegisteredModel, alias: str) -> RegisteredVersion:
        folder = f"evidence/{self.blessing.sha256()[:16]}"  # of this run alone: another's may be of the same identity
        training, tracking, tags = self.training, model.tracking, self._tags(folder)
        with TemporaryDirectory() as work:
            for file, content in {**self.contents, BLESSING_FILE: self.blessing.content()}.items():
                (Path(work) / file).write_bytes(content)
            tracking.log_evidence(training.run_id, Path(work), path=folder)
        with tracking.new_version(model.name, training.model_id, run_id=training.run_id, tags=tags) as number:
            # MLflow numbers versions in order: of the same request twice at once, the first stays.
            first = tracking.with_tag(model.name, "blessing", value=self.blessing.identity)
            if first is None or str(first.version) != number:
                raise _OvertakenError
            return self._admit(model.version(number), alias, blessing_sha256=self.blessing.sha256())

    def _admit(self, version: ModelVersion, alias: str, *, blessing_sha256: str) -> RegisteredVersion:
        """Writes decision, audit log entry and aliases; the decision becomes a failure if another cannot be written."""
        registration, store = self._registration(version, alias), self.context.store
        decision = self._decision(registration)
        decision.write(store, DECISION)
        try:
            self._log(version, blessing_sha256)
            for name in dict.fromkeys((alias, DEVELOPMENT)):
                version.set_alias(name)
        except Exception as error:
            message = error.message if isinstance(error, ModelwayError) else first_line(error)
            failed = {"state": State.FAILED, "model": None, "error": f"registering failed: {message}"}
            try:
                decision.model_copy(update=failed).write(store, DECISION)
            except ModelwayError:  # the disk is full, say: no decision is left then that is not true
                delete_uri(record_file(store, decision.run, name=DECISION))
            raise
        return registration

    def _registration(self, version: ModelVersion, alias: str) -> RegisteredVersion:
        model_hash = self.blessing.hashes.model
        return RegisteredVersion(name=version.name, version=version.number, alias=alias, model_hash=model_hash)

    def _decision(self, registration: RegisteredVersion) -> Outcome:
        return Outcome(
            run=self.context.run,
            name=self.context.name,
            project=registration.name,
            state=State.REGISTERED,
            gates=self.blessing.gates,
            reports=dict(self.reports),
            model=registration,
            blessing=self.blessing.sha256(),
            git_commit=self.context.git_commit,
        )

    def _log(self, version: ModelVersion, blessing_sha256: str) -> None:
        """Logs that the version, with its blessing, came to development, unless that is the last entry there."""
        context = self.context
        served_periods = periods(version.model.audit_log.entries(), version.name, environment=DEVELOPMENT)
        if served_periods and served_periods[-1].version == version.number:
            return
        details = {"blessing_sha256": blessing_sha256, "run": context.run, "git_commit": context.git_commit}
        actor = context.requested_by or "modelway"
        version.log_event("registered", actor, environment=DEVELOPMENT, details=details)

    def _tags(self, evidence: str) -> dict[str, str]:
        """The version's tags, without our prefix; `evidence` is the folder of its evidence in MLflow."""
        blessing, training, context = self.blessing, self.training, self.context
        hashes = {f"{name}_hash": value for name, value in blessing.hashes.model_dump(exclude={"code"}).items()}
        return hashes | {
            "source_version": training.source_version,
            "code_version": training.code_version,
            "data_version": without_secrets(training.data_version),
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
