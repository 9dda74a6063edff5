"""The `record_outcome` component: the exit handler of every pipeline."""

from kfp.dsl import PipelineTaskFinalStatus

from modelway.components.core.image import component


@component
def record_outcome(
    status: PipelineTaskFinalStatus,
    project: str,
    run: str,
    store: str,
    git_commit: str = "",
) -> str:
    """Records what became of the run: registered, rejected or failed.

    Args:
        status: The orchestrator's word on the run.
        project: The project file: its text, or a URI.
        run: The pipeline run's name.
        store: The root of the project's store, where the outcome is kept.
        git_commit: The commit of the user's repository.

    Returns:
        Output: registered, rejected or failed.
    """
    from modelway.components.notify.outcome import record

    outcome = record(status.state, status.error_message or "", project, run, store, git_commit)
    return outcome.state.value
