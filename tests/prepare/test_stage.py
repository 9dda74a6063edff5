from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from user_files import minimal_project_text

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.models import STEPS_FILE, load_skops
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.prepare.stage import prepare

FEATURES = {"numeric": ["income"], "categorical": ["region"], "datetime": ["seen"], "min_frequency": 1}


def project(features: Any = FEATURES, label: str = "late", task: str = "binary") -> str:
    return minimal_project_text(task=task, label=label, features=features)


def table(**columns: Any) -> pl.DataFrame:
    basic = {
        "income": [1.0, None, 3.0, 8.0],
        "region": ["north", "south", None, "north"],
        "seen": [dt.datetime(2024, 1, day) for day in (1, 2, 3, 4)],
        "unused": ["a", "b", "c", "d"],
        "late": [0, 1, 0, 1],
    }
    return pl.DataFrame({**basic, **columns})


def run(folder: Path, train: pl.DataFrame, text: str) -> int:
    train.write_parquet(folder / "train")
    return prepare(
        str(folder / "train"), text, steps_path=str(folder / "steps"), prepared_path=str(folder / "prepared")
    )


def test_the_prepared_rows_are_numbers_and_the_label(tmp_path: Path) -> None:
    assert run(tmp_path, table(), project()) == 9
    prepared_table = pl.read_parquet(tmp_path / "prepared")
    assert prepared_table.columns[0] == "income"
    assert prepared_table.columns[-1] == "late"
    assert set(prepared_table.dtypes[:-1]) == {pl.Float64}
    assert prepared_table["income"].to_list() == [1.0, 3.0, 3.0, 8.0]
    assert prepared_table["late"].to_list() == [0, 1, 0, 1]
    assert "unused" not in prepared_table.columns


def test_what_was_fitted_is_kept_and_knows_training_alone(tmp_path: Path) -> None:
    run(tmp_path, table(), project())
    steps = load_skops(tmp_path / "steps" / STEPS_FILE)
    columns = ["income", "region", "seen"]
    prepared_table = pl.read_parquet(tmp_path / "prepared").drop("late")
    np.testing.assert_array_equal(steps.transform(to_model_input(table(), columns)), prepared_table.to_numpy())
    later = table(income=[None, 1e9, 1e9, 1e9], region=["west"] * 4)
    result = steps.transform(to_model_input(later, columns))
    assert result["income"].tolist() == [3.0, 1e9, 1e9, 1e9]  # 3.0 is the median of the training rows
    assert result.filter(like="region_").to_numpy().sum() == 0


@pytest.mark.parametrize(
    ("task", "label", "expected"),
    [
        ("binary", [True, False, True, False], [1, 0, 1, 0]),
        ("binary", ["yes", "no", "yes", "no"], ["yes", "no", "yes", "no"]),
        ("binary", [0.0, 1.0, 0.0, 1.0], [0, 1, 0, 1]),
        ("multiclass", ["a", "b", "c", "a"], ["a", "b", "c", "a"]),
        ("regression", [1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_the_label_as_models_take_it(tmp_path: Path, task: str, label: list[Any], expected: list[Any]) -> None:
    run(tmp_path, table(late=label), project(task=task))
    result = pl.read_parquet(tmp_path / "prepared")["late"].to_list()
    assert result == expected
    assert [type(value) for value in result] == [type(value) for value in expected]


@pytest.mark.parametrize(
    ("columns", "features", "label", "column", "says"),
    [
        ({"income": ["1", "2", "x", "4"]}, FEATURES, "late", "income", "cannot be prepared"),
        ({"income": [1.0, float("inf"), 2.0, 3.0]}, FEATURES, "late", "income", "infinity"),
        ({"seen_year": [1, 2, 3, 4]}, {"numeric": ["seen_year"], "datetime": ["seen"]}, "late", None, "not unique"),
        ({"region_north": [0, 1, 0, 1]}, FEATURES, "region_north", "region_north", "the name of the label"),
    ],
)
def test_features_that_cannot_be_prepared(
    tmp_path: Path, columns: dict[str, Any], features: Any, label: str, column: str | None, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        run(tmp_path, table(**columns), project(features, label))
    assert says in error.value.message
    assert error.value.column == column
    assert (error.value.key or "").startswith("features")


def test_infinite_numbers_pass_where_nothing_is_computed_from_them(tmp_path: Path) -> None:
    run(tmp_path, table(income=[1.0, float("inf"), 2.0, 3.0]), project({"numeric": ["income"], "impute": "none"}))
    assert pl.read_parquet(tmp_path / "prepared")["income"][1] == float("inf")


def test_data_that_its_gate_rejects_is_left_alone(tmp_path: Path) -> None:
    table(income=["1", "2", "x", "4"]).write_parquet(tmp_path / "train.parquet")
    paths = {"steps_path": str(tmp_path / "steps"), "prepared_path": str(tmp_path / "prepared")}
    assert prepare(str(tmp_path / "train.parquet"), project(), **paths, proceed=False) == 0
    assert list((tmp_path / "steps").iterdir()) == []
    assert pl.read_parquet(tmp_path / "prepared").is_empty()
