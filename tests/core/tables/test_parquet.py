from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.tables.parquet import (
    as_numbers,
    as_text,
    label_of,
    positive_class,
    read_table,
    to_model_input,
)

Text = Callable[..., str]
DAY = dt.date(2024, 1, 2)
MOMENT = dt.datetime(2024, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("series", "kind", "values"),
    [
        (pl.Series([1, None, 3]), "float64", [1.0, None, 3.0]),
        (pl.Series([1, 2], dtype=pl.UInt8), "float64", [1.0, 2.0]),
        (pl.Series([True, None, False]), "float64", [1.0, None, 0.0]),
        (pl.Series([1.5, float("nan"), None]), "float64", [1.5, None, None]),
        (pl.Series([None, None]), "float64", [None, None]),
        (pl.Series(["1.50"]).cast(pl.Decimal(10, 2)), "float64", [1.5]),
        (pl.Series(["a", None, ""]), "object", ["a", None, ""]),
        (pl.Series(["a", "b"], dtype=pl.Categorical), "object", ["a", "b"]),
        (pl.Series([DAY, None]), "datetime64[us]", [dt.datetime(2024, 1, 2), None]),
        (pl.Series([MOMENT], dtype=pl.Datetime("ns")), "datetime64[us]", [MOMENT]),
    ],
)
def test_every_type_becomes_one_of_three(series: pl.Series, kind: str, values: list[Any]) -> None:
    column = to_model_input(pl.DataFrame({"x": series}), ["x"])["x"]
    assert str(column.dtype) == kind
    cells = [None if value is None or value != value else value for value in column.tolist()]  # noqa: PLR0124
    assert cells == values


def test_missing_text_is_none_and_not_nan() -> None:
    assert to_model_input(pl.DataFrame({"x": ["a", None]}), ["x"])["x"].tolist() == ["a", None]


def test_columns_come_in_the_order_asked_for() -> None:
    frame = pl.DataFrame({"a": [1], "b": [2], "c": [3]})
    assert list(to_model_input(frame, ["c", "a"]).columns) == ["c", "a"]


def test_the_input_can_be_changed_without_the_table(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0]})
    model_input = to_model_input(frame, ["a"])
    model_input.loc[0, "a"] = 9.0
    assert frame["a"].to_list() == [1.0, 2.0]
    frame.write_parquet(tmp_path / "a.parquet")
    assert read_table(str(tmp_path / "a.parquet"), ["a"]).equals(frame)


@pytest.mark.parametrize(
    ("series", "texts"),
    [
        (pl.Series([1, None]), ["1", None]),
        (pl.Series([True, False]), ["true", "false"]),
        (pl.Series([[1, 2], None]), ["[1, 2]", None]),
        (pl.Series([{"a": "x"}]), ["{'a': 'x'}"]),
        (pl.Series([b"\xff", b"a"]), ["b'\\xff'", "b'a'"]),
    ],
)
def test_everything_has_a_text(series: pl.Series, texts: list[str | None]) -> None:
    assert as_text(series).to_list() == texts


@pytest.mark.parametrize(
    ("series", "numbers"),
    [
        (pl.Series([1, None]), [1.0, np.nan]),
        (pl.Series([dt.date(1970, 1, 2)]), [86_400e6]),
        (pl.Series([dt.datetime(1970, 1, 1, 0, 0, 1)], dtype=pl.Datetime("ms")), [1e6]),
        (pl.Series([dt.timedelta(seconds=1)], dtype=pl.Duration("us")), [1e6]),
        (pl.Series([dt.time(0, 0, 1), None]), [1e9, np.nan]),
    ],
)
def test_numbers_and_times_are_numbers(series: pl.Series, numbers: list[float]) -> None:
    np.testing.assert_array_equal(as_numbers(series), numbers)


@pytest.mark.parametrize(
    ("task", "series", "expected", "kind"),
    [
        ("regression", pl.Series([1, 2]), [1.0, 2.0], "f"),
        ("regression", pl.Series([0.5, 2]), [0.5, 2.0], "f"),
        ("binary", pl.Series([0, 1]), [0, 1], "i"),
        ("binary", pl.Series([True, False]), [1, 0], "i"),
        ("binary", pl.Series([0.0, 1.0]), [0, 1], "i"),
        ("binary", pl.Series([0.5, 1.0]), ["0.5", "1.0"], "O"),
        ("multiclass", pl.Series(["a", "b", "c"]), ["a", "b", "c"], "O"),
        ("multiclass", pl.Series(["a", "b"], dtype=pl.Categorical), ["a", "b"], "O"),
    ],
)
def test_labels(project_text: Text, task: str, series: pl.Series, expected: list[Any], kind: str) -> None:
    label = label_of(pl.DataFrame({"late": series}), Project.parse(project_text({"task": task})))
    assert label.tolist() == expected
    assert label.dtype.kind == kind


@pytest.mark.parametrize(
    ("classes", "positive", "expected"),
    [
        ([0, 1], None, 1),
        ([1, 0], None, 1),
        (["no", "yes"], None, "yes"),
        ([0, 1], 0, 0),
        ([0, 1], False, 0),
        ([0, 1], "0", 0),
        (["no", "yes"], "no", "no"),
        (["0", "1"], 0, "0"),
    ],
)
def test_the_positive_class(project_text: Text, classes: list[Any], positive: object, expected: object) -> None:
    assert positive_class(classes, Project.parse(project_text({"positive": positive}))) == expected


def test_a_positive_class_that_does_not_occur(project_text: Text) -> None:
    with pytest.raises(ModelwayError, match="does not occur") as error:
        positive_class(["no", "yes"], Project.parse(project_text({"positive": "Yes"})))
    assert (error.value.key, error.value.column, error.value.value) == ("positive", "late", "Yes")
    assert "no, yes" in error.value.remedy
