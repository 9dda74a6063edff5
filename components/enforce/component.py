"""The `enforce_gate` component."""

from kfp.dsl import HTML, Input

from modelway.components.core.artifacts import GateResult
from modelway.components.core.decorator import component


@component
def enforce_gate(
    gate: Input[GateResult],
    report: Input[HTML],
    project: str,
    contract: str,
    policy: str,
    run: str = "",
    store: str = "",
    run_name: str = "",
    git_commit: str = "",
    champion: str = "",
    requested_by: str = "",
) -> str:
    """Fails the run if a gate blocks, after recording the gate's reasons.

    A gate's own task always succeeds, since the report of a failed task would be lost. Tasks that must not run on a
    rejected input come after this one.

    Args:
        gate: The gate's checks.
        report: The gate's report.
        project: The project file: text or URI.
        contract: The contract file: text or URI.
        policy: The policy file: text or URI.
        run: The run's id.
        store: The root of the project's store. Empty: nothing is recorded.
        run_name: The run's display name.
        git_commit: The repository's commit.
        champion: The champion version compared with. Empty: none.
        requested_by: Who asked for the run.

    Returns:
        Output: The gate's verdict.
    """
    from modelway.components.enforce.stage import RunContext, enforce

    origin = {"name": run_name, "git_commit": git_commit, "champion": champion, "requested_by": requested_by}
    context = RunContext(run=run, store=store, **origin)
    files = {"project": project, "contract": contract, "policy": policy}
    return enforce(gate.path, report.path, files=files, context=context).verdict.value
