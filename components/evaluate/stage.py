"""The model gate: the model's predictions of rows that it was not trained on, judged by the policy, with a report."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from modelway.components.core.audit.opened_version import open_champion
from modelway.components.core.checks import Check, Gate, Mode, passed_or_failed
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.waivers import judged_gate
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.core.measures.out_of_fold import FOLDS, METADATA_KEY, OutOfFold
from modelway.components.core.measures.predicting import predict_table
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.model_code import code_facts, separate_modules
from modelway.components.core.storage.models import folder_sha256, load_model, model_metadata
from modelway.components.core.storage.uri import sha256_of
from modelway.components.core.tables.parquet import read_table
from modelway.components.evaluate.candidate import model_checks, resampling_of, sample_of
from modelway.components.evaluate.champion import champion_predictions, champion_rules, policy_checks
from modelway.components.evaluate.checks.minimum_rows import row_checks
from modelway.components.evaluate.curves import Roc, confusion, roc_curves
from modelway.components.evaluate.predicting import Candidate, sane_check
from modelway.components.evaluate.report import render
from modelway.components.evaluate.sample import Sample, difference_from_test_rows
from modelway.components.evaluate.slices import find_slices
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.intervals import measure

_CUSTOMARY = {
    "binary": ("roc_auc", "average_precision", "accuracy", "f1", "log_loss"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
    "regression": ("r2", "mean_absolute_error", "root_mean_squared_error"),
}


@dataclass(frozen=True)
class Evaluation:
    """What the dashboard shows beside the gate: scores, curves and the confusion matrix."""

    gate: Gate
    scores: dict[str, float] = field(default_factory=dict)
    rocs: list[Roc] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    confusion: list[list[int]] = field(default_factory=list)


@separate_modules()
def evaluate(
    model_path: str,
    test_path: str,
    *,
    unseen_path: str,
    out_of_fold_path: str = "",
    project_text: str,
    policy_text: str,
    champion: str = "",
    champion_blessing: str = "",
    run_id: str = "",
    model_hash: str = "",
    as_of: str = "",
    report_path: str,
) -> Evaluation:
    """Judges a model on the test split, logs its scores in MLflow, and writes the report.

    A model whose files, or out-of-fold predictions, differ from those of the training is not loaded: its gate has one
    failed check, which no mode or waiver lets pass. Without test rows, or with invalid predictions, there is one failed
    check too.

    Args:
        model_path: The model's folder, in MLflow's format.
        test_path: The test split, as Parquet.
        unseen_path: The unseen split, as Parquet; may have no rows.
        out_of_fold_path: The training's out-of-fold predictions, as Parquet: where they were made, metrics, slices and
            calibration are judged from them and the test rows; empty: from the test rows.
        project_text: The project file: its text, path or URI.
        policy_text: The policy file, likewise.
        champion: The champion's version in the registry; empty: there is none.
        champion_blessing: The SHA-256 of the champion's blessing, by the audit log; empty: not compared.
        run_id: The MLflow run that trained the model, to log the scores in; empty: not logged.
        model_hash: The SHA-256 that the model's folder had when it was trained; empty: not compared.
        as_of: The day that waivers are judged at, ISO 8601; empty: today.
        report_path: Where the HTML report goes.

    Raises:
        ModelwayError: the model cannot be loaded or fails on the rows, the policy cannot be applied, or the champion is
            not what was blessed.
    """
    project, policy = Project.load(project_text), Policy.load(policy_text)
    sha256 = folder_sha256(model_path)
    table, unseen = read_table(test_path), read_table(unseen_path)
    facts: dict[str, str | int | float | None] = {
        "model_hash": sha256,
        "mlflow_run": run_id,
        "project_hash": project.sha256(),
        "policy_hash": policy.sha256(),
        "test_rows": len(table),
        "unseen_rows": len(unseen),
        "champion": f"{project.name} version {champion}" if champion else None,
        **code_facts(Path(model_path)),
    }
    with_report = partial(_with_report, project=project, report_path=report_path)
    foreign = _tampered(sha256, model_hash) if model_hash and sha256 != model_hash else None
    if out_of_fold_path:
        facts["out_of_fold_hash"] = predictions_sha256 = sha256_of(Path(out_of_fold_path))
        expected = str(model_metadata(model_path).get(METADATA_KEY))
        foreign = foreign or (_replaced(predictions_sha256, expected) if predictions_sha256 != expected else None)
    if foreign is not None:
        return with_report(Evaluation(Gate(name="model", checks=(foreign,), facts=facts)))
    judge = partial(judged_gate, "model", facts=facts, mode=policy.model.mode, waivers=policy.waivers, as_of=as_of)
    if not len(table):
        return with_report(Evaluation(judge(row_checks(0, policy.model))))
    predict = partial(predict_table, load_model(model_path, policy.model.trusted_types), project=project)

    def candidate_on(rows: pl.DataFrame) -> Candidate:
        resampling = resampling_of(rows, project, confidence=policy.model.confidence)
        return Candidate(predict, rows, predict(rows), resampling)

    candidate = candidate_on(table)
    predictions = candidate.predictions
    sane = sane_check(predictions)
    if sane.blocks:
        return with_report(Evaluation(judge([sane])))
    sample = sample_of(candidate, OutOfFold(table.clear()), project=project)
    if out_of_fold_path:
        out_of_fold = OutOfFold.read(out_of_fold_path, project, classes=predictions.classes)
        larger_sample = sample_of(candidate, out_of_fold, project=project)
        sane = next((check for check in map(sane_check, larger_sample.repeats) if check.blocks), sane)
        if sane.blocks:
            return with_report(Evaluation(judge([sane])))
        difference = _difference(larger_sample, policy=policy)
        facts["out_of_fold"] = f"not used: {difference}" if difference else _described(out_of_fold)
        sample = sample if difference else larger_sample
    estimates = _estimates(sample, project, policy=policy)
    checks: list[Check] = []
    if policy.model.mode is not Mode.DISABLED:
        opened = open_champion(project.name, champion, blessing_sha256=champion_blessing)
        rival = opened if policy.model.no_regression is not None else None
        checks = model_checks(
            candidate,
            estimates,
            sample=sample,
            unseen=candidate_on(unseen) if len(unseen) and policy.model.unseen else None,
            champion=champion_predictions(table, project, champion=rival, trusted_types=policy.model.trusted_types),
            project=project,
            policy=policy.model,
        )
        checks += policy_checks(policy, opened)
        if opened is not None:
            facts["champion_rules"] = champion_rules(opened)
    scores = {name: estimate.value for name, estimate in estimates.items() if np.isfinite(estimate.value)}
    if run_id:
        Tracking.from_environment().log(run_id, metrics=_logged(scores, sample))
    matrix = confusion(predictions) if predictions.classes else []
    evaluation = Evaluation(judge(checks), scores, roc_curves(predictions), list(predictions.classes), matrix)
    return with_report(evaluation, predictions=predictions, estimates=estimates, sample=sample)


def _tampered(sha256: str, expected: str) -> Check:
    message = (
        f"the model's files are not those that were trained: their hash is {sha256[:12]}…, the trained model's "
        f"{expected[:12]}…; it was not loaded and nothing else was judged; train it again, and let only the "
        "pipeline write to its artifacts"
    )
    return passed_or_failed("model_hash", passed=False, message=message, observed=sha256, threshold=expected)


def _replaced(sha256: str, expected: str) -> Check:
    message = (
        f"the out-of-fold predictions are not those of the training: their hash is {sha256[:12]}…, the model names "
        f"{expected[:12]}…; nothing was loaded or judged; train it again, and let only the pipeline write to its "
        "artifacts"
    )
    return passed_or_failed("out_of_fold_hash", passed=False, message=message, observed=sha256, threshold=expected)


def _difference(sample: Sample, *, policy: Policy) -> str:
    """Why the test rows judge alone; empty if they do not, or already do."""
    if not sample.out_of_fold_rows or policy.model.mode is Mode.DISABLED:
        return ""
    metrics: list[tuple[str, Array | None]] = [(name, None) for name in policy.model.metrics]
    if policy.model.slices is not None:
        names = dict.fromkeys((*policy.model.slices.metrics, *policy.model.slices.max_gap))
        metrics += [(name, part.rows) for part in find_slices(sample.table, policy.model.slices) for name in names]
    return difference_from_test_rows(sample, metrics)


def _described(out_of_fold: OutOfFold) -> str:
    """What the report says of the out-of-fold predictions."""
    if not out_of_fold.repeats:
        return f"none: {out_of_fold.reason}"
    times = len(out_of_fold.repeats)
    return (
        f"{len(out_of_fold.table):,} training rows, {FOLDS} folds, {times} time{'s' * (times > 1)}; intervals by the "
        "corrected resampled variance (Nadeau and Bengio 2003)"
    )


def _logged(scores: Mapping[str, float], sample: Sample) -> dict[str, float]:
    """The scores as MLflow keeps them: those of the test rows, and what was judged where that is more."""
    if not sample.out_of_fold_rows:
        return {f"test_{name}": value for name, value in scores.items()}
    test_rows = np.arange(sample.out_of_fold_rows, len(sample.table))
    test_scores = {name: score(name, sample.repeats[0].take(test_rows)) for name in scores}
    logged = {f"test_{name}": value for name, value in test_scores.items() if np.isfinite(value)}
    return {**logged, **{f"judged_{name}": value for name, value in scores.items()}}


def _estimates(sample: Sample, project: Project, *, policy: Policy) -> dict[str, Estimate]:
    """The policy's metrics and the customary ones of the task; with intervals where they are judged or shown."""

    def estimate(name: str) -> Estimate:
        return sample.estimate(name, lambda predictions, drawn: measure(name, Subset(predictions), resampling=drawn))

    estimates = {name: estimate(name) for name in policy.model.metrics}
    for name in policy.metric_names:
        if name not in estimates:
            estimates[name] = sample.mean([Estimate(score(name, predictions)) for predictions in sample.repeats])
    for name in _CUSTOMARY[project.task]:
        with suppress(ModelwayError):
            if name not in estimates or estimates[name].interval is None:
                estimates[name] = estimate(name)
    return estimates


def _with_report(
    evaluation: Evaluation,
    project: Project,
    *,
    report_path: str,
    predictions: Predictions | None = None,
    estimates: Mapping[str, Estimate] | None = None,
    sample: Sample | None = None,
) -> Evaluation:
    page = render(
        evaluation.gate,
        project,
        estimates=estimates or {},
        predictions=predictions,
        sample=sample,
        rocs=evaluation.rocs,
        confusion=evaluation.confusion,
    )
    Path(report_path).write_text(page, encoding="utf-8")
    return evaluation
