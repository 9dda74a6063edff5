"""The model gate: thresholds, comparison with the champion, slices, and the report of it all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from modelway.components.core.errors import ModelwayError
from modelway.components.core.models import folder_sha256, load_model
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.tables import label_of, read_table, to_model_input
from modelway.components.core.tracking import Tracking
from modelway.components.core.verdict import Gate
from modelway.components.evaluate.checks import regression_check, slice_checks, threshold_checks
from modelway.components.evaluate.curves import Roc, confusion, roc_curves
from modelway.components.evaluate.metrics import Predictions, predict, score
from modelway.components.evaluate.report import render
from modelway.components.evaluate.slices import find_slices

_CUSTOMARY = {
    "binary": ("roc_auc", "average_precision", "accuracy", "f1", "log_loss"),
    "multiclass": ("accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
    "regression": ("r2", "mean_absolute_error", "root_mean_squared_error"),
}


@dataclass(frozen=True)
class Evaluation:
    """What the dashboard shows beside the gate: scores, curves and the confusion matrix."""

    gate: Gate
    scores: dict[str, float]
    rocs: list[Roc]
    classes: list[str]
    confusion: list[list[int]]


def evaluate(
    model_path: str,
    test_path: str,
    project: str,
    policy: str,
    champion: str,
    run_id: str,
    model_hash: str,
    *,
    report_path: str,
) -> Evaluation:
    """Judges a model on the test split, logs its scores in MLflow, and writes the report.

    Args:
        model_path: The model's folder, in MLflow's format.
        test_path: The test split, as Parquet.
        project: The project file: its text, path or URI.
        policy: The policy file, likewise.
        champion: The champion's version in the registry; empty: there is none.
        run_id: The MLflow run that trained the model, to log the scores in; empty: not logged.
        model_hash: The SHA-256 that the model's folder had when it was trained.
        report_path: Where the HTML report goes.

    Raises:
        ModelwayError: the model's files are not those that were trained, or a metric cannot be computed.
    """
    described, rules = Project.load(project), Policy.load(policy)
    found = folder_sha256(model_path)
    if model_hash and found != model_hash:
        raise ModelwayError(
            "the model's files are not those that were trained",
            file=model_path,
            value=found,
            remedy="train it again; nothing but the pipeline may write to its artifacts",
        )
    table = read_table(test_path)
    predictions = _predictions(load_model(model_path), table, described)
    scores = {name: score(name, predictions) for name in rules.metric_names}
    checks = threshold_checks(scores, len(table), rules.model)
    if rules.model.no_regression is not None:
        asked = rules.model.no_regression
        theirs, trouble = _champion_score(described, champion, asked.metric, table)
        checks.append(
            regression_check(asked, scores[asked.metric], theirs, champion, rules.model.on_inconclusive, trouble)
        )
    if rules.model.slices is not None:
        checks += slice_checks(predictions, find_slices(table, rules.model.slices), rules.model.slices)
    gate = Gate(
        name="model",
        checks=tuple(checks),
        facts={
            "model_hash": found,
            "mlflow_run": run_id,
            "project_hash": described.sha256(),
            "policy_hash": rules.sha256(),
            "test_rows": len(table),
            "champion": f"{described.name} version {champion}" if champion else None,
        },
    )
    scores = _shown(scores, described, predictions)
    if run_id:
        Tracking.from_environment().log(run_id, metrics={f"test_{name}": value for name, value in scores.items()})
    rocs = roc_curves(predictions) if predictions.classes else []
    matrix = confusion(predictions) if predictions.classes else []
    Path(report_path).write_text(render(gate, described, scores, predictions, rocs, matrix), encoding="utf-8")
    return Evaluation(gate, scores, rocs, list(predictions.classes), matrix)


def _predictions(model: object, table: pl.DataFrame, project: Project) -> Predictions:
    columns = [str(name) for name in getattr(model, "feature_names_in_", project.features.columns)]
    present = set(table.columns)
    missing = [name for name in columns if name not in present]
    if missing:
        raise ModelwayError(
            f"the model needs the column {missing[0]!r}, which the data does not have",
            column=missing[0],
            remedy="bring the column back, or train a model without it",
        )
    return predict(model, to_model_input(table, columns), label_of(table, project), project)


def _shown(asked: dict[str, float], project: Project, predictions: Predictions) -> dict[str, float]:
    """The policy's metrics and the customary ones of the task, less those that are not defined on these rows."""
    scores = dict(asked)
    for name in _CUSTOMARY[project.task]:
        if name not in scores:
            with suppress(ModelwayError):
                scores[name] = score(name, predictions)
    return {name: value for name, value in scores.items() if np.isfinite(value)}


def _champion_score(project: Project, version: str, metric: str, table: pl.DataFrame) -> tuple[float | None, str]:
    """The champion's score on the same rows; or none, and why."""
    if not version:
        return None, ""
    with TemporaryDirectory() as work:
        champion = load_model(Tracking.from_environment().download_model(project.name, version, work))
    try:
        return score(metric, _predictions(champion, table, project)), ""
    except ModelwayError as error:
        return None, error.message
