from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from user_files import minimal_project

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import check_rules
from modelway.components.core.errors import ModelwayError
from modelway.components.validate.checks.contract import contract_checks

GOOD = pl.DataFrame(
    {
        "id": ["a1", "b2", "c3", "d4"],
        "age": [20, 30, 40, 50],
        "paid": [1.0, 2.0, 3.0, 4.0],
        "billed": [1.0, 2.5, 3.0, 9.0],
        "plan": ["gold", "silver", "gold", None],
        "day": [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2024, 4, 1)],
        "at": [dt.datetime(2024, month, 1, 12) for month in (1, 2, 3, 4)],
        "active": [True, False, True, True],
        "late": [0, 1, 0, 1],
    }
)
COLUMNS: dict[str, Any] = {
    "id": {"type": "string"},
    "age": {"type": "integer"},
    "paid": {"type": "number"},
    "billed": {"type": "number"},
    "plan": {"type": "string", "max_nulls": 0.5},
    "day": {"type": "date"},
    "at": {"type": "datetime"},
    "active": {"type": "boolean"},
    "late": {"type": "integer"},
}


def project(task: str = "binary", label: str = "late") -> Project:
    return minimal_project(task=task, label=label, features={"numeric": ["age"]})


def contract(columns: dict[str, Any] | None = None, **sections: Any) -> Contract:
    column_sections = {
        name: {**COLUMNS.get(name, {}), **more}
        for name, more in {**{column: {} for column in COLUMNS}, **(columns or {})}.items()
    }
    return Contract.parse(yaml.safe_dump({"columns": column_sections, **sections}))


def contract_results(table: pl.DataFrame, rules: Contract, project_of_table: Project | None = None) -> dict[str, Check]:
    checks = contract_checks(table.lazy(), rules, project=project_of_table or project())
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def with_values(column: str, values: list[Any], dtype: Any = None) -> pl.DataFrame:
    return GOOD.with_columns(pl.Series(column, values, dtype=dtype))


DAYS = [dt.date(2024, 1, 1), dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2023, 12, 31)]
MOMENTS = [dt.datetime(2024, 1, 1, hour) for hour in (1, 2, 3, 4)]

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


def test_a_good_table_passes_throughout() -> None:
    checks = contract_results(
        GOOD, contract(rules=[{"name": "capped", "rule": "paid <= billed"}], unique=[["id", "day"]])
    )
    assert {check.verdict for check in checks.values()} == {Verdict.PASSED}
    assert list(checks)[:2] == ["rows", "columns"]
    assert {"type[at]", "nulls[plan]", "label", "classes", "rule[capped]", "unique[id, day]"} <= set(checks)


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


@pytest.mark.parametrize(
    ("column", "values", "stored_type"),
    [
        ("age", ["20", "30", "forty", "50"], "String"),
        ("age", [20.5, 30.0, 40.0, 50.0], "Float64"),
        ("paid", ["1", "2", "3", "four"], "String"),
        ("day", ["2024-01-01", "soon", "2024-03-01", "2024-04-01"], "String"),
        ("day", MOMENTS, "Datetime"),
        ("at", DAYS, "Date"),
        ("active", [0, 1, 2, 1], "Int64"),
        ("id", [1, 2, 3, 4], "Int64"),
    ],
)
def test_a_column_of_another_type_fails_without_further_checks(
    column: str, values: list[Any], stored_type: str
) -> None:
    asks = {column: {"minimum": (COLUMNS[column]["type"] == "date" and dt.date(2020, 1, 1)) or None}}
    checks = contract_results(with_values(column, values), contract(asks if column == "day" else None))
    check = checks[f"type[{column}]"]
    assert check.verdict is Verdict.FAILED
    assert (check.observed, check.threshold) == (stored_type, COLUMNS[column]["type"])
    assert f"'{column}' is stored as {stored_type}, not as {COLUMNS[column]['type']}" in check.message
    assert f"minimum[{column}]" not in checks
    assert f"nulls[{column}]" in checks


@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt64, pl.Int32])
def test_integers_of_every_size_are_integers_and_numbers(dtype: Any) -> None:
    table = GOOD.with_columns(pl.col("age", "paid").cast(dtype))
    checks = contract_results(table, contract({"age": {"minimum": 18, "maximum": 120}, "paid": {"maximum": 1000}}))
    assert {check.verdict for check in checks.values()} == {Verdict.PASSED}


