"""The stage's function: records a run's outcome, by the records that its stages left.

An orchestrator reports how tasks ended and not what the gates decided, and some report a run's end too early. So what
counts is what the stages recorded under the run's id, compared with how far the pipeline goes.
"""

from __future__ import annotations

from contextlib import suppress
from typing import get_args

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.explanation import as_markdown
from modelway.components.core.evidence.runs import (
    DECISION,
    LATEST,
    OUTCOME,
    Attempt,
    DeploymentRecord,
    Goal,
    Outcome,
    PackageRecord,
    RunContext,
    State,
    stop_state,
)
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.uri import join, write_uri

__all__ = ["RunContext", "as_markdown", "record"]

_NO_DECISION = "the run ended before a gate decided; the task that failed says why in its log"
_NO_PROMOTION = "the run ended before the version was promoted, undone or refused; `modelway history` says what serves"


def record(goal: str, *, context: RunContext, project: str = "", model: str = "") -> Outcome:
    """Writes a run's outcome to the store.

    Args:
        goal: How far the pipeline goes.
        context: The run.
        project: The project file of a release: its text, path or URI.
        model: The registered model's name, of a promotion.

    Raises:
        ModelwayError: the goal is unknown, a record is damaged, or the store cannot be read or written.
    """
    if goal not in get_args(Goal):
        raise ModelwayError(
            f"no pipeline has the goal {goal!r}",
            key="goal",
            value=goal,
            remedy=f"choose one of {', '.join(get_args(Goal))}",
        )
    package = PackageRecord.read(context.store, context.run)
    deployment = DeploymentRecord.read(context.store, context.run)
    previous = Outcome.read(context.store, context.run, file=OUTCOME)
    stop = StopRecord.read(context.store, context.run)
    if stop is not None and previous is not None and stop.at <= previous.at:
        stop = None  # it stopped an earlier attempt
    decision = Outcome.read(context.store, context.run, file=DECISION)
    if decision is None:
        state, error = State.FAILED, _NO_PROMOTION if goal == "promoted" else _NO_DECISION
        if stop is not None:
            state, error = stop_state(stop), stop.sentence
        decision = Outcome(run=context.run, project=model or _name(project), state=state, error=error)
    state, error = _end(goal, decision, package=package, deployment=deployment, stop=stop)
    attempts: tuple[Attempt, ...] = ()
    if previous is not None:
        attempts = (*previous.attempts, Attempt(state=previous.state, error=previous.error, at=previous.at))
    outcome = decision.model_copy(
        update={
            "name": context.name,
            "state": state,
            "error": error,
            "git_commit": context.git_commit,
            "request_reason": context.reason,
            "image": package.image if package is not None else "",
            "deployment": deployment,
            "attempts": attempts,
        }
    )
    outcome.write(context.store, OUTCOME)
    write_uri(join(context.store, "runs", LATEST, OUTCOME), outcome.model_dump_json(indent=2).encode())
    if outcome.project:
        _end_training(outcome)
    return outcome


def _end(
    goal: str,
    decision: Outcome,
    *,
    package: PackageRecord | None,
    deployment: DeploymentRecord | None,
    stop: StopRecord | None,
) -> tuple[State, str]:
    """Returns the run's state, and why it did not reach its goal."""
    if goal == "promoted" and deployment is not None:
        serves = deployment.verdict in {"promoted", "rolled-back"}
        return State.PROMOTED if serves else State(deployment.verdict), "; ".join(() if serves else deployment.reasons)
    if decision.state is not State.REGISTERED:
        return decision.state, decision.error
    why = f": {stop.sentence}" if stop is not None else ""
    if goal != "registered" and package is None:
        return State.REGISTERED, f"packaging did not finish{why}"
    if goal == "staging" and (deployment is None or deployment.verdict != "promoted"):
        return State.REGISTERED, deployment.sentence if deployment is not None else f"staging did not finish{why}"
    return State.REGISTERED, ""


def _name(project: str) -> str:
    """Returns the project's name; empty if its file cannot be read, which then is why the run failed."""
    with suppress(ModelwayError):
        return Project.load(project).name
    return ""


def _end_training(outcome: Outcome) -> None:
    """Ends MLflow runs that a killed task left; an MLflow error does not keep the outcome from being recorded."""
    is_stopped = outcome.state in {State.STOPPED, State.INTERRUPTED}
    with suppress(ModelwayError):
        Tracking.from_environment().end_unfinished(
            outcome.project, outcome.run, status="KILLED" if is_stopped else "FAILED"
        )
