"""The stage's one function: binds the evidence to the model and registers both, or neither."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit import AuditLog
from modelway.components.core.blessing import BLESSING_FILE, GATES, Blessing, Hashes, bless
from modelway.components.core.card import Card, render_card
from modelway.components.core.contract import Contract
from modelway.components.core.environments import DEVELOPMENT, alias_of_blessed, periods
from modelway.components.core.errors import ModelwayError
from modelway.components.core.models import folder_sha256
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.records import (
    DECISION,
    Outcome,
    RegisteredModel,
    State,
    keep_blessing,
    keep_reports,
    request_hash,
)
from modelway.components.core.tracking import POLICY_FILE, TAG, Tracking
from modelway.components.core.verdict import Gate
from modelway.components.core.waivers import lapsed


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


@dataclass(frozen=True)
class Provenance:
    """Where a model comes from, as far as the run knows.

    Attributes:
        run: The pipeline run's name.
        run_id: The MLflow run that trained the model.
        model_id: The model's id in MLflow.
        data_version: What the source was when the run was asked for.
        code_version: The hash of the user's own training code; empty without.
        git_commit: The commit of the user's repository; empty if unknown.
        champion: The version that the model was compared with; empty: there was none.
        requested_by: Who asked for the run; empty if unknown.
    """

    run: str
    run_id: str
    model_id: str
    data_version: str
    code_version: str
    git_commit: str
    champion: str
    requested_by: str = ""


@dataclass(frozen=True)
class Registration:
    """The registered version, and the blessing and the model card that it was registered with."""

    model: RegisteredModel
    blessing: Blessing
    card: Card


def register(
    model_path: str, evidence: Evidence, provenance: Provenance, project: str, contract: str, policy: str, store: str
) -> Registration:
    """Registers a model that every gate lets proceed, with the evidence, and gives it the policy's alias.

    It is in the audit log then, and what development has. The same evidence for the same model gives the version that
    it gave before, so that running again changes nothing.

    Args:
        model_path: The model's folder.
        evidence: The gates' files.
        provenance: Where the model comes from.
        project: The project file: its text, path or URI.
        contract: The contract file, likewise.
        policy: The policy file, likewise.
        store: The root of the project's store.

    Raises:
        ModelwayError: a gate blocks, a waiver holds no more, or the evidence is of another model, project, contract or
            policy.
    """
    described, asked, rules = Project.load(project), Contract.load(contract), Policy.load(policy)
    gates, model_hash = evidence.read(), folder_sha256(model_path)
    _check(gates, model_hash, described, asked, rules)
    hashes = Hashes(
        model=model_hash,
        data=str(gates[0].facts["data_hash"]),
        project=described.sha256(),
        contract=asked.sha256(),
        policy=rules.sha256(),
        code=provenance.code_version,
        request=request_hash(described, asked, rules, provenance.data_version, provenance.code_version),
    )
    blessing = bless(
        gates,
        hashes,
        project=described.name,
        run=provenance.run,
        git_commit=provenance.git_commit,
        requested_by=provenance.requested_by,
        compared_with=provenance.champion,
    )
    card = render_card(blessing, described)
    tracking = Tracking.from_environment()
    alias = alias_of_blessed(tracking, described.name, rules.registration.alias)
    reports = keep_reports(store, provenance.run, evidence.reports) | keep_blessing(store, blessing, card)

    def registered(version: str, kept: str) -> Registration:
        model = RegisteredModel(name=described.name, version=version, alias=alias, model_hash=model_hash)
        decision = Outcome(
            run=provenance.run,
            project=described.name,
            state=State.REGISTERED,
            gates=gates,
            reports=reports,
            model=model,
            blessing=blessing.sha256(),
            git_commit=provenance.git_commit,
        )
        decision.write(store, DECISION)
        _log(AuditLog(store, tracking), model, blessing, kept)
        for name in dict.fromkeys((alias, DEVELOPMENT)):
            tracking.give_alias(described.name, version, name)
        return Registration(model, blessing, card)

    same = tracking.with_tag(described.name, "blessing", blessing.identity)
    if same is not None:
        return registered(str(same.version), same.tags[f"{TAG}blessing_sha256"])
    folder = f"evidence/{blessing.identity[:16]}"
    texts = {"project.json": described.canonical(), "contract.json": asked.canonical(), POLICY_FILE: rules.canonical()}
    texts |= {BLESSING_FILE: blessing.content().decode(), "card.md": card.markdown, "card.html": card.page}
    with TemporaryDirectory() as work:
        for name, path in evidence.files.items():
            shutil.copyfile(path, Path(work) / name)
        for name, text in texts.items():
            (Path(work) / name).write_text(text, encoding="utf-8")
        tracking.log_evidence(provenance.run_id, Path(work), folder)
    tags = {f"{name}_hash": value for name, value in hashes.model_dump(exclude={"code"}).items()} | {
        "code_version": provenance.code_version,
        "compared_with": provenance.champion,
        "blessing": blessing.identity,
        "blessing_sha256": blessing.sha256(),
        "evidence": folder,
        "run": provenance.run,
        "git_commit": provenance.git_commit,
        "requested_by": provenance.requested_by,
        "image": blessing.image,
    }
    with tracking.new_version(described.name, provenance.model_id, provenance.run_id, tags) as version:
        return registered(version, blessing.sha256())


def _log(log: AuditLog, model: RegisteredModel, blessing: Blessing, kept: str) -> None:
    """Writes into the audit log that a version, with the blessing that it is kept with, came to development."""
    now = periods(log.entries(), model.name, DEVELOPMENT)
    if not now or now[-1].version != model.version:
        known = {"blessing_sha256": kept, "run": blessing.run, "git_commit": blessing.git_commit}
        actor = blessing.requested_by or "modelway"
        log.append("registered", actor, model=model.name, version=model.version, environment=DEVELOPMENT, details=known)


def _check(gates: tuple[Gate, ...], model_hash: str, project: Project, contract: Contract, policy: Policy) -> None:
    """Refuses evidence that does not bless this model under these rules."""
    for gate in gates:
        if not gate.proceed:
            raise ModelwayError(
                f"the {gate.name} gate blocks this model: {gate.reasons[0]}",
                value=gate.verdict,
                remedy="only a model that every gate lets proceed is registered; see the gate's report",
            )
        for check in lapsed(gate, policy.waivers):
            raise ModelwayError(
                f"{check.name} was let pass by a waiver that does not hold: {check.waiver}",
                key="waivers",
                value=check.name,
                remedy="renew the waiver in the policy, or mend what it is about; then run again",
            )
    data, model, serving = gates
    expected = (
        (data, "contract_hash", contract.sha256()),
        (data, "policy_hash", policy.sha256()),
        (model, "policy_hash", policy.sha256()),
        (model, "project_hash", project.sha256()),
        (model, "model_hash", model_hash),
        (serving, "policy_hash", policy.sha256()),
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
