"""The stage's one function: records why a run is rejected, and ends it."""

from __future__ import annotations

from typing import NoReturn

from modelway.components.core.errors import ModelwayError
from modelway.components.core.project import Project
from modelway.components.core.records import DECISION, Outcome, State, keep_reports
from modelway.components.core.verdict import Gate


class RejectedError(ModelwayError):
    """A gate blocks: the run did what it should, and the model does not ship."""


def reject_run(reached: dict[str, tuple[str, str]], project: str, run: str, store: str, git_commit: str) -> NoReturn:
    """Records the gates' reasons in the store and ends the run with them.

    Args:
        reached: The paths of the JSON and the report of each gate that was reached, the blocking one last.
        project: The project file: its text, path or URI.
        run: The pipeline run's name.
        store: The root of the project's store.
        git_commit: The commit of the user's repository; empty if unknown.

    Raises:
        RejectedError: always, quoting the reasons.
    """
    described = Project.load(project)
    gates = tuple(Gate.read(gate) for gate, _ in reached.values())
    decision = Outcome(
        run=run,
        project=described.name,
        state=State.REJECTED,
        gates=gates,
        reports=keep_reports(store, run, {name: report for name, (_, report) in reached.items()}),
        git_commit=git_commit,
    )
    decision.write(store, DECISION)
    blocking = gates[-1]
    shown = "\n  - ".join(decision.reasons[:10])
    more = f"\n  and {len(decision.reasons) - 10} more" if len(decision.reasons) > 10 else ""
    raise RejectedError(
        f"rejected by the {blocking.name} gate:\n  - {shown}{more}\n ",
        file=decision.reports[blocking.name],
        remedy="read the report; correct the data or the model, or change the contract or the policy on purpose",
    )
