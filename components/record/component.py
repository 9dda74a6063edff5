"""The `record_outcome` component: the exit handler of every pipeline."""

from kfp.dsl import Markdown, Output

from modelway.components.core.decorator import component


@component
def record_outcome(
    goal: str,
    run: str,
    store: str,
    summary: Output[Markdown],
    project: str = "",
    model: str = "",
    run_name: str = "",
    git_commit: str = "",
    reason: str = "",
) -> str:
    """Records the run's outcome, by what its stages recorded, with a summary for people.

    Args:
        goal: How far the pipeline goes: registered, packaged, staging, or promoted.
        run: The run's id.
        store: The root of the project's store.
        project: The project file of a release: its text, or a URI.
        model: The registered model's name, of a promotion.
        run_name: The run's display name.
        git_commit: The repository's commit.
        reason: Why the run was started.

    Returns:
        summary: The outcome and its reasons, with every check that did not pass.
        Output: registered, rejected, stopped or failed; of a promotion promoted, undone or refused too.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.record.stage import RunContext, as_markdown, record

    context = RunContext(run=run, store=store, name=run_name, git_commit=git_commit, reason=reason)
    outcome = record(goal, context=context, project=project, model=model)
    write_texts({summary.path: as_markdown(outcome)})
    return outcome.state.value
