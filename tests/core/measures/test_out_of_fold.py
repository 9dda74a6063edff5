from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from user_files import minimal_project_text

from modelway.components.core.config.project import Project
from modelway.components.core.errors import DamagedError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.core.measures.out_of_fold import OutOfFold

ROWS = pl.DataFrame(
    {
        "row": [1.5, None, 3.0, 4.0],  # named as the file's own columns are
        "repeat_0": ["a", None, "b", "c"],
        "opened": [dt.datetime(2024, 1, day) for day in (1, 2, 3, 4)],
        "nothing": pl.Series([None] * 4, dtype=pl.Null),
        "late": [0, 1, 1, 0],
        "grade": ["x", "y", "z", "x"],
        "amount": [1.0, -2.0, 0.5, 9.0],
    }
)


def project(task: str, label: str) -> Project:
    return Project.parse(minimal_project_text(task=task, label=label, features={"numeric": ["row"]}))


def assert_equal(first: Predictions, second: Predictions) -> None:
    assert first.classes == second.classes
    np.testing.assert_array_equal(first.truth, second.truth)
    np.testing.assert_array_equal(first.predicted, second.predicted)
    assert (first.probabilities is None) is (second.probabilities is None)
    if first.probabilities is not None:
        np.testing.assert_array_equal(first.probabilities, second.probabilities)


@pytest.mark.parametrize("has_probabilities", [True, False])
@pytest.mark.parametrize(
    ("task", "label", "classes"),
    [("binary", "late", ("0", "1")), ("binary", "late", ("1", "0")), ("multiclass", "grade", ("x", "y", "z"))],
)
def test_predictions_of_classes_are_read_as_they_were_written(
    tmp_path: Path, task: str, label: str, classes: tuple[str, ...], has_probabilities: bool
) -> None:
    truth = np.asarray([classes.index(str(value)) for value in ROWS[label].to_list()])
    shares = np.random.default_rng(0).dirichlet(np.ones(len(classes)), 4) if has_probabilities else None
    repeats = tuple(
        Predictions(truth, np.asarray(codes), shares, classes) for codes in ([0, 1, 1, 0], [1, 1, len(classes), 0])
    )
    OutOfFold(ROWS, repeats).write(str(tmp_path / "predictions"))
    restored = OutOfFold.read(str(tmp_path / "predictions"), project(task, label), classes=classes)
    assert restored.table.equals(ROWS)
    for first, second in zip(restored.repeats, repeats, strict=True):
        assert_equal(first, second)


def test_a_decision_functions_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    scores = np.asarray([-1.5, 0.0, 1e-300, 7.25])
    repeat = Predictions(ROWS["late"].to_numpy(), np.asarray([0, 1, 1, 1]), None, ("0", "1"), scores=scores)
    OutOfFold(ROWS, (repeat,)).write(str(tmp_path / "predictions"))
    restored = OutOfFold.read(str(tmp_path / "predictions"), project("binary", "late"), classes=("0", "1")).repeats[0]
    assert_equal(restored, repeat)
    np.testing.assert_array_equal(restored.ranking, scores)


def test_the_order_of_the_classes_is_the_readers(tmp_path: Path) -> None:
    shares = np.asarray([[0.9, 0.1]] * 4)
    OutOfFold(ROWS, (Predictions(ROWS["late"].to_numpy(), np.zeros(4, dtype=int), shares, ("0", "1")),)).write(
        str(tmp_path / "predictions")
    )
    (repeat,) = OutOfFold.read(str(tmp_path / "predictions"), project("binary", "late"), classes=("1", "0")).repeats
    assert repeat.truth.tolist() == [1, 0, 0, 1]
    assert repeat.predicted.tolist() == [1] * 4
    assert repeat.probabilities is not None
    assert repeat.probabilities[0].tolist() == [0.1, 0.9]


def test_predictions_of_numbers_are_read_as_they_were_written(tmp_path: Path) -> None:
    repeat = Predictions(ROWS["amount"].to_numpy(), np.asarray([0.1, 0.2, np.nan, 1e300]), None, ())
    OutOfFold(ROWS, (repeat,)).write(str(tmp_path / "predictions"))
    restored = OutOfFold.read(str(tmp_path / "predictions"), project("regression", "amount"), classes=())
    assert_equal(restored.repeats[0], repeat)


def test_where_there_are_none_the_reason_is_kept_and_no_row(tmp_path: Path) -> None:
    OutOfFold(ROWS, reason="the split is by time").write(str(tmp_path / "predictions"))
    restored = OutOfFold.read(str(tmp_path / "predictions"), project("binary", "late"), classes=("0", "1"))
    assert (restored.repeats, restored.reason, restored.table.shape) == ((), "the split is by time", (0, 0))


@pytest.mark.parametrize("content", [b"", b"PAR1 not really", b"a,b\n1,2\n"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "predictions").write_bytes(content)
    with pytest.raises(DamagedError, match="cannot be read") as error:
        OutOfFold.read(str(tmp_path / "predictions"), project("binary", "late"), classes=("0", "1"))
    assert error.value.file == str(tmp_path / "predictions")


def test_another_table_is_not_taken_for_predictions(tmp_path: Path) -> None:
    ROWS.drop("row", "repeat_0", "nothing").write_parquet(tmp_path / "predictions")
    with pytest.raises(DamagedError, match="cannot be read"):
        OutOfFold.read(str(tmp_path / "predictions"), project("binary", "late"), classes=("0", "1"))
