"""Made-up rows are rows that the contract accepts, and the same each time."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from user_files import minimal_project

from modelway.components.core.config.contract import Contract
from modelway.pipelines.project.example_rows import example_table
from modelway.pipelines.project.traced_call import EXAMPLE_ROWS
from modelway.pipelines.project.workspace import Workspace

COLUMNS: dict[str, dict[str, Any]] = {
    "income": {"type": "number", "minimum": 5, "maximum": 6},
    "rooms": {"type": "integer", "minimum": 3, "max_nulls": 0.1},
    "owner": {"type": "boolean"},
    "region": {"type": "string", "categories": ["north", "south"]},
    "note": {"type": "string"},
    "opened": {"type": "date", "maximum": dt.date(2020, 1, 1)},
    "seen": {"type": "datetime"},
    "late": {"type": "boolean"},
    "grade": {"type": "string"},
}
FEATURES = {"numeric": ["income", "rooms", "owner"], "categorical": ["region", "note"], "datetime": ["opened", "seen"]}


def table(label: dict[str, Any] | None = None, **keys: Any) -> pl.DataFrame:
    columns = COLUMNS | ({"late": label} if label else {})
    contract = Contract.model_validate({"columns": columns})
    return example_table(minimal_project(features=FEATURES, **keys), contract, rows=EXAMPLE_ROWS)


def test_features_are_as_the_contract_describes_them() -> None:
    rows = table()
    assert len(rows) == EXAMPLE_ROWS
    assert rows["income"].is_between(5, 6).all()
    assert rows["rooms"].dtype.is_integer()
    assert rows["rooms"].min() >= 3  # type: ignore[operator]
    assert rows["rooms"].null_count() == 1
    assert set(rows["owner"]) == {True, False}
    assert set(rows["region"]) == {"north", "south"}
    assert rows["note"].dtype == pl.String
    assert rows["opened"].dtype == pl.Date
    assert rows["opened"].max() <= dt.date(2020, 1, 1)  # type: ignore[operator]
    assert rows["seen"].dtype == pl.Datetime("us")
    assert sum(rows.null_count().row(0)) == 1


def test_they_are_the_same_each_time() -> None:
    assert table().equals(table())


@pytest.mark.parametrize(
    ("label", "keys", "classes"),
    [
        ({"type": "boolean"}, {}, {True, False}),
        ({"type": "integer"}, {}, {0, 1}),
        ({"type": "integer", "categories": [3, 7]}, {}, {3, 7}),
        ({"type": "string", "categories": ["no", "yes"]}, {}, {"no", "yes"}),
        ({"type": "string"}, {"positive": "yes"}, {"yes", "a"}),
        ({"type": "integer"}, {"model": {"estimator": "x.Y", "class_weight": {"0": 1, "5": 2}}}, {0, 5}),
        ({"type": "string"}, {"task": "multiclass"}, {"a", "b", "c"}),
    ],
)
def test_a_label_has_the_classes_that_the_files_name(
    label: dict[str, Any], keys: dict[str, Any], classes: set[Any]
) -> None:
    assert set(table(label, **keys)["late"]) == classes


def test_a_number_is_predicted_from_within_its_bounds() -> None:
    label = table({"type": "number", "minimum": 1, "maximum": 2}, task="regression")["late"]
    assert label.is_between(1, 2).all()
    assert label.n_unique() > 2


def test_the_example_has_such_rows_too() -> None:
    workspace = Workspace.load(Path(__file__).resolve().parents[3] / "examples" / "insurance")
    rows = example_table(workspace.project, workspace.contract, rows=EXAMPLE_ROWS)
    assert rows.columns == [*workspace.project.features.columns, workspace.project.label]
    assert rows[workspace.project.label].n_unique() == 2