def test_times_with_a_zone_are_compared_in_utc() -> None:
    table = GOOD.with_columns(pl.col("at").dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo"))
    checks = contract_results(
        table, contract({"at": {"minimum": dt.datetime(2024, 1, 1, 12), "maximum": dt.date(2024, 4, 1)}})
    )
    assert checks["minimum[at]"].verdict is Verdict.PASSED
    assert checks["maximum[at]"].observed == 1


def test_a_missing_column_fails_by_name() -> None:
    checks = contract_results(GOOD.rename({"paid": "payed"}), contract())
    check = checks["column[paid]"]
    assert check.verdict is Verdict.FAILED
    assert "'paid' is missing" in check.message
    assert "new in the data: payed" in check.message
    assert "columns" not in checks
    assert "nulls[paid]" not in checks


def test_a_column_may_be_optional() -> None:
    checks = contract_results(GOOD.drop("paid"), contract({"paid": {"required": False}}))
    assert "column[paid]" not in checks
    assert checks["columns"].verdict is Verdict.PASSED


@pytest.mark.parametrize(("rule", "failed"), [("allow", set()), ("forbid", {"column[new]", "column[newer]"})])
def test_columns_outside_the_contract(rule: str, failed: set[str]) -> None:
    checks = contract_results(GOOD.with_columns(new=1, newer=2), contract(extra_columns=rule))
    assert {name for name, check in checks.items() if check.verdict is Verdict.FAILED} == failed
    for name in failed:
        assert "not in the contract" in checks[name].message


@pytest.mark.parametrize(("least", "passes"), [(4, True), (5, False)])
def test_rows(least: int, passes: bool) -> None:
    check = contract_results(GOOD, contract(minimum_rows=least))["rows"]
    assert (check.verdict is Verdict.PASSED) is passes
    assert (check.observed, check.threshold) == (4, least)


def test_a_table_without_rows_fails_and_no_more() -> None:
    checks = contract_results(
        GOOD.clear(), contract({"age": {"minimum": 18}}, rules=[{"name": "r", "rule": "age > 0"}])
    )
    assert checks["rows"].verdict is Verdict.FAILED
    assert checks["classes"].verdict is Verdict.FAILED
    assert checks["minimum[age]"].observed == 0
    assert checks["rule[r]"].observed == 0


@pytest.mark.parametrize(
    ("ids", "days", "bad"),
    [
        (["a", "a", "b", "b"], [1, 2, 1, 2], 0),
        (["a", "a", "b", "b"], [1, 1, 1, 2], 2),
        ([None, None, "b", "b"], [1, 1, 1, 2], 2),
        (["a", "a", "a", "b"], [1, 1, 1, 2], 3),
    ],
)
def test_a_key_of_several_columns(ids: list[Any], days: list[int], bad: int) -> None:
    table = GOOD.with_columns(pl.Series("id", ids, dtype=pl.String), pl.Series("age", days))
    check = contract_results(table, contract(unique=[["id", "age"]]))["unique[id, age]"]
    assert check.observed == bad
    assert (check.verdict is Verdict.PASSED) is (bad == 0)
    assert f"{bad} of 4 rows whose key" in check.message


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


def test_a_tolerance_is_a_share_and_exact() -> None:
    table = pl.concat([GOOD] * 25).with_columns(age=pl.Series(range(100)))
    check = contract_results(table, contract(rules=[{"name": "r", "rule": "age >= 29", "tolerance": 0.29}]))["rule[r]"]
    assert check.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (GOOD.drop("billed"), "the column 'billed' is missing"),
        (with_values("billed", ["1", "2", "x", "4"]), "the column 'billed' is not of its type, number"),
    ],
)
def test_a_rule_over_a_broken_column_fails(table: pl.DataFrame, says: str) -> None:
    check = contract_results(table, contract(rules=[{"name": "capped", "rule": "paid <= billed"}]))["rule[capped]"]
    assert check.verdict is Verdict.FAILED
    assert f"cannot be checked: {says}" in check.message


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("paid = = 1", "is not a SQL expression"),
        ("", "is not a SQL expression"),
        ("SELECT 1", "is not a SQL expression"),
        ("no_such_function(paid)", "is not a SQL expression"),
        ("paid - billed", "gives Float64 where it must say true or false"),
        ("plan", "gives String where it must say true or false"),
        ("age = 'old'", "cannot be evaluated"),
    ],
)
def test_a_rule_that_is_no_condition_is_an_error(rule: str, says: str) -> None:
    rules = contract(rules=[{"name": "r", "rule": rule}])
    for check in (lambda: contract_results(GOOD, rules), lambda: check_rules(rules, "contract.yaml")):
        with pytest.raises(ModelwayError) as error:
            check()
        assert says in error.value.message
        assert "'r'" in error.value.message
        assert error.value.key == "rules.r"
        assert error.value.value == rule


