"""What a contract is proposed to say of each kind of column, and from what evidence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.pipelines.project.propose_contract import is_category, proposed_columns, proposed_contract

ROWS = 400
RNG = np.random.default_rng(11)
LABEL = [i % 2 for i in range(ROWS)]
SEEN = {"rows": ROWS}
TODAY = dt.datetime.now(dt.UTC).date()


def column_of(values: Any, *, name: str = "x", **how: Any) -> dict[str, Any]:
    """A column's lines, in a table with a label; by the model of a contract they are valid, and all are evidence."""
    table = pl.DataFrame([pl.Series(name, values), pl.Series("label", LABEL[: len(values)])])
    columns = proposed_columns(table, label="label", task="binary", **how)
    column = Contract.model_validate({"columns": columns}).columns[name]
    assert all(column.seen_for(line) is not None for line in column.lines())
    return columns[name]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            RNG.integers(18, 91, ROWS).clip(18, 90), {"type": "integer", "minimum": 18, "maximum": 90}, id="integer"
        ),
        pytest.param(
            np.append(RNG.uniform(0.3, 7.4, ROWS - 2), [0.3, 7.43]),
            {"type": "number", "minimum": 0, "maximum": 7.5},
            id="number",
        ),
        pytest.param(RNG.permutation(LABEL).astype(bool), {"type": "boolean"}, id="boolean"),
        pytest.param([dt.date(2020, 1, 1 + i % 28) for i in range(ROWS)], {"type": "date"}, id="dates"),
        pytest.param([f"{i % 7} words {i}" for i in RNG.permutation(ROWS)], {"type": "string"}, id="free text"),
    ],
)
def test_each_kind_of_column_has_its_lines(values: Any, expected: dict[str, Any]) -> None:
    bounds = {key: value for key, value in expected.items() if key != "type"}
    assert column_of(values) == expected | {"seen": SEEN | bounds}


def test_infinite_and_missing_numbers_are_no_extremes() -> None:
    values = [None, float("inf"), float("-inf"), float("nan"), *RNG.uniform(10.1, 19.9, ROWS - 4)]
    column = column_of(pl.Series("x", values).fill_nan(None))
    assert (column["minimum"], column["maximum"], column["seen"]["nulls"]) == (10.1, 19.9, 2)


def test_missing_values_are_counted_and_their_share_is_the_line() -> None:
    values = [None if i in {3, 77, 301} else i % 50 / 7 for i in RNG.permutation(ROWS)]
    column = column_of(values)
    assert column["max_nulls"] == 0.0075
    assert column["seen"]["nulls"] == 3
    nothing = column_of(pl.Series("x", [None] * ROWS, dtype=pl.Float64))
    assert nothing == {"type": "number", "max_nulls": 1.0, "seen": SEEN | {"nulls": ROWS}}


def test_values_that_do_not_parse_are_counted_and_are_not_missing_ones() -> None:
    values = ["bad" if i == 5 else "" if i == 6 else f"{i % 50}" for i in RNG.permutation(ROWS)]
    column = column_of(values)
    assert column["type"] == "integer"
    assert column["seen"]["unparsed"] == column["seen"]["nulls"] == 1
    assert column["max_nulls"] == 0.0025


def test_categories_are_counted() -> None:
    values = RNG.permutation(["b"] * 350 + ["ü"] * 49 + ["yes"])
    column = column_of(values)
    assert column["categories"] == ["b", "yes", "ü"]
    assert column["seen"] == SEEN | {"categories": {"b": 350, "yes": 1, "ü": 49}}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(["a", "b"] * 50, True, id="two"),
        pytest.param([f"{i % 30}" for i in range(100)], True, id="thirty"),
        pytest.param([f"{i % 31}" for i in range(100)], False, id="more"),
        pytest.param([f"{i}" for i in range(20)], False, id="seen once"),
        pytest.param([None] * 9, False, id="nothing"),
        pytest.param([1, 2] * 50, False, id="numbers"),
    ],
)
def test_a_category_is_text_of_few_values_that_come_back(values: list[Any], expected: bool) -> None:
    assert is_category(pl.Series(values)) == expected


def test_keys_are_unique_and_have_no_bounds() -> None:
    column = column_of(RNG.permutation(ROWS))
    assert column == {"type": "integer", "unique": True, "seen": SEEN}


def test_columns_that_nothing_uses_have_a_type_and_missing_values_alone() -> None:
    numbers = RNG.integers(0, 9, ROWS)
    assert column_of(numbers, unused=["x"]) == {"type": "integer", "seen": SEEN}
    assert column_of(RNG.permutation(["a", "b"] * 200), unused=["x"]) == {"type": "string", "seen": SEEN}


