"""Multivariate drift: whether a classifier can distinguish new rows from the baseline's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import Multivariate
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.tables.parquet import as_numbers, as_text
from modelway.components.validate.distributions import most_frequent
from modelway.components.validate.roc_auc import CONFIDENCE, roc_auc
from modelway.components.validate.sample import at_most

MINIMUM_ROWS = 500
MOST_CATEGORIES = 200
FEW_CATEGORIES = 20  # each of which is frequent enough to be told apart as it is
_NAME = "drift[multivariate]"
_SEED = 0
_FOLDS = 3
_COUNTED = 3  # one in so many rows is left for counting, and not told apart
_REPEATED = 10  # rows of each content, on average, from which on equal rows are coincidences
_SHOWN = 3
_REMEDIES = {
    Verdict.INCONCLUSIVE: "too few rows to decide: raise `data.drift.multivariate.sample_rows`",
    Verdict.FAILED: "check their source, or retrain",
}

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.bool_]]


def multivariate_check(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    columns: Sequence[str],
    policy: Multivariate,
    rule: OnInconclusive,
) -> Check:
    """Trains a classifier to distinguish two tables, and judges the area under its ROC curve on rows it did not see.

    Gradient-boosted trees with large leaves, which find joint shifts of columns (such as a changed correlation) and do
    not memorize single rows; equal rows are held out together, so that rows in both tables are evidence for
    neither. Where rows repeat ten times on average, as in a survey of a few kinds, they are held out at random: a kind
    that is held out as a whole could not be told by the others. This is the classifier two-sample test (Lopez-Paz and
    Oquab, 2017), judged by its effect: it fails only if the whole 95 % interval of the area lies above the threshold.

    Dates and times are left out: they always advance, and would distinguish any new rows from old. Of columns with many
    categories the most frequent are kept, the others are merged; with more than 20 that repeat, each row also gets how
    often its category is in a third of the baseline's rows, which tells rare and new ones apart. A third of
    both tables is then not to be distinguished: a row that counts itself would tell on which side it is.

    Args:
        reference: Rows of the baseline.
        current: The rows in question.
        columns: The columns to use; those that either table lacks, or that are numbers in one and text in the other,
            are left to the contract.
        policy: The threshold, and how many rows of each side to use at most.
        rule: What an inconclusive check does.
    """
    limit = policy.roc_auc
    tables = [at_most(table, policy.sample_rows) for table in (reference, current)]
    rows = min(len(table) for table in tables)
    if rows < MINIMUM_ROWS:
        message = f"{rows:,} rows on one side; {MINIMUM_ROWS} are needed to measure multivariate drift"
        return inconclusive(_NAME, message, rule=rule, observed=rows, threshold=MINIMUM_ROWS)
    present = [name for name in columns if all(name in table.columns for table in tables)]
    crowded = [name for name in present if _has_many_categories(*(table[name] for table in tables))]
    # By the rows' hashes, so that a row in both tables is counted in both or in neither.
    is_counted = [(table.select(present).hash_rows(_SEED + 1) % _COUNTED == 0) & bool(crowded) for table in tables]
    counted = tables[0].filter(is_counted[0])
    sides = [table.filter(~rows) for table, rows in zip(tables, is_counted, strict=True)]
    encodings: list[tuple[str, Matrix, bool]] = []
    for name in present:
        encoding = _encode(*(side[name] for side in sides))
        encodings += [(name, *encoding)] if encoding is not None else []
    encodings += [(name, _frequency(counted[name], *(side[name] for side in sides)), False) for name in crowded]
    if not encodings:
        return inconclusive(_NAME, "there is no column to compare", rule=rule)
    if not all(len(side) for side in sides):
        message = "rows of one side are too much alike to leave a third of them for counting"
        return inconclusive(_NAME, message, rule=rule)
    names, categorical = [name for name, _, _ in encodings], [is_categorical for _, _, is_categorical in encodings]
    matrix = np.column_stack([values for _, values, _ in encodings])
    is_current = np.repeat([False, True], [len(side) for side in sides])
    scores, models = _out_of_fold(matrix, is_current, categorical=categorical)
    area, interval = roc_auc(is_current, scores)
    verdict = Threshold(max=limit).judge(interval)
    message = (
        f"a classifier distinguishes {len(tables[1]):,} rows from {len(tables[0]):,} of the baseline's by "
        f"{len(set(names))} columns with ROC AUC {area:.3f} ({CONFIDENCE:.0%} interval {interval[0]:.3f} to "
        f"{interval[1]:.3f}; 0.5 is by chance); the policy allows at most {limit:g}"
    )
    if verdict is not Verdict.PASSED:
        by_importance = np.argsort(-np.array(_importances(matrix, is_current, models=models)), kind="stable")
        most = list(dict.fromkeys(names[place] for place in by_importance))[:_SHOWN]
        message += f"; most by {', '.join(map(repr, most))}; {_REMEDIES[verdict]}"
    rounded = round(interval[0], 6), round(interval[1], 6)
    observed = round(area, 6)
    return judged(_NAME, verdict, message=message, rule=rule, observed=observed, threshold=limit, interval=rounded)


def _encode(reference: pl.Series, current: pl.Series) -> tuple[Matrix, bool] | None:
    """Both sides as numbers, and whether these are codes of categories; None for what is not compared."""
    if reference.dtype.is_temporal() or current.dtype.is_temporal():
        return None
    are_numbers = [side.dtype.is_numeric() or side.dtype == pl.Boolean for side in (reference, current)]
    if are_numbers[0] != are_numbers[1] and pl.Null() not in (reference.dtype, current.dtype):
        return None
    if all(are_numbers):
        numbers = np.concatenate([as_numbers(reference), as_numbers(current)])
        return np.where(np.isinf(numbers), np.sign(numbers) * np.finfo(np.float32).max, numbers), False
    text = pl.concat([as_text(reference).alias("value"), as_text(current).alias("value")])
    categories = most_frequent(text)["value"].head(MOST_CATEGORIES)
    rest = len(categories)
    codes = text.replace_strict(categories, np.arange(rest), default=rest, return_dtype=pl.Float64)
    return codes.set(text.is_null(), None).to_numpy(), True


def _has_many_categories(reference: pl.Series, current: pl.Series) -> bool:
    """Whether a column of text has so many values that single ones are rare, and so few that they repeat."""
    if any(side.dtype.is_numeric() or side.dtype.is_temporal() for side in (reference, current)):
        return False
    texts = pl.concat([as_text(reference), as_text(current).alias(reference.name)])
    return FEW_CATEGORIES < texts.n_unique() <= len(texts) / 2


def _frequency(counted: pl.Series, *sides: pl.Series) -> Matrix:
    """How often each row's category is among the counted rows; a missing one is not counted."""
    counts = most_frequent(as_text(counted))
    text = pl.concat([as_text(side).alias("value") for side in sides])
    rows = text.replace_strict(counts["value"], counts["rows"].cast(pl.Float64), default=0.0, return_dtype=pl.Float64)
    return rows.set(text.is_null(), None).to_numpy()


