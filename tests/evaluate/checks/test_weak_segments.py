from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import WeakSegments
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.weak_segments import find_segments, row_errors, weak_segment_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.resampling import Resampling

ROWS = 4000
DICE = np.random.default_rng(0)
AGE = DICE.integers(18, 90, ROWS)
CITY = DICE.choice(["Bonn", "Köln", "Ulm"], ROWS)
TABLE = pl.DataFrame(
    {
        "age": pl.Series(AGE),
        "city": pl.Series(CITY),
        "sex": pl.Series(DICE.choice(["f", "m"], ROWS)),
        "since": pl.Series([dt.date(2020, 1, 1) + dt.timedelta(days=int(day)) for day in DICE.integers(0, 100, ROWS)]),
        "income": pl.Series(np.where(DICE.random(ROWS) < 0.3, np.nan, DICE.normal(size=ROWS))),
    }
)
TABLE = TABLE.with_columns(moment=pl.col("since").cast(pl.Datetime("ms")))


def model(broken: Any) -> Predictions:
    """A model that is right in nine rows of ten, and mostly wrong where it is broken."""
    truth = DICE.integers(0, 2, ROWS)
    right = DICE.random(ROWS) < np.where(broken, 0.2, 0.9)
    predicted = np.where(right, truth, 1 - truth)
    positive = np.where(predicted == 1, 0.85, 0.15)
    return Predictions(truth, predicted, np.column_stack([1 - positive, positive]), ("no", "yes"))


def policy(**more: Any) -> WeakSegments:
    return WeakSegments.model_validate({"metrics": {"accuracy": {"min": 0.7}}, **more})


def candidate(predictions: Predictions, **how: Any) -> Candidate:
    return Candidate(lambda _: predictions, TABLE, predictions, Resampling(ROWS, **how))


def checks(broken: Any, columns: list[str], groups: Any = None, **more: Any) -> list[Any]:
    return weak_segment_checks(candidate(model(broken), groups=groups), columns, policy=policy(**more))


def test_the_broken_part_is_found_and_described_by_raw_columns() -> None:
    first, *features = checks((AGE > 61) & (CITY == "Ulm"), ["age", "city", "sex", "since"], depth=2)
    assert first.name in {
        "weak_segment[age > 61.5 and city = Ulm].accuracy",
        "weak_segment[city = Ulm and age > 61.5].accuracy",
    }
    assert (first.verdict, first.blocks) == (Verdict.FAILED, True)
    assert first.observed == pytest.approx(0.2, abs=0.08)
    assert all(feature.verdict is Verdict.PASSED for feature in features)


@pytest.mark.parametrize(
    ("broken", "column", "name"),
    [
        (TABLE["sex"] == "f", "sex", "sex = f"),
        (TABLE["sex"] == "m", "sex", "sex = m"),
        (TABLE["city"] == "Köln", "city", "city = Köln"),
        (TABLE["city"] != "Köln", "city", "city ≠ Köln"),
        (TABLE["since"] >= dt.date(2020, 3, 1), "since", "since > 2020-02-29"),
        (TABLE["since"].cast(pl.Datetime("ms")) < dt.datetime(2020, 2, 1), "moment", "moment <= 2020-01-31 12:00:00"),
        (TABLE["income"].is_nan(), "income", "income is missing"),
        (TABLE["income"].is_not_nan(), "income", "income is not missing"),
        ((TABLE["age"] > 40) & (TABLE["age"] < 60), "age", "40.5 < age <= 59.5"),
    ],
)
def test_every_kind_of_column_can_describe_a_segment(broken: pl.Series, column: str, name: str) -> None:
    half = np.arange(0, ROWS, 2)
    section = policy(depth=2 if "<=" in name else 1)
    segments = find_segments(
        TABLE, [column], errors=broken.to_numpy().astype(float), finding=half, judging=half + 1, policy=section
    )
    assert [segment.name for segment in segments] == [name]
    assert segments[0].error == 1.0
    assert segments[0].rows.tolist() == [row for row in half + 1 if broken[int(row)]]


def test_missing_numbers_on_a_segments_side_are_named() -> None:
    income = TABLE["income"]
    broken = (income.is_nan() | (income > 0.5)).to_numpy()
    first = checks(broken, ["income"], depth=1)[0]
    assert first.name.startswith("weak_segment[(income > 0.")
    assert first.name.endswith(" or missing)].accuracy")


def test_a_model_without_a_weak_part_is_not_blamed_for_chance() -> None:
    blamed = 0
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(ROWS)
        predictions = model(np.zeros(ROWS, dtype=bool)).take(order)
        section = policy(metrics={"accuracy": {"min": 0.9}})
        segments = weak_segment_checks(candidate(predictions, seed=seed), ["age", "city", "income"], policy=section)
        blamed += any(check.verdict is Verdict.FAILED for check in segments)
    assert blamed <= 6  # five segments of 2.5 % each would be two or three


def test_the_rows_that_judge_are_not_those_that_it_was_found_in() -> None:
    errors = DICE.normal(size=ROWS)
    finding, judging = np.arange(0, ROWS, 2), np.arange(1, ROWS, 2)
    segments = find_segments(TABLE, ["age", "income"], errors=errors, finding=finding, judging=judging, policy=policy())
    assert segments
    for segment in segments:
        assert set(segment.rows) <= set(judging)
    assert [one.error for one in segments] == sorted((one.error for one in segments), reverse=True)


def test_groups_stay_on_one_side() -> None:
    groups = np.arange(ROWS) // 4
    segments = checks(AGE > 61, ["age"], groups=groups, depth=1)
    rows = int(segments[0].message.split("segment's ")[1].split(" ")[0].replace(",", ""))
    assert rows == pytest.approx((AGE > 61).sum() / 2, rel=0.1)


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (2, 2)])
def test_at_most_so_many_segments_are_judged(limit: int, count: int) -> None:
    assert len(checks((AGE > 61) & (CITY == "Ulm"), ["age", "city"], most=limit)) == count


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_too_few_rows_to_look_in_are_open(rule: str, blocks: bool) -> None:
    (check,) = checks(AGE > 61, ["age"], minimum_rows=1500, on_inconclusive=rule)
    assert (check.name, check.verdict, check.blocks) == ("weak_segments", Verdict.INCONCLUSIVE, blocks)
    assert "minimum_rows" in check.message


def test_without_a_column_that_tells_rows_apart_nothing_is_found() -> None:
    same = dataclasses.replace(candidate(model(AGE > 61)), table=TABLE.with_columns(same=pl.lit(1)))
    (check,) = weak_segment_checks(same, ["same"], policy=policy())
    assert (check.name, check.verdict) == ("weak_segments", Verdict.PASSED)


@pytest.mark.parametrize(
    ("predictions", "errors"),
    [
        (Predictions(np.array([1.0, 2.0]), np.array([1.5, 0.0]), None, ()), [0.5, 2.0]),
        (Predictions(np.array([0, 1]), np.array([0, 0]), None, ("a", "b")), [0.0, 1.0]),
        (
            Predictions(np.array([0, 2]), np.array([0, 0]), np.array([[0.5, 0.5], [0.9, 0.1]]), ("a", "b")),
            [np.log(2), -np.log(1e-6)],
        ),
    ],
)
def test_errors_of_rows(predictions: Predictions, errors: list[float]) -> None:
    assert row_errors(predictions) == pytest.approx(errors)
