from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from contract_tables import COLUMNS, DAYS, GOOD, MOMENTS, checks_of, contract, contract_results, project, with_values

from modelway.components.core.checks import Verdict
from modelway.components.core.config.row_rules import check_rules
from modelway.components.core.errors import ModelwayError
from modelway.components.core.tables.unparsed import Unparsed


def test_a_good_table_passes_throughout() -> None:
    checks = contract_results(
        GOOD, contract(rules=[{"name": "capped", "rule": "paid <= billed"}], unique=[["id", "day"]])
    )
    assert {check.verdict for check in checks.values()} == {Verdict.PASSED}
    assert list(checks)[:2] == ["rows", "columns"]
    assert {"type[at]", "nulls[plan]", "label", "classes", "rule[capped]", "unique[id, day]"} <= set(checks)


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
    ("rule", "says"),
    [
        ("paid = = 1", "is not a SQL expression"),
        ("", "is empty"),
        ("SELECT 1", "holds a query"),
        ("no_such_function(paid)", "uses the function no_such_function, which a rule may not"),
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
    ("pattern", "says"),
    [
        ("(", "unclosed group"),
        ("(?!a)b", "look-around"),
        (r"(a)\1", "backreferences"),
        ("a)|(?:b", "unopened group"),  # anchored it would be ^(?:a)|(?:b)$, which holds of texts that begin with a
        ("a" * 1001, "1,000 is the most"),
    ],
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


def test_a_label_that_is_not_there_fails_as_a_column() -> None:
    checks = contract_results(GOOD.drop("late"), contract())
    assert checks["column[late]"].verdict is Verdict.FAILED
    assert "classes" not in checks


def test_both_files_of_a_split_are_read(tmp_path: Path) -> None:
    GOOD[:3].write_parquet(tmp_path / "train")
    with_values("age", [1, 2, 3, 17])[3:].write_parquet(tmp_path / "test")
    table = pl.scan_parquet([tmp_path / "train", tmp_path / "test"])
    checks = {check.name: check for check in checks_of(table, contract({"age": {"minimum": 18}}), project())}
    assert checks["rows"].observed == 4
    assert "1 of 4 values below 18, such as '17'" in checks["minimum[age]"].message


@pytest.mark.parametrize(
    ("keys", "bad", "passes", "says"),
    [
        ({}, 1, False, "1 of 4 values that are no valid integer, such as 'n/k', which count as missing; correct"),
        ({"strict": True}, 1, False, "values that are no valid integer"),
        ({"allowed": "25 %"}, 1, True, "1 of 4 values that are no valid integer"),
        ({"allowed": "25 %"}, 2, False, "; the contract allows 25 %; correct"),
        ({"allowed": "25 %"}, 0, True, "is integer"),
    ],
)
def test_values_that_do_not_parse_are_judged_by_a_persons_word(
    keys: dict[str, Any], bad: int, passes: bool, says: str
) -> None:
    table = with_values("age", [None] * bad + [30] * (4 - bad), pl.Int64)
    unparsed = {"age": Unparsed(bad, ("n/k",), tuple(range(bad)))} if bad else {}
    checks = contract_results(table, contract({"age": keys}), unparsed=unparsed)
    assert (checks["type[age]"].verdict is Verdict.PASSED) is passes
    assert says in checks["type[age]"].message
    assert (checks["nulls[age]"].observed, checks["nulls[age]"].verdict) == (0, Verdict.PASSED)


def test_values_of_the_label_that_do_not_parse_fail() -> None:
    seen = {"seen": {"rows": 4, "unparsed": 1}}
    table = with_values("late", [None, 0, 1, 1], pl.Int64)
    unparsed = {"late": Unparsed(1, ("n/k",), (0,))}
    check = contract_results(table, contract({"late": seen}), unparsed=unparsed)["type[late]"]
    assert check.verdict is Verdict.FAILED
    assert "(judged strictly, since it is the label)" in check.message
