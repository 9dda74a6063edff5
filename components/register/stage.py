"""The stage's one function: binds the evidence to the model and registers both, or neither."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit import AuditLog
from modelway.components.core.blessing import BLESSING_FILE, GATES, Blessing, Hashes, bless
from modelway.components.core.card import Card, render_card
from modelway.components.core.environments import DEVELOPMENT, alias_of_blessed, periods
from modelway.components.core.errors import ModelwayError
from modelway.components.core.models import folder_sha256
from modelway.components.core.records import (
    DECISION,
    Outcome,
    RegisteredModel,
    RunContext,
    State,
    keep_blessing,
    keep_reports,
    request_hash,
)
from modelway.components.core.rejection import reject
from modelway.components.core.tracking import POLICY_FILE, TAG, Tracking
from modelway.components.core.user_files import UserFiles
from modelway.components.core.verdict import Gate
from modelway.components.core.waivers import lapsed

__all__ = ["Evidence", "Registration", "RunContext", "Training", "UserFiles", "register"]


@dataclass(frozen=True)
class Evidence:
    """What a model is blessed by: the files that the gates wrote.

    Attributes:
        gates: Each gate by its name, as JSON.
        reports: Each gate's page.
        baseline: The folder of the training split's statistics and sample.
    """

    gates: dict[str, str]
    reports: dict[str, str]
    baseline: str

    def read(self) -> tuple[Gate, ...]:
        """The gates in the order of the road."""
        return tuple(Gate.read(self.gates[name]) for name in GATES)

    @property
    def files(self) -> dict[str, Path]:
        """Each file by the name that it is kept under."""
        return {
            **{f"{name}.json": Path(path) for name, path in self.gates.items()},
            **{f"{name}.html": Path(path) for name, path in self.reports.items()},
            **{path.name: path for path in sorted(Path(self.baseline).iterdir())},
        }


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
class Registration:
    """The registered version, and the blessing and the model card that it was registered with."""

    model: RegisteredModel
    blessing: Blessing
    card: Card


def register(
    model_path: str, evidence: Evidence, *, training: Training, files: UserFiles, context: RunContext
) -> Registration:
    """Registers a model that every gate lets proceed, with the evidence, and gives it the policy's alias.

    It is in the audit log then, and what development has. What was registered before, the same model by the same files,
    data, code and champion, is not registered again: its version is returned, and no alias moves.

    Args:
        model_path: The model's folder.
        evidence: The gates' files.
        training: Where the model comes from.
        files: The project's three files.
        context: The run.

    Raises:
        RejectedError: a gate blocks; it is recorded with its reasons.
        ModelwayError: a waiver holds no more, or the evidence is of another model, project, contract or policy.
    """
    gates, model_hash = evidence.read(), folder_sha256(model_path)
    _check_bindings(gates, model_hash, files)
    if not all(gate.proceed for gate in gates):
        reject(gates, evidence.reports, files=files, context=context)
    _check_waivers(gates, files)
    name = files.project.name
    request = {"source_version": training.source_version, "code_version": training.code_version}
    hashes = Hashes(
        model=model_hash,
        data=str(gates[0].facts["data_hash"]),
        **{kind: document.sha256() for kind, document in files.documents()},
        code=training.code_version,
        request=request_hash(files, **request),
    )
    blessing = bless(
        gates,
        hashes,
        project=name,
        run=context.run,
        git_commit=context.git_commit,
        requested_by=context.requested_by,
        compared_with=context.champion,
    )
    card = render_card(blessing, files.project)
    tracking = Tracking.from_environment()
    reports = keep_reports(context.store, context.run, evidence.reports)
    reports |= keep_blessing(context.store, blessing, card)

    def decided(version: str, alias: str) -> Registration:
        model = RegisteredModel(name=name, version=version, alias=alias, model_hash=model_hash)
        Outcome(
            run=context.run,
            name=context.name,
            project=name,
            state=State.REGISTERED,
            gates=gates,
            reports=reports,
            model=model,
            blessing=blessing.sha256(),
            git_commit=context.git_commit,
        ).write(context.store, DECISION)
        return Registration(model, blessing, card)

    def registered(version: str, blessing_sha256: str) -> Registration:
        alias = alias_of_blessed(tracking, name, files.policy.registration.alias)
        registration = decided(version, alias)
        _log(AuditLog(context.store, tracking), registration.model, blessing, blessing_sha256)
        for held in dict.fromkeys((alias, DEVELOPMENT)):
            tracking.give_alias(name, version, held)
        return registration

    same = tracking.with_tag(name, "blessing", blessing.identity)
    if same is not None and same.tags.get(f"{TAG}run") != context.run:
        return decided(str(same.version), "")
    if same is not None:  # this very run registered it, and may have been cut off before the aliases
        return registered(str(same.version), same.tags[f"{TAG}blessing_sha256"])
    folder = f"evidence/{blessing.identity[:16]}"
    _keep_evidence(tracking, training.run_id, folder, evidence=evidence, blessing=blessing, card=card, files=files)
    tags = {f"{kind}_hash": value for kind, value in hashes.model_dump(exclude={"code"}).items()} | {
        **request,
        "data_version": training.data_version,
        "compared_with": context.champion,
        "blessing": blessing.identity,
        "blessing_sha256": blessing.sha256(),
        "evidence": folder,
        "run": context.run,
        "run_name": context.name,
        "git_commit": context.git_commit,
        "requested_by": context.requested_by,
        "image": blessing.image,
    }
    with tracking.new_version(name, training.model_id, training.run_id, tags) as version:
        return registered(version, blessing.sha256())


def _keep_evidence(
    tracking: Tracking,
    run_id: str,
    folder: str,
    *,
    evidence: Evidence,
    blessing: Blessing,
    card: Card,
    files: UserFiles,
) -> None:
    """Uploads what the model is blessed by to the MLflow run that trained it."""
    texts = {
        "project.json": files.project.canonical(),
        "contract.json": files.contract.canonical(),
        POLICY_FILE: files.policy.canonical(),
        BLESSING_FILE: blessing.content().decode(),
        "card.md": card.markdown,
        "card.html": card.page,
    }
    with TemporaryDirectory() as work:
        for name, path in evidence.files.items():
            shutil.copyfile(path, Path(work) / name)
        for name, text in texts.items():
            (Path(work) / name).write_text(text, encoding="utf-8")
        tracking.log_evidence(run_id, Path(work), folder)


def _log(log: AuditLog, model: RegisteredModel, blessing: Blessing, blessing_sha256: str) -> None:
    """Writes into the audit log that a version, with the blessing that it is kept with, came to development."""
    periods_there = periods(log.entries(), model.name, DEVELOPMENT)
    if not periods_there or periods_there[-1].version != model.version:
        details = {"blessing_sha256": blessing_sha256, "run": blessing.run, "git_commit": blessing.git_commit}
        actor = blessing.requested_by or "modelway"
        log.append(
            "registered", actor, model=model.name, version=model.version, environment=DEVELOPMENT, details=details
        )


def _check_waivers(gates: tuple[Gate, ...], files: UserFiles) -> None:
    """Refuses what was let pass by a waiver that holds no more."""
    for check in (check for gate in gates for check in lapsed(gate, files.policy.waivers)):
        raise ModelwayError(
            f"{check.name} was let pass by a waiver that does not hold: {check.waiver}",
            key="waivers",
            value=check.name,
            remedy="renew the waiver in the policy, or mend what it is about; then run again",
        )


def _check_bindings(gates: tuple[Gate, ...], model_hash: str, files: UserFiles) -> None:
    """Refuses evidence that is not of this model under these files."""
    data, model, serving = gates
    expected = (
        (data, "contract_hash", files.contract.sha256()),
        (data, "policy_hash", files.policy.sha256()),
        (model, "policy_hash", files.policy.sha256()),
        (model, "project_hash", files.project.sha256()),
        (model, "model_hash", model_hash),
        (serving, "policy_hash", files.policy.sha256()),
        (serving, "model_hash", model_hash),
    )
    for gate, name, wanted in expected:
        if gate.facts.get(name) != wanted:
            raise ModelwayError(
                f"the {gate.name} gate judged under another {name.removesuffix('_hash')} than is to be registered",
                key=name,
                value=gate.facts.get(name),
                remedy="run the release pipeline again from its gates",
            )
