"""The `probe_model` component."""

from typing import NamedTuple

from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from modelway.components.core.artifacts import GateResult
from modelway.components.core.decorator import component


@component
def probe_model(
    model: Input[Model],
    test_data: Input[Dataset],
    project: str,
    policy: str,
    gate: Output[GateResult],
    metrics: Output[Metrics],
    report: Output[HTML],
    model_hash: str = "",
    as_of: str = "",
) -> NamedTuple("Outputs", [("verdict", str), ("proceed", bool)]):  # type: ignore[valid-type]
    """Judges how a model serves: starts the real server and sends it real rows, malformed requests and timed load.

    Args:
        model: The model's folder, in MLflow's format.
        test_data: The test split.
        project: The project file: text or URI.
        policy: The policy file: text or URI.
        model_hash: The SHA-256 of the trained model's folder. Empty: not compared.
        as_of: The ISO day to judge waivers at. Empty: today.

    Returns:
        gate: All checks with their verdicts, as JSON.
        metrics: Latencies, throughput and memory with thresholds, and counts of checks.
        report: The report for people.
        verdict: passed, failed or inconclusive.
        proceed: Whether no check blocks.
    """
    from modelway.components.core.artifacts import write_comparison
    from modelway.components.probe.stage import dashboard_metrics, probe

    result = probe(
        model.path,
        test_data.path,
        project_text=project,
        policy_text=policy,
        model_hash=model_hash,
        as_of=as_of,
        report_path=report.path,
    ).model_copy(update={"report": report.uri})
    result.write(gate.path)
    write_comparison(metrics, result, policy=policy, measurements=dashboard_metrics(result))
    return (result.verdict.value, result.proceed)
