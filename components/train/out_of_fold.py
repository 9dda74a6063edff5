"""Out-of-fold predictions of small tables, so that a model is judged by more rows than a small test split has."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import polars as pl
from sklearn.pipeline import Pipeline

from modelway.components.core.config.project import Project, Split
from modelway.components.core.errors import first_line
from modelway.components.core.measures.metrics import Array, Predictions, ordered_classes, predict
from modelway.components.core.measures.out_of_fold import FOLDS, OutOfFold
from modelway.components.core.tables.parquet import label_of, to_model_input
from modelway.components.core.tables.placement import MOSTLY_DISTINCT
from modelway.components.train.fit import fit_raw

ENOUGH_TEST_ROWS = 1000
MOST_FITS = 20
MOST_SECONDS = 300.0  # for five folds once
REPEATED_SECONDS = 60.0  # for them and their repeats


def out_of_fold(project: Project, table: pl.DataFrame, *, pipeline: Pipeline, fit_seconds: float) -> OutOfFold:
    """Predicts each training row by models of the same recipe, preparation included, that were fitted without it.

    Five folds, repeated with other folds while all fits together are few and short (see `repeats_within`). Rows of one
    group or identifier are in one fold, and so are copies of a row; the classes are spread evenly over the folds.

    Args:
        project: The project.
        table: The raw training split.
        pipeline: The final model, whose preparation is fitted anew on each fold's training rows.
        fit_seconds: How long fitting it took.

    Returns:
        The predictions; with a reason in their place where the test split is large, the split is by time, fitting takes
        long, or the recipe cannot be fitted on a part of the rows.
    """
    split = project.data.split
    test_rows = len(table) * split.test_fraction / (1 - split.test_fraction - split.unseen_fraction)
    repeats = repeats_within(fit_seconds)
    if test_rows >= ENOUGH_TEST_ROWS:
        return OutOfFold(table.clear(), reason="the test split is large enough by itself")
    if split.by == "time":
        return OutOfFold(
            table.clear(), reason="the split is by time: models of earlier folds would be of other times and fewer rows"
        )
    if not repeats:
        return OutOfFold(table.clear(), reason=f"{FOLDS} more fits would take more than {MOST_SECONDS:g} s")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about few rows in a fold
            predictions = tuple(_repeat(project, table, pipeline=pipeline, number=number) for number in range(repeats))
    except Exception as error:  # of the user's own code too: the final model was fitted, so training goes on
        return OutOfFold(table.clear(), reason=f"the recipe fails on a part of the rows: {first_line(error)}")
    return OutOfFold(table, predictions)


def repeats_within(fit_seconds: float) -> int:
    """How often five folds are fitted, at four fifths of a fit's time each.

    Once within five minutes; as often as one minute allows, in 20 fits at most.
    """
    seconds = max(fit_seconds, 1e-9) * FOLDS * (FOLDS - 1) / FOLDS
    if seconds > MOST_SECONDS:
        return 0
    return int(max(1, min(MOST_FITS // FOLDS, REPEATED_SECONDS // seconds)))


def folds(table: pl.DataFrame, label: Array, *, project: Project, number: int) -> Iterator[tuple[Array, Array]]:
    """The rows to fit on and the rows to predict, of each fold of a repeat.

    Args:
        table: The rows.
        label: Of each row.
        project: Its split says which rows stay together; its task, whether classes are spread evenly.
        number: The repeat's, from 0.

    Raises:
        ValueError: there are fewer rows or groups than folds.
    """
    from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

    groups = _groups(table, project.data.split, label=project.label)
    kinds = (KFold, GroupKFold) if project.task == "regression" else (StratifiedKFold, StratifiedGroupKFold)
    kind = kinds[groups is not None](FOLDS, shuffle=True, random_state=project.model.seed + number)
    yield from kind.split(label, label, groups)


def _groups(table: pl.DataFrame, split: Split, *, label: str) -> Array | None:
    """Which rows stay together: those of one group or identifier, or else copies of a row, whatever their labels."""
    if split.column is not None:
        return np.asarray(table[split.column].rank("dense").to_numpy())
    if split.equal_rows == "apart":
        return None
    rows = np.asarray(table.select(sorted(set(table.columns) - {label})).hash_rows().rank("dense").to_numpy())
    distinct = len(np.unique(rows))
    are_copies = split.equal_rows == "together" or distinct >= MOSTLY_DISTINCT * len(rows)
    return rows if are_copies and distinct < len(rows) else None


def _repeat(project: Project, table: pl.DataFrame, *, pipeline: Pipeline, number: int) -> Predictions:
    """The predictions of all rows in one repeat."""
    label = label_of(table, project)
    parts: list[Predictions] = []
    order: list[Array] = []
    for training, held_out in folds(table, label, project=project, number=number):
        model = fit_raw(project, table[training], label=label[training], steps=pipeline.steps[0][1])
        rows = table[held_out]
        features = to_model_input(rows, project.features.columns)
        parts.append(predict(model, features, truth=label[held_out], project=project))
        order.append(held_out)
    classes = _classes(pipeline, label, project=project)
    places = np.argsort(np.concatenate(order))
    predicted = np.concatenate([_renumbered(part, classes) for part in parts])[places]
    if not classes:
        return Predictions(label, predicted, None, ())
    probabilities = [_probabilities(part, classes) for part in parts]
    is_complete = all(part is not None for part in probabilities)
    # The truth is read from the rows again.
    truth = np.zeros(len(label), dtype=np.int64)
    scores = [part.scores for part in parts if part.scores is not None]
    if 0 < len(scores) < len(parts):
        raise ValueError("a fold's training rows have one class")
    return Predictions(
        truth,
        predicted,
        np.concatenate(probabilities)[places] if is_complete else None,  # type: ignore[arg-type]
        classes,
        scores=np.concatenate(scores)[places] if scores else None,
    )


def _classes(pipeline: Pipeline, label: Array, *, project: Project) -> tuple[str, ...]:
    """The final model's classes, the positive one last, as predictions have them."""
    if project.task == "regression":
        return ()
    classes = list(getattr(pipeline, "classes_", np.unique(label)))
    return tuple(str(value) for value in ordered_classes(classes, project))


def _renumbered(predictions: Predictions, classes: tuple[str, ...]) -> Array:
    """Predicted classes by the final model's numbers; numbers as they are."""
    if not classes:
        return predictions.predicted
    numbers = {name: number for number, name in enumerate(classes)}
    codes = np.asarray([*(numbers.get(name, len(classes)) for name in predictions.classes), len(classes)])
    return np.asarray(codes[predictions.predicted])


def _probabilities(predictions: Predictions, classes: tuple[str, ...]) -> Array | None:
    """The probabilities of the final model's classes; 0 for those that the fold had no rows of."""
    if predictions.probabilities is None:
        return None
    columns = dict(zip(predictions.classes, predictions.probabilities.T, strict=True))
    nothing = np.zeros(len(predictions.truth))
    return np.column_stack([columns.get(name, nothing) for name in classes])