def _out_of_fold(
    matrix: Matrix, is_current: Rows, *, categorical: Sequence[bool]
) -> tuple[Matrix, list[tuple[Any, Rows]]]:
    """Each row's score by a classifier that was not trained on it, and the classifiers with their held out rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    contents = pl.DataFrame(matrix).hash_rows(_SEED)
    folds = (contents % _FOLDS).to_numpy()
    if contents.n_unique() * _REPEATED <= len(contents):
        folds = np.random.default_rng(_SEED).integers(0, _FOLDS, len(contents))
    scores, models = np.full(len(matrix), 0.5), []
    for fold in range(_FOLDS):
        is_held_out = folds == fold
        if not is_held_out.any() or len(np.unique(is_current[~is_held_out])) < 2:
            continue
        model = HistGradientBoostingClassifier(
            max_iter=40,
            learning_rate=0.15,
            max_leaf_nodes=16,
            min_samples_leaf=max(20, len(matrix) // 200),
            categorical_features=list(categorical),
            early_stopping=False,
            random_state=_SEED,
        ).fit(matrix[~is_held_out], is_current[~is_held_out])
        scores[is_held_out] = model.predict_proba(matrix[is_held_out])[:, 1]
        models.append((model, is_held_out))
    return scores, models


def _importances(matrix: Matrix, is_current: Rows, *, models: Sequence[tuple[Any, Rows]]) -> list[float]:
    """By how much the area drops with each column shuffled (Breiman, 2001), up to a constant; 0 if none can be had."""
    usable = [(model, is_held_out) for model, is_held_out in models if len(np.unique(is_current[is_held_out])) == 2]
    if not usable:
        return [0.0] * matrix.shape[1]
    importances, dice = [], np.random.default_rng(_SEED)
    classifier, is_held_out = usable[0]
    for column in range(matrix.shape[1]):
        shuffled = matrix[is_held_out].copy()
        shuffled[:, column] = dice.permutation(shuffled[:, column])
        importances.append(-roc_auc(is_current[is_held_out], classifier.predict_proba(shuffled)[:, 1])[0])
    return importances
