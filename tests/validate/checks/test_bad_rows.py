from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from contract_tables import DAYS, GOOD, MOMENTS, contract, contract_results, project, with_values

from modelway.components.core.checks import Verdict
from modelway.components.validate.checks.bad_rows import percentage

# Each: what the contract asks of a column, bad values, the check's name, how many are bad, and an example shown.
BAD: list[Any] = [
    ({"age": {"minimum": 18}}, "age", [20, 17, 3, 50], "minimum[age]", 2, "'17', '3'"),
    ({"age": {"minimum": 0}}, "age", [0, -1, 3, 50], "minimum[age]", 1, "'-1'"),
    ({"age": {"maximum": 50}}, "age", [51, 50, 40, None], "maximum[age]", 1, "'51'"),
    ({"paid": {"minimum": 0.5}}, "paid", [0.4, 0.5, None, float("nan")], "minimum[paid]", 1, "'0.4'"),
    ({"paid": {"maximum": 4}}, "paid", [4.5, float("inf"), None, float("nan")], "maximum[paid]", 2, "'4.5', 'inf'"),
    ({"day": {"minimum": dt.date(2024, 1, 1)}}, "day", DAYS, "minimum[day]", 1, "'2023-12-31'"),
    ({"at": {"maximum": dt.datetime(2024, 1, 1, 3)}}, "at", MOMENTS, "maximum[at]", 1, "'2024-01-01 04:00:00"),
    ({"at": {"maximum": dt.date(2024, 1, 1)}}, "at", MOMENTS, "maximum[at]", 4, "'2024-01-01 01:00:00"),
    (
        {"at": {"minimum": dt.datetime(2024, 1, 1, 4, tzinfo=dt.timezone(dt.timedelta(hours=2)))}},
        "at",
        MOMENTS,
        "minimum[at]",
        1,
        "'2024-01-01 01:00:00",
    ),
    (
        {"plan": {"categories": ["gold", "silver"]}},
        "plan",
        ["gold", "Gold", None, ""],
        "categories[plan]",
        2,
        "'Gold', ''",
    ),
    ({"late": {"categories": [0, 1]}}, "late", [0, 1, 2, 2], "categories[late]", 2, "'2'"),
    ({"active": {"categories": [True]}}, "active", [True, True, None, False], "categories[active]", 1, "'false'"),
    ({"id": {"pattern": "[a-z][0-9]"}}, "id", ["a1", "b22", "c", "d4\n"], "pattern[id]", 3, "'b22', 'c', 'd4\\n'"),
    ({"id": {"pattern": "a|bc"}}, "id", ["a", "bc", "ac", "abc"], "pattern[id]", 2, "'ac', 'abc'"),
    ({"id": {"unique": True}}, "id", ["a", "b", "b", "c"], "unique[id]", 2, "'b'"),
    ({"id": {"unique": True}}, "id", ["a", "a", None, None], "unique[id]", 2, "'a'"),
]


@pytest.mark.parametrize(("asks", "column", "values", "name", "bad", "example"), BAD)
def test_bad_values_are_counted_and_shown(
    asks: dict[str, Any], column: str, values: list[Any], name: str, bad: int, example: str
) -> None:
    table = with_values(column, values, GOOD.schema[column])
    check = contract_results(table, contract(asks))[name]
    assert check.verdict is Verdict.FAILED
    assert check.blocks
    assert check.observed == bad
    assert f"{bad} of 4 " in check.message
    assert f"such as {example}" in check.message
    assert ";" in check.message  # and what to do


@pytest.mark.parametrize(
    ("asks", "name"),
    [(asks, name) for asks, column, _, name, _, _ in BAD if column not in {"at", "active"} and "a|bc" not in str(asks)],
)
def test_good_values_pass(asks: dict[str, Any], name: str) -> None:
    check = contract_results(GOOD, contract(asks))[name]
    assert check.verdict is Verdict.PASSED
    assert not check.blocks
    assert check.observed == 0


@pytest.mark.parametrize(
    ("values", "dtype", "limit", "share", "passes"),
    [
        ([1.0, 2.0, 3.0, 4.0], pl.Float64, 0.0, 0.0, True),
        ([1.0, None, 3.0, 4.0], pl.Float64, 0.0, 0.25, False),
        ([1.0, None, 3.0, 4.0], pl.Float64, 0.25, 0.25, True),
        ([1.0, float("nan"), None, 4.0], pl.Float64, 0.25, 0.5, False),
        ([float("nan")] * 4, pl.Float64, 0.9, 1.0, False),
        ([None] * 4, pl.Float64, 0.9, 1.0, False),
        ([None] * 4, pl.Float64, 1.0, 1.0, True),
        ([None] * 4, pl.Null, 0.5, 1.0, False),
        ([None] * 4, pl.Null, 1.0, 1.0, True),
    ],
)
def test_missing_values_and_nan_are_one(
    values: list[Any], dtype: Any, limit: float, share: float, passes: bool
) -> None:
    check = contract_results(with_values("paid", values, dtype), contract({"paid": {"max_nulls": limit}}))[
        "nulls[paid]"
    ]
    assert (check.verdict is Verdict.PASSED) is passes
    assert (check.observed, check.threshold) == (share, limit)
    assert f"{round(share * 4)} of 4 missing values" in check.message