def test_what_grows_has_no_maximum_and_what_falls_no_minimum() -> None:
    rising = column_of(1_000 + 3 * np.arange(ROWS) + RNG.normal(0, 5, ROWS))
    assert "minimum" in rising
    assert "maximum" not in rising
    falling = column_of(9_000 - 3 * np.arange(ROWS) + RNG.normal(0, 5, ROWS))
    assert not {"minimum", "maximum"} & set(falling)
    year = column_of(RNG.permutation([1990 + i % 20 for i in range(ROWS)]), name="birth_year")
    assert (year["minimum"], "maximum" in year) == (1990, False)
    study_year = column_of(RNG.permutation([1 + i % 5 for i in range(ROWS)]), name="year")
    assert (study_year["minimum"], study_year["maximum"]) == (1, 5)


def test_what_grows_with_a_date_has_no_maximum() -> None:
    order = RNG.permutation(ROWS)
    days = [dt.date(2021, 1, 1) + dt.timedelta(int(day)) for day in order]
    table = pl.DataFrame({"day": days, "meter": order * 7.5, "down": 5_000 - order * 7.5, "label": LABEL})
    columns = proposed_columns(table, label="label", task="binary")
    assert ("minimum" in columns["meter"], "maximum" in columns["meter"]) == (True, False)
    assert ("minimum" in columns["down"], "maximum" in columns["down"]) == (False, True)


def test_planned_times_may_lie_in_the_future_and_others_have_no_maximum() -> None:
    ends = [dt.date(9999, 12, 31) if i % 5 else dt.date(2020, 5, 1) for i in range(ROWS)]
    assert column_of(ends)["maximum"] == column_of(ends)["seen"]["maximum"] == dt.date(9999, 12, 31)
    soon = [TODAY + dt.timedelta(days=i % 40) for i in range(ROWS)]
    latest = column_of(soon)["maximum"]
    assert (latest.month, latest.day, latest.year) == (12, 31, (TODAY + dt.timedelta(days=78)).year)
    moments = [dt.datetime(9999, 12, 31, 23, 59, 59)] * ROWS
    assert column_of(moments)["maximum"] >= moments[0]


@pytest.mark.parametrize(
    ("label", "task", "expected"),
    [
        pytest.param([0, 1] * 200, "binary", {"type": "integer", "categories": [0, 1]}, id="integers"),
        pytest.param([1.0, 2.0] * 200, "binary", {"type": "integer", "categories": [1, 2]}, id="whole numbers"),
        pytest.param([0.5, 2.0] * 200, "binary", {"type": "number"}, id="fractions"),
        pytest.param([True, False] * 200, "binary", {"type": "boolean", "categories": [False, True]}, id="booleans"),
        pytest.param(
            ["c", "a", "b", "a"] * 100, "multiclass", {"type": "string", "categories": ["a", "b", "c"]}, id="texts"
        ),
        pytest.param([0.39 + i / 50 for i in range(ROWS)], "regression", {"type": "number"}, id="regression"),
    ],
)
def test_the_label_has_its_classes_no_bounds_and_no_evidence(
    label: list[Any], task: str, expected: dict[str, Any]
) -> None:
    columns = proposed_columns(pl.DataFrame({"x": LABEL, "label": label}), label="label", task=task)
    assert columns["label"] == expected
    assert Contract.model_validate({"columns": columns}).level("label") == 0.01 / 4


def test_rows_of_a_group_count_as_one() -> None:
    person = np.repeat(np.arange(100), 4)
    table = pl.DataFrame(
        {
            "person": person,
            "city": [["Ulm", "Jena"][number % 2] for number in person],
            "age": [None if number == 7 else number % 50 for number in person],
            "label": LABEL,
        }
    )
    columns = proposed_columns(table, label="label", task="binary", group="person")
    assert columns["city"]["seen"] == {"rows": 100, "categories": {"Jena": 50, "Ulm": 50}}
    assert columns["age"]["seen"]["nulls"] == 1
    assert columns["age"]["max_nulls"] == 0.01
    assert columns["person"] == {"type": "integer", "seen": {"rows": 100}}


def test_rows_that_are_alike_in_their_order_weigh_as_one() -> None:
    values = RNG.normal(size=5_000)
    shuffled, ordered = (
        proposed_columns(pl.DataFrame({"x": x, "label": [0, 1] * 2_500}), label="label", task="binary")["x"]["seen"]
        for x in (values, np.sort(np.abs(values)))
    )
    assert "rows_as_one" not in shuffled
    assert ordered["rows_as_one"] == pytest.approx(5_000 / 9, rel=0.02)


def test_a_projects_contract_describes_what_it_uses() -> None:
    table = pl.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS), "label": LABEL})
    project = Project.model_validate(
        {
            "name": "p",
            "task": "binary",
            "label": "label",
            "data": {"source": "t.csv"},
            "features": {"numeric": ["a"]},
            "model": {"estimator": "sklearn.tree.DecisionTreeClassifier"},
        }
    )
    columns = proposed_contract(table, project).columns
    assert columns["a"].minimum is not None
    assert columns["b"].minimum is None
    assert columns["label"].categories == (0, 1)
