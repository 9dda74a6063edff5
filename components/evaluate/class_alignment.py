"""Two models' predictions of the same rows where one knows a class that the other does not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelway.components.core.measures.metrics import Array, Predictions


@dataclass(frozen=True)
class Alignment:
    """Two models' predictions, with the same numbers for the same classes.

    Attributes:
        candidate: The candidate's.
        champion: The champion's.
        rows: Those on which they can be compared; None: all.
        note: Which classes are new or gone; empty if none is.
    """

    candidate: Predictions
    champion: Predictions
    rows: Array | None = None
    note: str = ""


def align_classes(candidate: Predictions, champion: Predictions) -> Alignment:
    """Numbers the classes of two models alike.

    A class that the candidate does not know has the probability 0 from it: it has lost the class, and its rows count.
    Rows of a class that the champion does not know are left out, since being better on them says nothing of the others.

    Args:
        candidate: The candidate's predictions.
        champion: The champion's, of the same rows.
    """
    if candidate.classes == champion.classes:
        return Alignment(candidate, champion)
    new = [name for name in candidate.classes if name not in champion.classes]
    gone = [name for name in champion.classes if name not in candidate.classes]
    classes = (*candidate.classes, *gone) if new else champion.classes
    candidate, champion = (_renumbered(predictions, classes) for predictions in (candidate, champion))
    is_new = np.isin(champion.truth, [classes.index(name) for name in new])
    parts = []
    if new:
        parts.append(f"new is {_names(new)}, whose {int(is_new.sum()):,} rows are left out of the comparison")
    if gone:
        rows = int(np.isin(champion.truth, [classes.index(name) for name in gone]).sum())
        parts.append(f"gone is {_names(gone)}, of which there are {rows:,} rows, all of them wrong")
    note = f"the champion knows other classes: {'; '.join(parts)}" if parts else ""
    return Alignment(candidate, champion, np.flatnonzero(~is_new) if is_new.any() else None, note)


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _renumbered(predictions: Predictions, classes: tuple[str, ...]) -> Predictions:
    """Predictions with the classes' numbers by other classes, which are more; new ones have the probability 0."""
    names = (*predictions.classes, *predictions.untrained)
    untrained = tuple(name for name in predictions.untrained if name not in classes)
    numbers = np.array([(*classes, *untrained).index(name) for name in names])
    probabilities = None
    if predictions.probabilities is not None:
        probabilities = np.zeros((len(predictions.truth), len(classes)))
        probabilities[:, numbers[: len(predictions.classes)]] = predictions.probabilities
    lost = len(classes) + len(untrained)  # what the model predicts that is not among its classes
    predicted = np.append(numbers, lost)[np.minimum(predictions.predicted, len(names))]
    scores = predictions.scores if classes == predictions.classes else None
    return Predictions(numbers[predictions.truth], predicted, probabilities, classes, untrained, scores)
