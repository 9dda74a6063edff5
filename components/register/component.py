"""The `register_model` component."""

from kfp.dsl import HTML, Input, Model

from modelway.components.core.artifacts import Baseline, GateResult
from modelway.components.core.image import component


@component
def register_model(
    model: Input[Model],
    data_gate: Input[GateResult],
    model_gate: Input[GateResult],
    data_report: Input[HTML],
    model_report: Input[HTML],
    baseline: Input[Baseline],
    project: str,
    contract: str,
    policy: str,
    run: str,
    run_id: str,
    model_id: str,
    store: str,
    data_version: str = "",
    code_version: str = "",
    git_commit: str = "",
    champion: str = "",
) -> str:
    """Registers a blessed model in MLflow with its evidence, and gives it the policy's alias.

    Args:
        model: The model's folder, in MLflow's format.
        data_gate: The data gate's checks.
        model_gate: The model gate's checks.
        data_report: The data gate's report.
        model_report: The model gate's report.
        baseline: The training split's statistics, for later runs to compare with.
        project: The project file: its text, or a URI.
        contract: The contract file: its text, or a URI.
        policy: The policy file: its text, or a URI.
        run: The pipeline run's name.
        run_id: The MLflow run that trained the model.
        model_id: The model's id in MLflow.
        store: The root of the project's store, where the decision and the reports are kept.
        data_version: What the source was when the run was asked for.
        code_version: A hash of the user's own training code.
        git_commit: The commit of the user's repository.
        champion: The champion's registry version that the model was compared with. Empty: there was none.

    Returns:
        Output: The registered version.
    """
    from modelway.components.register.registration import Evidence, Provenance, register

    evidence = Evidence(data_gate.path, model_gate.path, data_report.path, model_report.path, baseline.path)
    provenance = Provenance(run, run_id, model_id, data_version, code_version, git_commit, champion)
    return register(model.path, evidence, provenance, project, contract, policy, store).version
