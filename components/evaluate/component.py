"""The `evaluate_model` component."""

from typing import NamedTuple

from kfp.dsl import HTML, ClassificationMetrics, Dataset, Input, Metrics, Model, Output

from modelway.components.core.artifacts import GateResult
from modelway.components.core.decorator import component


@component
def evaluate_model(
    model: Input[Model],
    test_data: Input[Dataset],
    unseen_data: Input[Dataset],
    out_of_fold: Input[Dataset],
    project: str,
    policy: str,
    gate: Output[GateResult],
    metrics: Output[Metrics],
    classification: Output[ClassificationMetrics],
    report: Output[HTML],
    run_id: str = "",
    model_hash: str = "",
    champion: str = "",
    champion_blessing: str = "",
    as_of: str = "",
) -> NamedTuple("Outputs", [("verdict", str), ("proceed", bool)]):  # type: ignore[valid-type]
    """Judges a model: thresholds by intervals, no regression, slices, weak segments, fairness, robustness, rules.

    Args:
        model: The model's folder, in MLflow's format.
        test_data: The test split.
        unseen_data: The unseen rows, if any.
        out_of_fold: Out-of-fold predictions, if any.
        project: The project file: text or URI.
        policy: The policy file: text or URI.
        run_id: The MLflow run to log the scores in.
        model_hash: The SHA-256 of the trained model's folder.
        champion: The champion version. Empty: none.
        champion_blessing: Its blessing's hash, by the audit log.
        as_of: The ISO day to judge waivers at. Empty: today.

    Returns:
        gate: All checks with their verdicts, as JSON.
        metrics: Scores with thresholds, and counts of checks.
        classification: The ROC curve and the confusion matrix; empty for regression.
        report: The report for people.
        verdict: passed, failed or inconclusive.
        proceed: Whether no check blocks.
    """
    from modelway.components.core.artifacts import write_comparison, write_values
    from modelway.components.evaluate.stage import evaluate

    evaluation = evaluate(
        model.path,
        test_data.path,
        unseen_path=unseen_data.path,
        out_of_fold_path=out_of_fold.path,
        project_text=project,
        policy_text=policy,
        champion=champion,
        champion_blessing=champion_blessing,
        run_id=run_id,
        model_hash=model_hash,
        as_of=as_of,
        report_path=report.path,
    )
    result = evaluation.gate.model_copy(update={"report": report.uri})
    result.write(gate.path)
    write_comparison(metrics, result, policy=policy, measurements=evaluation.scores)
    if evaluation.classes:
        classification.log_confusion_matrix(evaluation.classes, evaluation.confusion)
    if len(evaluation.rocs) == 1:
        roc = evaluation.rocs[0]
        classification.log_roc_curve(roc.fpr, roc.tpr, roc.thresholds)
    write_values(classification)
    return (result.verdict.value, result.proceed)