def test_a_rule_over_a_column_that_the_contract_does_not_describe() -> None:
    with pytest.raises(ModelwayError, match="'city', which the contract does not describe") as error:
        check_rules(contract(rules=[{"name": "r", "rule": "city = 'Bonn'"}]), "contract.yaml")
    assert (error.value.file, error.value.key, error.value.column) == ("contract.yaml", "rules.r", "city")


@pytest.mark.parametrize(
    ("pattern", "says"), [("(", "unclosed group"), ("(?!a)b", "look-around"), (r"(a)\1", "backreferences")]
)
def test_a_pattern_that_cannot_be_matched_is_an_error(pattern: str, says: str) -> None:
    rules = contract({"id": {"pattern": pattern}})
    for check in (lambda: contract_results(GOOD, rules), lambda: check_rules(rules, "contract.yaml")):
        with pytest.raises(ModelwayError, match=says) as error:
            check()
        assert (error.value.key, error.value.column) == ("columns.id.pattern", "id")


def test_sound_rules_and_patterns_are_no_error() -> None:
    check_rules(
        contract({"id": {"pattern": r"\w\d"}}, rules=[{"name": "r", "rule": "day < at AND paid <= billed"}]),
        "contract.yaml",
    )


@pytest.mark.parametrize(
    ("task", "values", "dtype", "classes", "passes"),
    [
        ("binary", [0, 1, 0, 1], pl.Int64, 2, True),
        ("binary", [0, 0, 0, 0], pl.Int64, 1, False),
        ("binary", [0, 1, 2, 1], pl.Int64, 3, False),
        ("binary", ["no", "yes", "no", None], pl.String, 2, True),
        ("binary", [0.0, 1.0, float("nan"), None], pl.Float64, 2, True),
        ("multiclass", ["a", "b", "c", "c"], pl.String, 3, True),
        ("multiclass", ["a", "b", "a", "b"], pl.String, 2, False),
        ("binary", [None, None, None, None], pl.String, 0, False),
    ],
)
def test_classes(task: str, values: list[Any], dtype: Any, classes: int, passes: bool) -> None:
    check = contract_results(with_values("late", values, dtype), contract(), project(task))["classes"]
    assert check.observed == classes
    assert (check.verdict is Verdict.PASSED) is passes
    assert "'late'" in check.message


def test_a_number_has_no_classes() -> None:
    assert "classes" not in contract_results(GOOD, contract(), project("regression", "paid"))


@pytest.mark.parametrize(
    ("values", "missing"), [([0.5, 1.5, 2.5, 3.5], 0), ([0.5, None, 2.5, 3.5], 1), ([0.5, None, float("nan"), 3.5], 2)]
)
def test_rows_without_a_label_fail_whatever_the_contract_allows(values: list[Any], missing: int) -> None:
    rules = contract({"paid": {"max_nulls": 1.0}})
    check = contract_results(with_values("paid", values), rules, project("regression", "paid"))["label"]
    assert (check.verdict is Verdict.PASSED) is (missing == 0)
    assert f"{missing} of 4 rows without a label" in check.message


def test_a_label_that_is_not_there_fails_as_a_column() -> None:
    checks = contract_results(GOOD.drop("late"), contract())
    assert checks["column[late]"].verdict is Verdict.FAILED
    assert "classes" not in checks


def test_a_long_value_is_cut() -> None:
    checks = contract_results(
        with_values("plan", ["x" * 5000, "gold", "gold", "gold"]), contract({"plan": {"categories": ["gold"]}})
    )
    assert len(checks["categories[plan]"].message) < 200


def test_both_files_of_a_split_are_read(tmp_path: Path) -> None:
    GOOD[:3].write_parquet(tmp_path / "train")
    with_values("age", [1, 2, 3, 17])[3:].write_parquet(tmp_path / "test")
    table = pl.scan_parquet([tmp_path / "train", tmp_path / "test"])
    checks = {
        check.name: check for check in contract_checks(table, contract({"age": {"minimum": 18}}), project=project())
    }
    assert checks["rows"].observed == 4
    assert "1 of 4 values below 18, such as '17'" in checks["minimum[age]"].message
