"""Out-of-fold predictions: of training rows, by models of the same recipe that were not fitted on them.

`train_model` writes them where the test split is small, and `evaluate_model` judges from them and from the test rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.project import Project
from modelway.components.core.errors import DamagedError, first_line
from modelway.components.core.measures.metrics import Array, Predictions
from modelway.components.core.tables.parquet import label_of

FOLDS = 5
REASON = "modelway.reason"  # the key of the file's metadata that says why there are none
METADATA_KEY = "out_of_fold_sha256"  # of the model's folder, which binds them to the model
_ROW, _REPEAT = "row", "repeat_"


@dataclass(frozen=True)
class OutOfFold:
    """The rows, and the predictions of each of them in each repeat; no repeats where they were not made.

    Attributes:
        table: The training rows, raw.
        repeats: For each repeat, the predictions of all rows; the classes are those of the final model.
        reason: Why there are none.
    """

    table: pl.DataFrame
    repeats: tuple[Predictions, ...] = ()
    reason: str = ""

    def write(self, path: str) -> None:
        """Writes them as Parquet: a struct of the row's columns, and one of its predictions for each repeat."""
        columns: list[pl.Series] = [self.table.to_struct(_ROW)] if self.repeats else []
        columns += [_as_series(f"{_REPEAT}{number}", repeat) for number, repeat in enumerate(self.repeats)]
        pl.DataFrame(columns).write_parquet(path, metadata={REASON: self.reason})

    @classmethod
    def read(cls, path: str, project: Project, *, classes: Sequence[str]) -> OutOfFold:
        """Reads what was written.

        Args:
            path: The file.
            project: Names the label.
            classes: The final model's classes, in its order; empty for regression.

        Raises:
            DamagedError: it is no such file, or of a model with other classes.
        """
        try:
            content = pl.read_parquet(path, glob=False)
            reason = pl.read_parquet_metadata(path).get(REASON, "")
            if not content.width:
                return cls(content, (), reason)
            table = content[_ROW].struct.unnest()
            numbers = {name: number for number, name in enumerate(classes)}
            label = label_of(table, project)
            truth = label if not classes else _class_numbers([str(value) for value in label.tolist()], numbers)
            repeats = tuple(
                _as_predictions(content[name], truth, numbers=numbers)
                for name in content.columns
                if name.startswith(_REPEAT)
            )
        except (OSError, KeyError, pl.exceptions.PolarsError) as error:
            raise DamagedError(
                f"the out-of-fold predictions cannot be read: {first_line(error)}",
                file=path,
                remedy="train the model again",
            ) from error
        return cls(table, repeats, reason)


def _as_series(name: str, predictions: Predictions) -> pl.Series:
    """Predictions with the classes by their names."""
    if not predictions.classes:
        return pl.Series(name, predictions.predicted).to_frame("predicted").to_struct(name)
    names = [*predictions.classes, None]
    fields: dict[str, Any] = {"predicted": pl.Series([names[code] for code in predictions.predicted], dtype=pl.String)}
    if predictions.probabilities is not None:
        shares = dict(zip(predictions.classes, predictions.probabilities.T, strict=True))
        fields["probabilities"] = pl.DataFrame(shares).to_struct("probabilities")
    if predictions.scores is not None:
        fields["score"] = pl.Series(predictions.scores)
    return pl.DataFrame(fields).to_struct(name)


def _as_predictions(series: pl.Series, truth: Array, *, numbers: dict[str, int]) -> Predictions:
    fields = series.struct.unnest()
    if not numbers:
        return Predictions(truth, fields["predicted"].to_numpy(), None, ())
    probabilities = None
    if "probabilities" in fields.columns:
        shares = fields["probabilities"].struct.unnest()
        probabilities = np.column_stack([shares[name].to_numpy() for name in numbers])
    predicted = _class_numbers(fields["predicted"].to_list(), numbers)
    scores = fields["score"].to_numpy() if "score" in fields.columns else None
    return Predictions(truth, predicted, probabilities, tuple(numbers), scores=scores)


def _class_numbers(names: Sequence[str | None], numbers: dict[str, int]) -> Array:
    """Class numbers; a class that the model does not have gets the number after the last."""
    return np.asarray([len(numbers) if name is None else numbers.get(name, len(numbers)) for name in names], dtype=int)
