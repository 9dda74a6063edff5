"""The `reject` component."""

from typing import Optional

from kfp.dsl import HTML, Input

from modelway.components.core.artifacts import GateResult
from modelway.components.core.image import component


@component
def reject(
    data_gate: Input[GateResult],
    data_report: Input[HTML],
    project: str,
    contract: str,
    policy: str,
    run: str,
    store: str,
    git_commit: str = "",
    champion: str = "",
    requested_by: str = "",
    model_gate: Optional[Input[GateResult]] = None,  # noqa: UP045 - KFP understands Optional only
    model_report: Optional[Input[HTML]] = None,  # noqa: UP045
    serving_gate: Optional[Input[GateResult]] = None,  # noqa: UP045
    serving_report: Optional[Input[HTML]] = None,  # noqa: UP045
) -> None:
    """Fails the run with the reasons of the gate that blocks it, after recording them.

    Args:
        data_gate: The data gate's checks.
        data_report: The data gate's report.
        project: The project file: its text, or a URI.
        contract: The contract file: its text, or a URI.
        policy: The policy file: its text, or a URI.
        run: The pipeline run's name.
        store: The root of the project's store, where the decision and the reports are kept.
        git_commit: The commit of the user's repository.
        champion: The champion's registry version that was compared with. Empty: there was none.
        requested_by: Who asked for the run.
        model_gate: The model gate's checks, if the run got so far.
        model_report: The model gate's report, if the run got so far.
        serving_gate: The serving gate's checks, if the run got so far.
        serving_report: The serving gate's report, if the run got so far.
    """
    from modelway.components.rejection.record import Asked, reject_run

    found = {
        "data": (data_gate, data_report),
        "model": (model_gate, model_report),
        "serving": (serving_gate, serving_report),
    }
    reached = {name: (gate.path, report.path) for name, (gate, report) in found.items() if gate and report}
    reject_run(reached, Asked(project, contract, policy, run, git_commit, champion, requested_by), store)
