from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
from sklearn.base import clone

from modelway.components.core.config.project import Features
from modelway.components.core.storage.models import load_skops
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import DatetimeParts, build

TRAIN = pl.DataFrame(
    {
        "income": [1.0, 2.0, None, 9.0, 4.0, 4.0],
        "active": [True, False, None, True, True, True],
        "region": ["north", "south", "north", None, "north", "south"],
        "rooms": [1, 2, 2, None, 1, 2],
        "opened": [dt.date(2024, 2, 29), dt.date(2023, 12, 31), None, *[dt.date(2024, 1, day) for day in (1, 2, 3)]],
        "seen": [dt.datetime(2024, 1, 1, hour, 30) for hour in (0, 1, 12, 13, 22, 23)],
    }
)


def features(**asked: Any) -> Features:
    return Features.model_validate({"min_frequency": 1, **asked})


def frame(table: pl.DataFrame, asked: Features) -> Any:
    return to_model_input(table, asked.columns)


@pytest.mark.parametrize(("how", "fill"), [("median", 4.0), ("mean", 4.0)])
def test_missing_numbers_are_filled_from_the_training_rows(how: str, fill: float) -> None:
    asked = features(numeric=["income"], impute=how)
    fitted = build(asked).fit(frame(TRAIN, asked))
    later = pl.DataFrame({"income": [None, 100.0, float("nan")]})
    assert fitted.transform(frame(later, asked))["income"].tolist() == [fill, 100.0, fill]


def test_missing_numbers_may_stay() -> None:
    asked = features(numeric=["income", "active"], impute="none")
    found = build(asked).fit_transform(frame(TRAIN, asked))
    np.testing.assert_array_equal(found["income"], [1.0, 2.0, np.nan, 9.0, 4.0, 4.0])
    np.testing.assert_array_equal(found["active"], [1.0, 0.0, np.nan, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("impute", ["median", "none"])
def test_scaling_is_by_the_training_rows(impute: str) -> None:
    asked = features(numeric=["income"], impute=impute, scale="standard")
    fitted = build(asked).fit(frame(TRAIN, asked))
    filled = np.array([1.0, 2.0, 4.0, 9.0, 4.0, 4.0] if impute == "median" else [1.0, 2.0, 9.0, 4.0, 4.0])
    found = fitted.transform(frame(pl.DataFrame({"income": [50.0]}), asked))["income"]
    assert found.tolist() == pytest.approx([(50.0 - filled.mean()) / filled.std()])


@pytest.mark.parametrize("impute", ["median", "mean", "none"])
@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_a_number_that_is_always_missing_is_kept(impute: str, scale: str) -> None:
    asked = features(numeric=["income", "rooms"], impute=impute, scale=scale)
    table = TRAIN.with_columns(income=pl.lit(None, pl.Float64))
    found = build(asked).fit_transform(frame(table, asked))
    assert list(found.columns) == ["income", "rooms"]


def test_categories_that_training_did_not_hold_do_not_fail() -> None:
    asked = features(categorical=["region", "rooms"])
    fitted = build(asked).fit(frame(TRAIN, asked))
    later = pl.DataFrame({"region": ["west", None, "south", ""], "rooms": [7, None, 2, 1]})
    found = fitted.transform(frame(later, asked))
    assert list(found.columns) == ["region_north", "region_south", "region_None", "rooms_1.0", "rooms_2.0", "rooms_nan"]
    assert found.to_numpy().tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 1],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0],
    ]


@pytest.mark.parametrize("least", [2, 3])
def test_rare_categories_are_one_with_the_unseen(least: int) -> None:
    asked = features(categorical=["region"], min_frequency=least)
    fitted = build(asked).fit(frame(TRAIN, asked))
    found = fitted.transform(frame(pl.DataFrame({"region": ["north", "south", None, "west"]}), asked))
    rare = found["region_infrequent_sklearn"].tolist()
    assert rare == ([0, 0, 1, 1] if least == 2 else [0, 1, 1, 1])


