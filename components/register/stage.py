"""The stage's function: binds the evidence to the model, and registers both or neither."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modelway.components.core.checks import Gate
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.config.waivers import lapsed
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import GATES, Blessing, Hashes
from modelway.components.core.evidence.files import CARD_FILE, CARD_PAGE_FILE
from modelway.components.core.evidence.model_card import ModelCard
from modelway.components.core.evidence.rejection import reject
from modelway.components.core.evidence.runs import RegisteredVersion, RunContext, record_blessing, request_hash
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256
from modelway.components.register.model_registry import BlessedModel, Training

__all__ = ["Evidence", "RegistrationResult", "RunContext", "Training", "UserFiles", "register"]


@dataclass(frozen=True)
class Evidence:
    """What backs a blessing: the files that the gates wrote.

    Attributes:
        gates: Each gate by its name, as JSON.
        reports: Each gate's page.
        baseline: The folder of the training split's statistics and sample.
    """

    gates: dict[str, str]
    reports: dict[str, str]
    baseline: str

    @property
    def files(self) -> dict[str, Path]:
        """What is kept beside the blessing, but for the pages, by the name to keep it under."""
        return {
            **{f"{name}.json": Path(path) for name, path in self.gates.items()},
            **{path.name: path for path in sorted(Path(self.baseline).iterdir())},
        }


@dataclass(frozen=True)
class RegistrationResult:
    """The result of `register`: the registered version, its blessing and its card."""

    model: RegisteredVersion
    blessing: Blessing
    card: ModelCard


def register(
    model_path: str, evidence: Evidence, *, training: Training, files: UserFiles, context: RunContext
) -> RegistrationResult:
    """Registers a model that every gate lets proceed, with the evidence and the policy's alias.

    It is logged in the audit log, and becomes the version of development. A model of the same files, data, code and
    champion is registered only once: a repeated request returns its version, and no alias moves.

    Args:
        model_path: The model's folder.
        evidence: The gates' files.
        training: Where the model comes from.
        files: The project's three files.
        context: The run.

    Raises:
        RejectedError: a gate blocks; it is recorded with its reasons.
        ModelwayError: a waiver has ended, or the evidence is of another model, project, contract or policy.
    """
    gates = tuple(Gate.read(evidence.gates[name]) for name in GATES)
    model_hash = folder_sha256(model_path)
    _check_bindings(gates, model_hash, files=files)
    if not all(gate.proceed for gate in gates):
        reject(gates, evidence.reports, files=files, context=context)
    _check_waivers(gates, files)
    hashes = Hashes(
        model=model_hash,
        data=str(gates[0].facts["data_hash"]),
        **{name: document.sha256() for name, document in files.documents()},
        code=training.code_version,
        request=request_hash(files, source_version=training.source_version, code_version=training.code_version),
    )
    blessing, contents, reports = record_blessing(
        gates, hashes, reports=evidence.reports, evidence=evidence.files, files=files, context=context
    )
    blessed_model = BlessedModel(
        blessing=blessing, contents=contents, reports=reports, training=training, files=files, context=context
    )
    card = ModelCard(contents[CARD_FILE].decode(), contents[CARD_PAGE_FILE].decode())
    return RegistrationResult(blessed_model.register(Tracking.from_environment()), blessing, card)


def _check_waivers(gates: tuple[Gate, ...], files: UserFiles) -> None:
    """Raises if a check was let pass by a waiver that has ended or is not in the policy."""
    for check in (check for gate in gates for check in lapsed(gate, files.policy.waivers)):
        raise ModelwayError(
            f"{check.name} was let pass by a waiver that is not valid: {check.waiver}",
            key="waivers",
            value=check.name,
            remedy="renew the waiver in the policy, or correct what the check found; then run again",
        )


def _check_bindings(gates: tuple[Gate, ...], model_hash: str, *, files: UserFiles) -> None:
    """Raises if the evidence is not of this model under these files."""
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
    for gate, name, value in expected:
        if gate.facts.get(name) != value:
            raise ModelwayError(
                f"the {gate.name} gate judged another {name.removesuffix('_hash')} than the one to register",
                key=name,
                value=gate.facts.get(name),
                remedy="run the release pipeline again from its gates",
            )
