"""All checks of the model gate, in the order that people read them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import joined
from modelway.components.core.measures.out_of_fold import OutOfFold
from modelway.components.core.tables.parquet import as_text
from modelway.components.evaluate.checks.calibration import calibration_check
from modelway.components.evaluate.checks.fairness import fairness_checks
from modelway.components.evaluate.checks.metrics import threshold_checks
from modelway.components.evaluate.checks.minimum_rows import class_checks, row_checks
from modelway.components.evaluate.checks.no_regression import ChampionPredictions, regression_checks
from modelway.components.evaluate.checks.robustness import robustness_checks
from modelway.components.evaluate.checks.rules import rule_checks
from modelway.components.evaluate.checks.slices import slice_checks
from modelway.components.evaluate.checks.unseen import unseen_checks
from modelway.components.evaluate.checks.weak_segments import weak_segment_checks
from modelway.components.evaluate.predicting import Candidate, deterministic_check, sane_check
from modelway.components.evaluate.sample import Sample
from modelway.components.evaluate.slices import Slice, find_slices
from modelway.components.evaluate.statistics.estimates import Estimate
from modelway.components.evaluate.statistics.resampling import Resampling


def resampling_of(table: pl.DataFrame, project: Project, *, confidence: float | None) -> Resampling:
    """How a split's rows were drawn: by whole groups where the project splits so, else one by one."""
    column = project.data.split.column
    if project.data.split.by != "group" or column is None or column not in table.columns or not len(table):
        return Resampling(len(table), None, confidence)
    groups = as_text(table[column]).fill_null("").rank("dense").to_numpy().astype(np.int64) - 1
    return Resampling(len(table), groups, confidence)


def sample_of(candidate: Candidate, out_of_fold: OutOfFold, *, project: Project) -> Sample:
    """What absolute metrics are judged from: the test rows, and before them those that were predicted out of fold."""
    table, predictions = candidate.table, candidate.predictions
    if not out_of_fold.repeats:
        return Sample(table, (predictions,), candidate.resampling)
    rows = pl.concat([out_of_fold.table.select(table.columns), table], how="vertical_relaxed")
    repeats = tuple(joined(repeat, predictions) for repeat in out_of_fold.repeats)
    resampling = resampling_of(rows, project, confidence=candidate.resampling.confidence)
    return Sample(rows, repeats, resampling, len(out_of_fold.table))


def model_checks(
    candidate: Candidate,
    estimates: Mapping[str, Estimate],
    *,
    sample: Sample,
    unseen: Candidate | None,
    champion: ChampionPredictions,
    project: Project,
    policy: ModelPolicy,
) -> list[Check]:
    """Every check of a model whose predictions are valid.

    Args:
        candidate: The model, on the test rows.
        estimates: The measured metrics on the sample: all that the policy has a threshold for.
        sample: What metrics, slices and calibration are judged from: the test rows, which come last, or more.
        unseen: The model on the unseen rows; None if there are none.
        champion: The champion's predictions of the test rows.
        project: The project.
        policy: The policy's `model` section.

    Raises:
        ModelwayError: the policy cannot be applied, such as slices by a column that does not exist.
    """
    table, predictions, resampling = candidate.table, candidate.predictions, candidate.resampling
    rule, slices = policy.on_inconclusive, _slices(sample.table, policy)
    kind = "test rows" if not sample.out_of_fold_rows else "rows, test rows and those predicted out of fold,"
    checks = row_checks(len(sample.table), policy, kind=kind)
    checks += class_checks(predictions)
    checks += [sane_check(predictions), deterministic_check(candidate.predict, table)]
    checks += threshold_checks("metric", estimates, scope=sample.scope, thresholds=policy.metrics, rule=rule)
    checks += unseen_checks(unseen, policy)
    test_slices = [part.after(sample.out_of_fold_rows) for part in slices]
    checks += regression_checks(predictions, champion, slices=test_slices, resampling=resampling, policy=policy)
    if policy.slices is not None:
        checks += slice_checks(sample, slices, policy=policy.slices)
    if policy.weak_segments is not None:
        described = dict.fromkeys((*project.features.columns, *project.sensitive))
        columns = [name for name in described if name in table.columns]
        checks += weak_segment_checks(candidate, columns, policy=policy.weak_segments)
    if policy.fairness is not None:
        checks += fairness_checks(candidate, policy.fairness.columns or project.sensitive, policy=policy.fairness)
    if policy.calibration is not None and project.task != "regression":
        checks.append(calibration_check(sample, policy=policy.calibration, rule=rule))
    if policy.robustness is not None:
        checks += robustness_checks(candidate, project.features, policy=policy.robustness, rule=rule)
    return checks + rule_checks(candidate, policy.rules, on_inconclusive=rule)


def _slices(table: pl.DataFrame, policy: ModelPolicy) -> list[Slice]:
    if policy.slices is not None:
        return list(find_slices(table, policy.slices))
    if policy.no_regression is not None and policy.no_regression.slices:
        raise ModelwayError(
            "the policy compares each slice with the champion, but names no slices",
            key="model.no_regression.slices",
            remedy="name columns under `model.slices`, or set `model.no_regression.slices: false`",
        )
    return []
