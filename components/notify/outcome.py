"""The stage's one function: what became of a run, by our own records rather than by the orchestrator's word alone."""

from __future__ import annotations

from modelway.components.core.project import Project
from modelway.components.core.records import DECISION, LATEST, OUTCOME, Outcome, State
from modelway.components.core.storage import join, write_uri


def record(state: str, error: str, project: str, run: str, store: str, git_commit: str) -> Outcome:
    """Writes a run's outcome to the store.

    A recorded decision is what counts; the orchestrator's status says what happened where there is none, or where a
    later task failed.

    Args:
        state: The orchestrator's final state, such as ``SUCCEEDED``.
        error: Its error message, if any.
        project: The project file: its text, path or URI.
        run: The pipeline run's name.
        store: The root of the project's store.
        git_commit: The commit of the user's repository; empty if unknown.
    """
    decision = Outcome.read(store, run, DECISION)
    if decision is None:
        message = error or f"the run ended as {state} before a gate decided"
        name = Project.load(project).name
        outcome = Outcome(run=run, project=name, state=State.FAILED, error=message, git_commit=git_commit)
    elif decision.state is State.REGISTERED and state not in {"SUCCEEDED", "COMPLETE"}:
        failed = {"state": State.FAILED, "model": None, "error": error or f"the run ended as {state}"}
        outcome = decision.model_copy(update=failed)
    else:
        outcome = decision
    outcome.write(store, OUTCOME)
    write_uri(join(store, "runs", LATEST, OUTCOME), outcome.model_dump_json(indent=2).encode())
    return outcome
