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


def features(**settings: Any) -> Features:
    return Features.model_validate({"min_frequency": 1, **settings})


def frame(table: pl.DataFrame, settings: Features) -> Any:
    return to_model_input(table, settings.columns)


@pytest.mark.parametrize(("how", "fill"), [("median", 4.0), ("mean", 4.0)])
def test_missing_numbers_are_filled_from_the_training_rows(how: str, fill: float) -> None:
    settings = features(numeric=["income"], impute=how)
    steps = build(settings).fit(frame(TRAIN, settings))
    later = pl.DataFrame({"income": [None, 100.0, float("nan")]})
    assert steps.transform(frame(later, settings))["income"].tolist() == [fill, 100.0, fill]


def test_missing_numbers_may_stay() -> None:
    settings = features(numeric=["income", "active"], impute="none")
    result = build(settings).fit_transform(frame(TRAIN, settings))
    np.testing.assert_array_equal(result["income"], [1.0, 2.0, np.nan, 9.0, 4.0, 4.0])
    np.testing.assert_array_equal(result["active"], [1.0, 0.0, np.nan, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("impute", ["median", "none"])
def test_scaling_is_by_the_training_rows(impute: str) -> None:
    settings = features(numeric=["income"], impute=impute, scale="standard")
    steps = build(settings).fit(frame(TRAIN, settings))
    values = np.array([1.0, 2.0, 4.0, 9.0, 4.0, 4.0] if impute == "median" else [1.0, 2.0, 9.0, 4.0, 4.0])
    result = steps.transform(frame(pl.DataFrame({"income": [50.0]}), settings))["income"]
    assert result.tolist() == pytest.approx([(50.0 - values.mean()) / values.std()])


@pytest.mark.parametrize("impute", ["median", "mean", "none"])
@pytest.mark.parametrize("scale", ["none", "standard"])
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide")
def test_a_number_that_is_always_missing_is_kept(impute: str, scale: str) -> None:
    settings = features(numeric=["income", "rooms"], impute=impute, scale=scale)
    table = TRAIN.with_columns(income=pl.lit(None, pl.Float64))
    result = build(settings).fit_transform(frame(table, settings))
    assert list(result.columns) == ["income", "rooms"]


def test_categories_that_training_did_not_hold_do_not_fail() -> None:
    settings = features(categorical=["region", "rooms"])
    steps = build(settings).fit(frame(TRAIN, settings))
    later = pl.DataFrame({"region": ["west", None, "south", ""], "rooms": [7, None, 2, 1]})
    result = steps.transform(frame(later, settings))
    assert list(result.columns) == [
        "region_north",
        "region_south",
        "region_None",
        "rooms_1.0",
        "rooms_2.0",
        "rooms_nan",
    ]
    assert result.to_numpy().tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 1],
        [0, 1, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0],
    ]


@pytest.mark.parametrize("least", [2, 3])
def test_rare_categories_are_one_with_the_unseen(least: int) -> None:
    settings = features(categorical=["region"], min_frequency=least)
    steps = build(settings).fit(frame(TRAIN, settings))
    result = steps.transform(frame(pl.DataFrame({"region": ["north", "south", None, "west"]}), settings))
    rare = result["region_infrequent_sklearn"].tolist()
    assert rare == ([0, 0, 1, 1] if least == 2 else [0, 1, 1, 1])


def test_missing_values_at_prediction_alone_do_not_fail() -> None:
    settings = features(numeric=["income"], categorical=["region"], datetime=["opened"])
    steps = build(settings).fit(frame(TRAIN.drop_nulls(), settings))
    later = TRAIN[:2].with_columns(pl.lit(None, TRAIN.schema[name]).alias(name) for name in settings.columns)
    result = steps.transform(frame(later, settings))
    assert result["income"].notna().all()
    assert (result[["region_north", "region_south"]] == 0).all(axis=None)
    assert result["opened_year"].tolist() == [2024.0, 2024.0]  # the median of the training rows


def test_missing_times_may_stay() -> None:
    settings = features(datetime=["opened"], impute="none")
    result = build(settings).fit_transform(frame(TRAIN, settings))
    assert result["opened_year"].tolist()[:2] == [2024.0, 2023.0]
    assert result.loc[2].isna().all()


def test_the_parts_of_times_are_scaled_as_other_numbers() -> None:
    settings = features(datetime=["seen"], scale="standard")
    result = build(settings).fit_transform(frame(TRAIN, settings))
    hours = np.array([0, 1, 12, 13, 22, 23])
    np.testing.assert_allclose(result["seen_hour"], (hours - hours.mean()) / hours.std())
    assert result["seen_year"].tolist() == [0.0] * 6


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
    result = step.transform(data)
    assert result.shape == (6, 10)
    assert result[0].tolist() == [2024, 2, 29, 3, 0, 2024, 1, 1, 0, 0]
    assert step.n_features_in_ == 2


def test_columns_come_in_a_fixed_order_whatever_the_tables() -> None:
    settings = features(numeric=["active", "income"], categorical=["region"], datetime=["seen"])
    steps = build(settings).fit(frame(TRAIN, settings))
    names = ["active", "income", "region_north", "region_south", "region_None"]
    names += [f"seen_{part}" for part in ("year", "month", "day", "weekday", "hour")]
    assert steps.get_feature_names_out().tolist() == names
    data = frame(TRAIN, settings)
    assert steps.transform(data[list(reversed(data.columns))]).equals(steps.transform(data))


@pytest.mark.parametrize(
    "settings",
    [
        features(numeric=["income"]),
        features(categorical=["region", "rooms"], min_frequency=2),
        features(datetime=["opened", "seen"]),
        features(numeric=["income", "active"], categorical=["region"], datetime=["seen"], scale="standard"),
        features(numeric=["income"], impute="none"),
    ],
)
def test_what_is_fitted_survives_its_file(tmp_path: Path, settings: Features) -> None:
    preparation = build(settings).fit(frame(TRAIN, settings))
    skops.io.dump(preparation, tmp_path / "steps.skops")
    preparation_read = load_skops(tmp_path / "steps.skops")
    later = pl.concat([TRAIN.reverse(), TRAIN.with_columns(region=pl.lit("west"))])
    before, after = (steps.transform(frame(later, settings)) for steps in (preparation, preparation_read))
    assert before.equals(after)
    assert list(before.columns) == list(after.columns)
