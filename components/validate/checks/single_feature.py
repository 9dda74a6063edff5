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
from modelway.components.validate.roc_auc import CONFIDENCE, roc_auc
from modelway.components.validate.sample import is_ordered, plain_series, ranks

MINIMUM_ROWS = 100
MINIMUM_OF_A_CLASS = 10
MOST_CLASSES = 10
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
        interval: Its confidence interval at the level `CONFIDENCE`, for having looked in several ways.
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

    The values of numbers, times and flags are judged as they are, by the plain area under the ROC curve, which is what
    a model of one rising or falling feature reaches. Numbers and times are also fitted by a shallow decision tree,
    which finds encodings that rise and fall, times by their parts too; anything else, and numbers that the project
    calls categorical, by target encoding with empirical Bayes shrinkage (Micci-Barreca, 2001). Both are scored on the
    half of the rows that they were not fitted to, so an identifier has no skill; what they lose by it, the plain area
    does not. Where the label is a number, a straight line through the values and one through the ranks are tried, which
    fit outliers better than a tree's leaves do. For several classes it is the skill of the class that is best predicted
    against the rest. The interval is corrected for the number of skills that were compared.

    Args:
        series: The feature, in the rows of the table that the target was made of.
        target: The label.
        categorical: Whether the project calls it categorical.
    """
    series = plain_series(series).filter(pl.Series(target.present))
    if series.n_unique() < 2:
        chance = 0.5 if target.classes else 0.0
        return Skill(series.name, target.measure, chance, (chance, chance))
    candidates: list[_Scores] = []
    if target.classes and (is_ordered(series) or series.drop_nulls().n_unique() == 2):
        candidates += _by_rank(series if is_ordered(series) else series.rank("dense"), target)
    if is_ordered(series) and not categorical:
        candidates += _by_column(_fitted_by_tree(series, target), target)
        if not target.classes:
            by_rank = replace(target, values=ranks(pl.Series(target.values)))
            candidates += _by_column(_fitted_by_line(as_numbers(series), target), target)
            candidates += _by_column(_fitted_by_line(ranks(series), by_rank), by_rank)
    else:
        candidates += _by_column(_fitted_by_encoding(series, target), target)
    absent = series.is_null().to_numpy()
    if absent.any():
        candidates += _by_column(_fitted_by_missing(absent, target), target, missing=True)
    return _greatest(series.name, candidates, target=target)


@dataclass(frozen=True)
class _Scores:
    """What ranks or predicts a goal of the label: the goal, and a score for each row."""

    goal: np.ndarray[Any, Any]
    values: Numbers
    missing: bool = False
    either_way: bool = False  # whether lower scores may stand for the goal too


def _greatest(feature: str, candidates: Sequence[_Scores], *, target: Label) -> Skill:
    """The greatest skill of several scores, its interval corrected for having looked at all of them.

    Each has an interval at the level of Bonferroni; all hold together, so the greatest of the skills lies between the
    greatest lower bound and the greatest upper bound.
    """
    confidence = 1 - (1 - CONFIDENCE) / len(candidates)
    skills = [(*_skill(scores, target, confidence=confidence), scores.missing) for scores in candidates]
    observed, _, missing = max(skills, key=lambda skill: skill[0])
    low, high = (max(interval[end] for _, interval, _ in skills) for end in (0, 1))
    return Skill(feature, target.measure, observed, (low, high), missing)


def _skill(scores: _Scores, target: Label, *, confidence: float) -> tuple[float, Interval]:
    if not target.classes:
        return _r_squared(scores.goal, scores.values, confidence=confidence)
    area, (low, high) = roc_auc(scores.goal, scores.values, confidence=confidence)
    return (1 - area, (1 - high, 1 - low)) if scores.either_way and area < 0.5 else (area, (low, high))


def _r_squared(values: Numbers, predicted: Numbers, *, confidence: float) -> tuple[float, Interval]:
    """R² with its interval by the delta method for a ratio of means (Cochran, Sampling Techniques, 1977)."""
    from scipy.special import ndtri

    errors, spread = (values - predicted) ** 2, (values - values.mean()) ** 2
    ratio = float(errors.mean() / spread.mean())
    deviation = math.sqrt(float(((errors - ratio * spread) ** 2).mean()) / len(values)) / float(spread.mean())
    observed, reach = max(0.0, 1 - ratio), -float(ndtri((1 - confidence) / 2)) * deviation
    return observed, (max(0.0, observed - reach), min(1.0, observed + reach))


def _by_column(scores: Numbers, target: Label, *, missing: bool = False) -> list[_Scores]:
    """Scores of each judged class, shape (rows, classes), or predicted numbers, shape (rows, 1)."""
    return [_Scores(goal, column, missing) for goal, column in zip(target.goals, scores.T, strict=True)]


def _by_rank(series: pl.Series, target: Label) -> list[_Scores]:
    """The values as they are, which need no fitting: higher ones, or lower ones, stand for each judged class.

    Missing values rank where the cut would be that calls as many rows positive as there are.
    """
    values = ranks(series)
    return [_Scores(goal, _with_missing_at_cut(values, goal), either_way=True) for goal in target.goals]


def _with_missing_at_cut(values: Numbers, goal: np.ndarray[Any, Any]) -> Numbers:
    is_known, share = ~np.isnan(values), float(goal.mean())
    if is_known.all() or len(np.unique(goal[is_known])) < 2:
        return np.where(is_known, values, -1.0)
    rises = values[is_known][goal[is_known]].mean() >= values[is_known].mean()
    cut = np.quantile(values[is_known], 1 - share if rises else share, method="inverted_cdf")
    return np.where(is_known, values, cut + 0.5 if rises else cut - 0.5)


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
    times = series.cast(pl.Datetime("us"))  # in UTC, if of a zone
    parts = [times.dt.month(), times.dt.day(), times.dt.weekday()]
    return parts if series.dtype == pl.Date else [*parts, times.dt.hour()]


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