def test_missing_values_at_prediction_alone_do_not_fail() -> None:
    asked = features(numeric=["income"], categorical=["region"], datetime=["opened"])
    fitted = build(asked).fit(frame(TRAIN.drop_nulls(), asked))
    later = TRAIN[:2].with_columns(pl.lit(None, TRAIN.schema[name]).alias(name) for name in asked.columns)
    found = fitted.transform(frame(later, asked))
    assert found["income"].notna().all()
    assert (found[["region_north", "region_south"]] == 0).all(axis=None)
    assert found["opened_year"].tolist() == [2024.0, 2024.0]  # the median of the training rows


def test_missing_times_may_stay() -> None:
    asked = features(datetime=["opened"], impute="none")
    found = build(asked).fit_transform(frame(TRAIN, asked))
    assert found["opened_year"].tolist()[:2] == [2024.0, 2023.0]
    assert found.loc[2].isna().all()


def test_the_parts_of_times_are_scaled_as_other_numbers() -> None:
    asked = features(datetime=["seen"], scale="standard")
    found = build(asked).fit_transform(frame(TRAIN, asked))
    hours = np.array([0, 1, 12, 13, 22, 23])
    np.testing.assert_allclose(found["seen_hour"], (hours - hours.mean()) / hours.std())
    assert found["seen_year"].tolist() == [0.0] * 6


@pytest.mark.parametrize(
    ("moment", "parts"),
    [
        (dt.datetime(2024, 2, 29, 23, 59), [2024, 2, 29, 3, 23]),
        (dt.datetime(1969, 12, 31, 0, 0), [1969, 12, 31, 2, 0]),
        (dt.datetime(2023, 1, 1), [2023, 1, 1, 6, 0]),
        (dt.datetime(2024, 1, 1, 5), [2024, 1, 1, 0, 5]),
        (None, [np.nan] * 5),
    ],
)
def test_the_parts_of_a_time(moment: dt.datetime | None, parts: Sequence[float]) -> None:
    data = to_model_input(pl.DataFrame({"at": pl.Series([moment], dtype=pl.Datetime("us"))}), ["at"])
    step = DatetimeParts().fit(data)
    np.testing.assert_array_equal(step.transform(data), [parts])
    assert step.get_feature_names_out().tolist() == ["at_year", "at_month", "at_day", "at_weekday", "at_hour"]


def test_the_parts_of_several_columns_stand_side_by_side() -> None:
    data = frame(TRAIN, features(datetime=["opened", "seen"]))
    step = clone(DatetimeParts()).fit(data)
    found = step.transform(data)
    assert found.shape == (6, 10)
    assert found[0].tolist() == [2024, 2, 29, 3, 0, 2024, 1, 1, 0, 0]
    assert step.n_features_in_ == 2


def test_columns_come_in_a_fixed_order_whatever_the_tables() -> None:
    asked = features(numeric=["active", "income"], categorical=["region"], datetime=["seen"])
    fitted = build(asked).fit(frame(TRAIN, asked))
    names = ["active", "income", "region_north", "region_south", "region_None"]
    names += [f"seen_{part}" for part in ("year", "month", "day", "weekday", "hour")]
    assert fitted.get_feature_names_out().tolist() == names
    data = frame(TRAIN, asked)
    assert fitted.transform(data[list(reversed(data.columns))]).equals(fitted.transform(data))


@pytest.mark.parametrize(
    "asked",
    [
        features(numeric=["income"]),
        features(categorical=["region", "rooms"], min_frequency=2),
        features(datetime=["opened", "seen"]),
        features(numeric=["income", "active"], categorical=["region"], datetime=["seen"], scale="standard"),
        features(numeric=["income"], impute="none"),
    ],
)
def test_what_is_fitted_survives_its_file(tmp_path: Path, asked: Features) -> None:
    fitted = build(asked).fit(frame(TRAIN, asked))
    skops.io.dump(fitted, tmp_path / "steps.skops")
    loaded = load_skops(tmp_path / "steps.skops")
    later = pl.concat([TRAIN.reverse(), TRAIN.with_columns(region=pl.lit("west"))])
    before, after = (steps.transform(frame(later, asked)) for steps in (fitted, loaded))
    assert before.equals(after)
    assert list(before.columns) == list(after.columns)
