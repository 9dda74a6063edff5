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
    run: str,
    store: str,
    git_commit: str = "",
    model_gate: Optional[Input[GateResult]] = None,  # noqa: UP045 - KFP understands Optional only
    model_report: Optional[Input[HTML]] = None,  # noqa: UP045
) -> None:
    """Fails the run with the reasons of the gate that blocks it, after recording them.

    Args:
        data_gate: The data gate's checks.
        data_report: The data gate's report.
        project: The project file: its text, or a URI.
        run: The pipeline run's name.
        store: The root of the project's store, where the decision and the reports are kept.
        git_commit: The commit of the user's repository.
        model_gate: The model gate's checks, if the run got so far.
        model_report: The model gate's report, if the run got so far.
    """
    from modelway.components.rejection.record import reject_run

    found = {"data": (data_gate, data_report), "model": (model_gate, model_report)}
    reached = {name: (gate.path, report.path) for name, (gate, report) in found.items() if gate and report}
    reject_run(reached, project, run, store, git_commit)
