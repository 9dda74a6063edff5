"""The `register_model` component."""

from typing import NamedTuple

from kfp.dsl import HTML, Input, Markdown, Model, Output

from modelway.components.core.artifacts import BaselineResult, BlessingResult, GateResult
from modelway.components.core.decorator import component


@component
def register_model(
    model: Input[Model],
    data_gate: Input[GateResult],
    model_gate: Input[GateResult],
    serving_gate: Input[GateResult],
    data_report: Input[HTML],
    model_report: Input[HTML],
    serving_report: Input[HTML],
    baseline: Input[BaselineResult],
    project: str,
    contract: str,
    policy: str,
    run: str,
    run_id: str,
    model_id: str,
    store: str,
    blessing: Output[BlessingResult],
    model_card: Output[Markdown],
    model_card_page: Output[HTML],
    run_name: str = "",
    source_version: str = "",
    data_version: str = "",
    code_version: str = "",
    git_commit: str = "",
    champion: str = "",
    requested_by: str = "",
) -> NamedTuple("Outputs", [("name", str), ("version", str)]):  # type: ignore[valid-type]
    """Registers the model with its evidence in MLflow if every gate lets it proceed; else fails the run.

    The new version gets the policy's alias. A model of the same files, data, code and champion is registered only once:
    a repeated request returns its version, and no alias moves.

    Args:
        model: The model's folder, in MLflow's format.
        data_gate: The data gate's checks.
        model_gate: The model gate's checks.
        serving_gate: The serving gate's checks.
        data_report: The data gate's report.
        model_report: The model gate's report.
        serving_report: The serving gate's report.
        baseline: The training split's statistics and a sample.
        project: The project file: text or URI.
        contract: The contract file: text or URI.
        policy: The policy file: text or URI.
        run: The run's id.
        run_id: The MLflow run that trained the model.
        model_id: The model's id in MLflow.
        store: The root of the project's store.
        run_name: The run's display name.
        source_version: The sources' version when the run began.
        data_version: The user's name for the data's version.
        code_version: A hash of all training code.
        git_commit: The repository's commit.
        champion: The champion version compared with. Empty: none.
        requested_by: Who asked for the run.

    Returns:
        blessing: All checks of all gates, bound to the model by hashes.
        model_card: The model card.
        model_card_page: The model card as HTML.
        name: The registered model's name.
        version: The registered version.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.register.stage import Evidence, RunContext, Training, UserFiles, register

    gates = {"data": data_gate.path, "model": model_gate.path, "serving": serving_gate.path}
    reports = {"data": data_report.path, "model": model_report.path, "serving": serving_report.path}
    versions = {"source_version": source_version, "code_version": code_version, "data_version": data_version}
    registration = register(
        model.path,
        Evidence(gates, reports, baseline.path),
        training=Training(run_id=run_id, model_id=model_id, **versions),
        files=UserFiles.load(project=project, contract=contract, policy=policy),
        context=RunContext(
            run=run,
            store=store,
            name=run_name,
            git_commit=git_commit,
            requested_by=requested_by,
            champion=champion,
        ),
    )
    sha256 = registration.blessing.sha256()
    blessing.metadata.update({"blessed": registration.blessing.blessed, "sha256": sha256})
    card = {model_card.path: registration.card.markdown, model_card_page.path: registration.card.page}
    write_texts({blessing.path: registration.blessing.content().decode(), **card})
    return (registration.model.name, registration.model.version)
