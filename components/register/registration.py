"""The stage's one function: binds the evidence to the model and registers both, or neither."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.contract import Contract
from modelway.components.core.errors import ModelwayError
from modelway.components.core.models import folder_sha256
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.records import DECISION, Outcome, RegisteredModel, State, keep_reports, request_hash
from modelway.components.core.tracking import BASELINE_FILE, Tracking
from modelway.components.core.verdict import Gate


@dataclass(frozen=True)
class Evidence:
    """What a model is blessed by: the files that the gates wrote.

    Attributes:
        data_gate: The data gate, as JSON.
        model_gate: The model gate, as JSON.
        data_report: The data gate's page.
        model_report: The model gate's page.
        baseline: The training split's statistics.
    """

    data_gate: str
    model_gate: str
    data_report: str
    model_report: str
    baseline: str

    @property
    def files(self) -> dict[str, Path]:
        """Each file by the name that it is kept under."""
        return {
            "data.json": Path(self.data_gate),
            "model.json": Path(self.model_gate),
            "data.html": Path(self.data_report),
            "model.html": Path(self.model_report),
            BASELINE_FILE: Path(self.baseline),
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
    """

    run: str
    run_id: str
    model_id: str
    data_version: str
    code_version: str
    git_commit: str
    champion: str


def register(
    model_path: str, evidence: Evidence, provenance: Provenance, project: str, contract: str, policy: str, store: str
) -> RegisteredModel:
    """Registers a model that every gate lets proceed, with the evidence, and gives it the policy's alias.

    The same evidence for the same model gives the version that it gave before, so that running again changes nothing.

    Args:
        model_path: The model's folder.
        evidence: The gates' files.
        provenance: Where the model comes from.
        project: The project file: its text, path or URI.
        contract: The contract file, likewise.
        policy: The policy file, likewise.
        store: The root of the project's store.

    Raises:
        ModelwayError: a gate blocks, or the evidence is of another model, project, contract or policy.
    """
    described, asked, rules = Project.load(project), Contract.load(contract), Policy.load(policy)
    gates = (Gate.read(evidence.data_gate), Gate.read(evidence.model_gate))
    model_hash = folder_sha256(model_path)
    _check(gates, model_hash, described, asked, rules)
    tags = {
        "request_hash": request_hash(described, asked, rules, provenance.data_version, provenance.code_version),
        "model_hash": model_hash,
        "data_hash": str(gates[0].facts["data_hash"]),
        "project_hash": described.sha256(),
        "contract_hash": asked.sha256(),
        "policy_hash": rules.sha256(),
        "code_version": provenance.code_version,
        "compared_with": provenance.champion,
    }
    blessing = hashlib.sha256("\n".join(f"{key} {tags[key]}" for key in sorted(tags)).encode()).hexdigest()
    tracking, alias = Tracking.from_environment(), rules.registration.alias
    reports = keep_reports(store, provenance.run, {"data": evidence.data_report, "model": evidence.model_report})

    def record(version: str) -> RegisteredModel:
        registered = RegisteredModel(name=described.name, version=version, alias=alias, model_hash=model_hash)
        decision = Outcome(
            run=provenance.run,
            project=described.name,
            state=State.REGISTERED,
            gates=gates,
            reports=reports,
            model=registered,
            git_commit=provenance.git_commit,
        )
        decision.write(store, DECISION)
        return registered

    same = tracking.with_tag(described.name, "blessing", blessing)
    if same is not None:
        registered = record(str(same.version))
        tracking.give_alias(described.name, registered.version, alias)
        return registered
    folder = f"evidence/{blessing[:16]}"
    with TemporaryDirectory() as work:
        for name, path in evidence.files.items():
            shutil.copyfile(path, Path(work) / name)
        tracking.log_evidence(provenance.run_id, Path(work), folder)
    tags |= {
        "blessing": blessing,
        "evidence": folder,
        "run": provenance.run,
        "git_commit": provenance.git_commit,
        "image": os.environ.get("MODELWAY_IMAGE", f"modelway {installed_version('modelway')}"),
    }
    with tracking.new_version(described.name, provenance.model_id, provenance.run_id, tags) as version:
        registered = record(version)
        tracking.give_alias(described.name, version, alias)
    return registered


def _check(gates: tuple[Gate, Gate], model_hash: str, project: Project, contract: Contract, policy: Policy) -> None:
    """Refuses evidence that does not bless this model under these rules."""
    for gate in gates:
        if not gate.proceed:
            raise ModelwayError(
                f"the {gate.name} gate blocks this model: {gate.reasons[0]}",
                value=gate.verdict,
                remedy="only a model that every gate lets proceed is registered; see the gate's report",
            )
    expected = (
        (gates[0], "contract_hash", contract.sha256()),
        (gates[0], "policy_hash", policy.sha256()),
        (gates[1], "policy_hash", policy.sha256()),
        (gates[1], "project_hash", project.sha256()),
        (gates[1], "model_hash", model_hash),
    )
    for gate, name, wanted in expected:
        if gate.facts.get(name) != wanted:
            raise ModelwayError(
                f"the {gate.name} gate judged under another {name.removesuffix('_hash')} than is to be registered",
                key=name,
                value=gate.facts.get(name),
                remedy="run the release pipeline again from its gates",
            )
