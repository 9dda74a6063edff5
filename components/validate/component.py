"""The `validate_data` component."""

from typing import NamedTuple

from kfp.dsl import HTML, Dataset, Input, Metrics, Output

from modelway.components.core.artifacts import BaselineResult, GateResult
from modelway.components.core.decorator import component


@component
def validate_data(
    train_data: Input[Dataset],
    test_data: Input[Dataset],
    serving_data: Input[Dataset],
    project: str,
    contract: str,
    policy: str,
    gate: Output[GateResult],
    baseline: Output[BaselineResult],
    metrics: Output[Metrics],
    report: Output[HTML],
    data_hash: str = "",
    champion: str = "",
    champion_blessing: str = "",
    as_of: str = "",
) -> NamedTuple("Outputs", [("verdict", str), ("proceed", bool)]):  # type: ignore[valid-type]
    """Judges the data by its contract, leakage, and its drift from the champion's data.

    Args:
        train_data: The training split.
        test_data: The test split.
        serving_data: The serving data; without rows: there is none.
        project: The project file: text or URI.
        contract: The contract file: text or URI.
        policy: The policy file: text or URI.
        data_hash: The SHA-256 of the source's content.
        champion: The champion version. Empty: none.
        champion_blessing: Its blessing's hash, by the audit log.
        as_of: The ISO day to judge waivers at. Empty: today.

    Returns:
        gate: All checks with their verdicts, as JSON.
        baseline: The training split's statistics and a sample, and hashes of all rows, for later runs.
        metrics: Counts of checks, and the worst drift and leakage.
        report: The report for people.
        verdict: passed, failed or inconclusive.
        proceed: Whether no check blocks.
    """
    from modelway.components.core.artifacts import write_comparison
    from modelway.components.validate.stage import validate

    result = validate(
        train_data.path,
        test_data.path,
        project_text=project,
        contract_text=contract,
        policy_text=policy,
        data_hash=data_hash,
        champion=champion,
        champion_blessing=champion_blessing,
        serving_path=serving_data.path,
        as_of=as_of,
        baseline_path=baseline.path,
        report_path=report.path,
    ).model_copy(update={"report": report.uri})
    result.write(gate.path)
    write_comparison(metrics, result, policy=policy, measurements={})
    return (result.verdict.value, result.proceed)
