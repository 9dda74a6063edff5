"""Drift that no column shows by itself: whether a classifier can tell new rows from the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import Multivariate
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.validate.checks.single_feature import CONFIDENCE, roc_auc

MINIMUM_ROWS = 500
MOST_CATEGORIES = 200
_NAME = "drift[multivariate]"
_SEED = 0
_FOLDS = 3
_SHOWN = 3

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.bool_]]


def multivariate_check(
    before: pl.DataFrame, now: pl.DataFrame, *, columns: Sequence[str], policy: Multivariate, rule: OnInconclusive
) -> Check:
    """Trains a classifier to tell two tables apart, and judges the area under its ROC curve on rows it did not see.

    Gradient-boosted trees with large leaves, which find shifts of columns together (a correlation that turns) and do
    not learn single rows by heart; equal rows are always held out together, so that rows in both tables count as
    evidence for neither. This is the classifier two-sample test (Lopez-Paz and Oquab, 2017), judged by its effect:
    it fails only if the whole 95 % interval of the area (Hanley and McNeil, 1982) lies above the threshold.

    Dates and times are left out: they move on by themselves, and would always tell new rows from old. Of columns with
    many categories the most frequent are told apart, the others are one.

    Args:
        before: Rows of the baseline.
        now: The rows in question.
        columns: The columns to tell them apart by; those that either table lacks, or that are numbers in one and
            text in the other, are left to the contract.
        policy: The threshold, and how many rows are taken of each side at most.
        rule: What an inconclusive check does.
    """
    most = policy.roc_auc
    tables = [_sampled(table, policy.sample_rows) for table in (before, now)]
    fewest = min(len(table) for table in tables)
    if fewest < MINIMUM_ROWS:
        message = f"{fewest:,} rows on one side; {MINIMUM_ROWS} are needed to tell drift of columns together by"
        return inconclusive(_NAME, message, rule=rule, observed=fewest, threshold=MINIMUM_ROWS)
    named = [set(table.columns) for table in tables]
    there = [name for name in dict.fromkeys(columns) if all(name in names for names in named)]
    encoded = {name: _encoded(*(table[name] for table in tables)) for name in there}
    used = {name: values for name, values in encoded.items() if values is not None}
    if not used:
        return inconclusive(_NAME, "no column to tell the rows apart by", rule=rule)
    matrix = np.column_stack([values for values, _ in used.values()])
    is_now = np.repeat([False, True], [len(table) for table in tables])
    categorical = [is_categorical for _, is_categorical in used.values()]
    scores, models = _out_of_fold(matrix, is_now, categorical=categorical)
    area, interval = roc_auc(is_now, scores)
    verdict = Threshold(max=most).judge(interval)
    rounded = round(interval[0], 6), round(interval[1], 6)
    message = (
        f"a classifier tells {len(tables[1]):,} rows from {len(tables[0]):,} of the baseline's by {len(used)} columns "
        f"with ROC AUC {area:.3f} ({CONFIDENCE:.0%} interval {interval[0]:.3f} to {interval[1]:.3f}; 0.5 is not at all)"
        f"; the policy asks for at most {most:g}"
    )
    if verdict is not Verdict.PASSED:
        names = np.array(list(used))[np.argsort(-_importance(matrix, is_now, models=models), kind="stable")]
        message += f"; most by {', '.join(repr(str(name)) for name in names[:_SHOWN])}; "
    if verdict is Verdict.INCONCLUSIVE:
        message += "these rows cannot tell: raise `data.drift.multivariate.sample_rows`"
    elif verdict is Verdict.FAILED:
        message += "look at their source, or retrain on purpose"
    return judged(_NAME, verdict, message=message, rule=rule, observed=round(area, 6), threshold=most, interval=rounded)


def _sampled(table: pl.DataFrame, most: int) -> pl.DataFrame:
    return table.sample(most, seed=_SEED) if len(table) > most else table


def _encoded(before: pl.Series, now: pl.Series) -> tuple[Matrix, bool] | None:
    """Both sides as numbers, and whether they stand for categories; None for what is not compared."""
    if before.dtype.is_temporal() or now.dtype.is_temporal():
        return None
    are_numbers = [side.dtype.is_numeric() or side.dtype == pl.Boolean for side in (before, now)]
    if are_numbers[0] != are_numbers[1] and pl.Null() not in (before.dtype, now.dtype):
        return None
    if all(are_numbers):
        numbers = np.concatenate([as_numbers(before), as_numbers(now)])
        return np.where(np.isinf(numbers), np.sign(numbers) * np.finfo(np.float32).max, numbers), False
    text = pl.concat([as_text(before).alias("value"), as_text(now).alias("value")])
    counted = text.drop_nulls().value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    kept = counted["value"].head(MOST_CATEGORIES)
    codes = text.replace_strict(kept, np.arange(len(kept)), default=len(kept), return_dtype=pl.Float64)
    return codes.set(text.is_null(), None).to_numpy(), True


def _out_of_fold(matrix: Matrix, is_now: Rows, *, categorical: Sequence[bool]) -> tuple[Matrix, list[tuple[Any, Rows]]]:
    """Each row's score by a classifier that did not see it, and the classifiers with the rows that they did not see."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    folds = (pl.DataFrame(matrix).hash_rows(_SEED) % _FOLDS).to_numpy()
    scores, models = np.full(len(matrix), 0.5), []
    for fold in range(_FOLDS):
        held = folds == fold
        if not held.any() or len(np.unique(is_now[~held])) < 2:
            continue
        model = HistGradientBoostingClassifier(
            max_iter=40,
            learning_rate=0.15,
            max_leaf_nodes=16,
            min_samples_leaf=max(20, len(matrix) // 200),
            categorical_features=list(categorical),
            early_stopping=False,
            random_state=_SEED,
        ).fit(matrix[~held], is_now[~held])
        scores[held] = model.predict_proba(matrix[held])[:, 1]
        models.append((model, held))
    return scores, models


def _importance(matrix: Matrix, is_now: Rows, *, models: Sequence[tuple[Any, Rows]]) -> Matrix:
    """How much worse the rows are told apart with one column shuffled (Breiman, 2001), by the first classifier."""
    found, dice = np.zeros(matrix.shape[1]), np.random.default_rng(_SEED)
    model, held = models[0]
    for column in range(matrix.shape[1]):
        shuffled = matrix[held].copy()
        shuffled[:, column] = dice.permutation(shuffled[:, column])
        found[column] = -roc_auc(is_now[held], model.predict_proba(shuffled)[:, 1])[0]
    return found