def test_a_column_without_a_value_has_no_bad_ones() -> None:
    asks = {"id": {"unique": True, "categories": ["a"], "pattern": "a"}, "paid": {"minimum": 0, "maximum": 1}}
    table = GOOD.with_columns(pl.lit(None, pl.String).alias("id"), pl.lit(None, pl.Float64).alias("paid"))
    checks = contract_results(table, contract(asks))
    for name in ("unique[id]", "categories[id]", "pattern[id]", "minimum[paid]", "maximum[paid]"):
        assert checks[name].verdict is Verdict.PASSED
    assert checks["nulls[id]"].verdict is Verdict.FAILED


def test_times_with_a_zone_are_compared_in_utc() -> None:
    table = GOOD.with_columns(pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"))
    checks = contract_results(
        table, contract({"at": {"minimum": dt.datetime(2024, 1, 1, 12), "maximum": dt.date(2024, 4, 1)}})
    )
    assert checks["minimum[at]"].verdict is Verdict.PASSED
    assert checks["maximum[at]"].observed == 1


@pytest.mark.parametrize(
    ("rule", "tolerance", "share", "passes"),
    [
        ("paid <= billed", 0.0, 0.0, True),
        ("paid < billed", 0.5, 0.5, True),
        ("paid < billed", 0.4, 0.5, False),
        ("plan = 'gold'", 0.4, 0.5, False),  # one other, one missing: NULL is bad
        ("plan = 'gold' OR plan IS NULL", 0.25, 0.25, True),
        ("NOT active OR age >= 20", 0.0, 0.0, True),
        ("age BETWEEN 20 AND 40 AND id LIKE '%1'", 0.0, 0.75, False),
        ("day >= DATE '2024-02-01'", 0.0, 0.25, False),
        ("1 = 1", 0.0, 0.0, True),
        ("1 = 2", 0.9, 1.0, False),
    ],
)
def test_rules(rule: str, tolerance: float, share: float, passes: bool) -> None:
    check = contract_results(GOOD, contract(rules=[{"name": "r", "rule": rule, "tolerance": tolerance}]))["rule[r]"]
    assert (check.observed, check.threshold) == (share, tolerance)
    assert (check.verdict is Verdict.PASSED) is passes
    assert f"rows break the rule `{rule}`" in check.message


def test_a_rules_description_is_the_remedy() -> None:
    rules = [{"name": "r", "rule": "paid < billed", "description": "ask the billing team"}]
    assert contract_results(GOOD, contract(rules=rules))["rule[r]"].message.endswith("; ask the billing team")


@pytest.mark.parametrize(("bad", "passes"), [(0, True), (1, True), (2, False)])
@pytest.mark.parametrize(
    ("asks", "name", "value"),
    [
        ({"age": {"minimum": 10}}, "minimum[age]", 9),
        ({"age": {"maximum": 60}}, "maximum[age]", 61),
        ({"id": {"categories": ["a1", "b2", "c3", "d4"]}}, "categories[id]", "z"),
        ({"id": {"pattern": "[a-z][0-9]"}}, "pattern[id]", "z"),
    ],
)
def test_a_share_of_bad_values_may_be_allowed(
    asks: dict[str, Any], name: str, value: Any, bad: int, passes: bool
) -> None:
    ((column, keys),) = asks.items()
    values = [value] * bad + GOOD[column].to_list()[bad:]
    check = contract_results(with_values(column, values), contract({column: {**keys, "allowed": "25 %"}}))[name]
    assert ((check.verdict is Verdict.PASSED), check.observed) == (passes, bad)
    assert "; the contract allows 25 %" in check.message
    assert ("at their source" in check.message) is not passes


def test_a_share_is_written_as_in_a_contract() -> None:
    assert [percentage(share) for share in (0.001, 0.25, 0.00012345, 1.0)] == ["0.1 %", "25 %", "0.0123 %", "100 %"]


def test_a_tolerance_is_a_share_and_exact() -> None:
    table = pl.concat([GOOD] * 25).with_columns(age=pl.Series(range(100)))
    check = contract_results(table, contract(rules=[{"name": "r", "rule": "age >= 29", "tolerance": 0.29}]))["rule[r]"]
    assert check.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("values", "missing"), [([0.5, 1.5, 2.5, 3.5], 0), ([0.5, None, 2.5, 3.5], 1), ([0.5, None, float("nan"), 3.5], 2)]
)
def test_rows_without_a_label_fail_whatever_the_contract_allows(values: list[Any], missing: int) -> None:
    rules = contract({"paid": {"max_nulls": 1.0}})
    check = contract_results(with_values("paid", values), rules, project("regression", "paid"))["label"]
    assert (check.verdict is Verdict.PASSED) is (missing == 0)
    assert f"{missing} of 4 rows without a label" in check.message


def test_a_long_value_is_cut() -> None:
    checks = contract_results(
        with_values("plan", ["x" * 5000, "gold", "gold", "gold"]), contract({"plan": {"categories": ["gold"]}})
    )
    assert len(checks["categories[plan]"].message) < 200
