"""How well one feature alone predicts the label, on rows that the prediction was not fitted to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.project import Project
from modelway.components.core.config.thresholds import Interval
from modelway.components.core.tables.parquet import as_numbers
from modelway.components.validate.sample import is_ordered, plain_series, ranks

MINIMUM_ROWS = 100
MINIMUM_OF_A_CLASS = 10
MOST_CLASSES = 10
CONFIDENCE = 0.95
_Z = 1.959964  # the normal distribution's quantile of 0.975
_FOLDS = 2
_DEPTH, _LEAF_ROWS = 8, 5

Numbers = np.ndarray[Any, np.dtype[np.float64]]
Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Label:
    """The label of those rows that have one.

    Attributes:
        values: Class codes from 0, or numbers in regression; one for each row with a label.
        present: Which rows of the table have a label.
        classes: How many classes there are; 0 in regression.
    """

    values: Numbers
    present: np.ndarray[Any, np.dtype[np.bool_]]
    classes: int

    @property
    def measure(self) -> str:
        """The name of the measure of skill."""
        return "ROC AUC" if self.classes else "R²"

    @property
    def scored_classes(self) -> Sequence[int]:
        """The classes that are predicted against the rest: of two, one suffices."""
        return [1] if self.classes == 2 else range(self.classes)

    @cached_property
    def goals(self) -> list[np.ndarray[Any, Any]]:
        """What is predicted: the numbers, or whether a row is of each scored class."""
        return [self.values == code for code in self.scored_classes] if self.classes else [self.values]

    @cached_property
    def folds(self) -> list[tuple[Rows, Rows]]:
        """The rows to fit to and the rows to score, of each fold; the same for every feature."""
        from sklearn.model_selection import KFold, StratifiedKFold

        splitter = (StratifiedKFold if self.classes else KFold)(_FOLDS, shuffle=True, random_state=0)
        return list(splitter.split(np.zeros(len(self.values)), self.values))


@dataclass(frozen=True)
class Skill:
    """How well one feature alone predicts the label.

    Attributes:
        feature: Its name.
        measure: ``ROC AUC``, or ``R²`` in regression.
        observed: The area under the ROC curve, or R².
        interval: Its confidence interval, at the level `CONFIDENCE`.
        missing: Whether that is by the feature's being missing rather than by its values.
    """

    feature: str
    measure: str
    observed: float
    interval: Interval
    missing: bool = False


def encode_label(table: pl.DataFrame, project: Project) -> Label | str:
    """Encodes the label as a target; a text says why it cannot be one.

    Rare classes are merged, as are those beyond the `MOST_CLASSES` most frequent.
    """
    label = plain_series(table[project.label])
    if project.task == "regression":
        numbers = as_numbers(label) if is_ordered(label) else np.full(len(label), np.nan)
        is_present = np.isfinite(numbers)
        if is_present.sum() < MINIMUM_ROWS:
            return f"{is_present.sum():,} rows have a number as the label; {MINIMUM_ROWS} are needed"
        if np.ptp(numbers[is_present]) == 0:
            return "the label has one value only"
        return Label(numbers[is_present], is_present, 0)
    is_present = label.is_not_null().to_numpy()
    if is_present.sum() < MINIMUM_ROWS:
        return f"{is_present.sum():,} rows have a label; {MINIMUM_ROWS} are needed"
    texts = label.drop_nulls().cast(pl.String).to_numpy()
    names, codes, counts = np.unique(texts, return_inverse=True, return_counts=True)
    most_frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
    frequent = most_frequent[counts[most_frequent] >= MINIMUM_OF_A_CLASS]
    recoded = np.full(len(names), len(frequent))
    recoded[frequent] = np.arange(len(frequent))
    values = recoded[codes]
    rest = int((values == len(frequent)).sum())
    if 0 < rest < MINIMUM_OF_A_CLASS:  # too few to stratify by
        is_present[is_present] = values < len(frequent)
        values = values[values < len(frequent)]
    classes = len(frequent) + (rest >= MINIMUM_OF_A_CLASS)
    if classes < 2:
        return f"fewer than two classes of the label have {MINIMUM_OF_A_CLASS} rows"
    return Label(values.astype(np.float64), is_present, classes)


def skill_of(series: pl.Series, target: Label, *, categorical: bool) -> Skill:
    """The skill of one feature: that of its values or that of its being missing, whichever is the greater.

    Numbers and times are fitted by a shallow decision tree, which finds encodings that rise and fall, times also by
    their parts; anything else, and numbers that the project calls categorical, by target encoding with empirical
    Bayes shrinkage (Micci-Barreca, 2001). Both are scored on the half of the rows that they were not fitted to, so an
    identifier has no skill. Where the label is a number, a straight line through the values and one through the ranks
    are tried too, which fit outliers better than a tree's leaves do. For several classes it is the skill of the class
    that is best predicted against the rest.

    Args:
        series: The feature, in the rows of the table that the target was made of.
        target: The label.
        categorical: Whether the project calls it categorical.
    """
    series = plain_series(series).filter(pl.Series(target.present))
    if series.n_unique() < 2:
        chance = 0.5 if target.classes else 0.0
        return Skill(series.name, target.measure, chance, (chance, chance))
    if is_ordered(series) and not categorical:
        skills = [_of_scores(series.name, _fitted_by_tree(series, target), target=target)]
        if not target.classes:
            by_rank = replace(target, values=ranks(pl.Series(target.values)))
            skills.append(_of_scores(series.name, _fitted_by_line(as_numbers(series), target), target=target))
            skills.append(_of_scores(series.name, _fitted_by_line(ranks(series), by_rank), target=by_rank))
    else:
        skills = [_of_scores(series.name, _fitted_by_encoding(series, target), target=target)]
    absent = series.is_null().to_numpy()
    if absent.any():
        by_missing = _of_scores(series.name, _fitted_by_missing(absent, target), target=target)
        skills.append(replace(by_missing, missing=True))
    return max(skills, key=_observed)


def roc_auc(positive: np.ndarray[Any, np.dtype[np.bool_]], scores: Numbers) -> tuple[float, Interval]:
    """The area under the ROC curve with its interval, by Wilcoxon's rank sum, several times as fast as by the curve.

    Args:
        positive: Which rows are of the class that should rank higher; some are, and some are not.
        scores: What ranks them.
    """
    from scipy.stats import rankdata

    count = int(positive.sum())
    negatives = len(positive) - count
    area = float((rankdata(scores)[positive].sum() - count * (count + 1) / 2) / (count * negatives))
    return area, roc_auc_interval(area, count, negatives=negatives)


def roc_auc_interval(observed: float, positives: int, *, negatives: int) -> Interval:
    """The 95 % confidence interval of an area under the ROC curve (Hanley and McNeil, 1982).

    An area of exactly 0 or 1 is moved in by half a pair, since its standard error would be zero.

    Args:
        observed: The area.
        positives: How many rows are of the class that ranks higher.
        negatives: How many are not.
    """
    half = 0.5 / (positives * negatives)
    area = min(max(observed, half), 1 - half)
    of_positives, of_negatives = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area)
    variance += (positives - 1) * (of_positives - area**2) + (negatives - 1) * (of_negatives - area**2)
    error = _Z * math.sqrt(max(variance, 0.0) / (positives * negatives))
    return max(0.0, observed - error), min(1.0, observed + error)


def _observed(skill: Skill) -> float:
    return skill.observed


def _of_scores(feature: str, scores: Numbers, *, target: Label) -> Skill:
    """The skill of predictions: a column of scores for each judged class, or one of numbers."""
    score = roc_auc if target.classes else _r_squared
    pairs = zip(target.goals, scores.T, strict=True)
    return max((Skill(feature, target.measure, *score(goal, column)) for goal, column in pairs), key=_observed)


def _r_squared(values: Numbers, predicted: Numbers) -> tuple[float, Interval]:
    """R² with its 95 % interval by the delta method for a ratio of means (Cochran, Sampling Techniques, 1977)."""
    errors, spread = (values - predicted) ** 2, (values - values.mean()) ** 2
    ratio = float(errors.mean() / spread.mean())
    deviation = math.sqrt(float(((errors - ratio * spread) ** 2).mean()) / len(values)) / float(spread.mean())
    observed = max(0.0, 1 - ratio)
    return observed, (max(0.0, observed - _Z * deviation), min(1.0, observed + _Z * deviation))


def _fitted_by_tree(series: pl.Series, target: Label) -> Numbers:
    import sklearn
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    columns = [ranks(series)]
    if isinstance(series.dtype, pl.Date | pl.Datetime):
        columns += [as_numbers(part) for part in _parts(series)]
    rows = np.column_stack(columns).astype(np.float32)
    has_missing = bool(np.isnan(rows).any())  # a tree takes missing values only if it checks its input
    kind = DecisionTreeClassifier if target.classes else DecisionTreeRegressor
    scores = np.empty((len(rows), len(target.goals)))
    with sklearn.config_context(skip_parameter_validation=True):  # validation takes longer than a small tree
        for training_rows, test_rows in target.folds:
            tree = kind(max_depth=_DEPTH, min_samples_leaf=_LEAF_ROWS, random_state=0)
            tree.fit(rows[training_rows], target.values[training_rows], check_input=has_missing)
            if target.classes:
                shares = tree.predict_proba(rows[test_rows], check_input=has_missing)
                scores[test_rows] = shares[:, list(target.scored_classes)]
            else:
                scores[test_rows, 0] = tree.predict(rows[test_rows], check_input=has_missing)
    return scores


def _parts(series: pl.Series) -> list[pl.Series]:
    """The parts of a time that models get as features."""
    parts = [series.dt.month(), series.dt.day(), series.dt.weekday()]
    return parts if series.dtype == pl.Date else [*parts, series.dt.hour()]


def _fitted_by_missing(absent: np.ndarray[Any, np.dtype[np.bool_]], target: Label) -> Numbers:
    """Rows without a value get their mean, and rows with one theirs."""
    return np.column_stack([np.where(absent, goal[absent].mean(), goal[~absent].mean()) for goal in target.goals])


def _fitted_by_line(numbers: Numbers, target: Label) -> Numbers:
    """Least squares predictions; rows without a number get their mean."""
    is_number = np.isfinite(numbers)
    predictions = np.full(len(numbers), target.values.mean())
    if not is_number.all():
        predictions[~is_number] = target.values[~is_number].mean()
    if is_number.any() and np.ptp(numbers[is_number]) > 0:
        centred = numbers[is_number] - numbers[is_number].mean()
        predictions[is_number] = np.polynomial.Polynomial.fit(centred, target.values[is_number], 1)(centred)
    return predictions.reshape(-1, 1)


def _fitted_by_encoding(series: pl.Series, target: Label) -> Numbers:
    from sklearn.preprocessing import TargetEncoder

    codes = series.rank("dense").fill_null(0).to_numpy().astype(np.int64).reshape(-1, 1)
    kind = "continuous" if not target.classes else "binary" if target.classes == 2 else "multiclass"
    encoder = TargetEncoder(target_type=kind, cv=target.folds)
    values = target.values.astype(np.int64) if target.classes else target.values
    return np.asarray(encoder.fit_transform(codes, values))
