from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from contract_tables import GOOD, contract, contract_results, project, with_values

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.validate import counting
from modelway.components.validate.checks.whole_table import rule_checks, unique_checks

TABLE = pl.DataFrame(
    {
        "region": ["north"] * 3 + ["south"] * 2 + ["west"] + [None] * 2,
        "year": [1, 1, 2, 1, 1, 1, 1, 2],
        "paid": [1.0, 2.0, 3.0, 10.0, 20.0, 5.0, None, 0.5],
    }
)


COLUMNS = {
    "region": {"type": "string", "max_nulls": 1.0},
    "year": {"type": "integer"},
    "paid": {"type": "number", "max_nulls": 1.0},
}


def rule_check(text: str, per: str, table: pl.DataFrame = TABLE, **options: Any) -> Check:
    rule = {"name": "r", "rule": text, "per": per, **options}
    contract = Contract.model_validate({"columns": COLUMNS, "rules": [rule]})
    (check,) = rule_checks(table.lazy(), contract, schema=table.schema, rows=len(table))
    assert check.name == "rule[r]"
    return check


@pytest.mark.parametrize(
    ("text", "by", "broken", "groups", "example"),
    [
        ("AVG(paid) < 100", ["region"], 0, 4, ""),
        ("AVG(paid) < 10", ["region"], 1, 4, "region = south (2 rows)"),
        ("COUNT(*) > 1", ["region"], 1, 4, "region = west (1 rows)"),
        ("MAX(paid) > 2", ["region"], 1, 4, "region = None (2 rows)"),
        ("MIN(paid) > 1", ["year", "region"], 3, 6, "year = 1, region = north (2 rows)"),
    ],
)
def test_a_rule_per_group(text: str, by: list[str], broken: int, groups: int, example: str) -> None:
    check = rule_check(text, "group", by=by)
    assert (check.verdict is Verdict.PASSED) is (broken == 0)
    assert check.observed == round(broken / groups, 6)
    assert f"{broken} of {groups} groups by {', '.join(by)} break the rule `{text}`" in check.message
    assert example in check.message


@pytest.mark.parametrize(("tolerance", "passes"), [(0.24, False), (0.25, True)])
def test_a_share_of_groups_may_break_a_rule(tolerance: float, passes: bool) -> None:
    check = rule_check("AVG(paid) < 10", "group", by=["region"], tolerance=tolerance)
    assert (check.verdict is Verdict.PASSED, check.threshold) == (passes, tolerance)


def test_the_largest_groups_that_break_a_rule_come_first_and_are_few() -> None:
    table = pl.DataFrame({"region": [f"r{number}" for number in range(9) for _ in range(number + 1)]})
    table = table.with_columns(year=1, paid=1.0)
    message = rule_check("AVG(paid) > 1", "group", table, by=["region"]).message
    assert "region = r8 (9 rows); region = r7 (8 rows); region = r6 (7 rows); correct" in message
    assert "r5" not in message


def test_names_that_the_check_uses_itself_may_be_columns() -> None:
    table = pl.DataFrame({"rows": [1, 1, 2], "kept": [1.0, 2.0, -3.0]})
    columns = {"rows": {"type": "integer"}, "kept": {"type": "number"}}
    rules = [
        {"name": "a", "rule": "MIN(kept) > 0 AND MAX(rows) > 0", "per": "group", "by": ["rows"]},
        {"name": "b", "rule": "MIN(rows) > 0", "per": "group", "by": ["kept"]},
    ]
    contract = Contract.model_validate({"columns": columns, "rules": rules})
    checks = rule_checks(table.lazy(), contract, schema=table.schema, rows=3)
    assert [check.observed for check in checks] == [0.5, 0.0]


@pytest.mark.parametrize(
    ("text", "passes", "observed"),
    [
        ("AVG(paid) < 10", True, "5.92857"),
        ("AVG(paid) < 5", False, "5.92857"),
        ("COUNT(*) = 8", True, "8"),
        ("COUNT(DISTINCT region) >= 4", False, "3"),
        ("MAX(paid) < 30 AND MIN(paid) > 0", True, "true"),
        ("SUM(paid) > SUM(year)", True, "41.5, 10"),
        ("AVG(paid) / 0 > 1", True, "inf"),
    ],
)
def test_a_rule_per_table(text: str, passes: bool, observed: str) -> None:
    check = rule_check(text, "table")
    assert (check.verdict is Verdict.PASSED, check.observed) == (passes, observed)
    assert f"the table of 8 rows {'keeps' if passes else 'breaks'} the rule `{text}`" in check.message


@pytest.mark.parametrize("per", ["group", "table"])
def test_a_rule_over_a_missing_column_fails(per: str) -> None:
    check = rule_check("AVG(paid) < 5", per, TABLE.drop("paid"), **({"by": ["region"]} if per == "group" else {}))
    assert check.verdict is Verdict.FAILED
    assert "cannot be checked: the column 'paid' is missing" in check.message


def test_a_rule_by_a_missing_column_fails() -> None:
    check = rule_check("AVG(paid) < 5", "group", TABLE.drop("region"), by=["region"])
    assert check.verdict is Verdict.FAILED
    assert "the column 'region' is missing" in check.message


def test_no_rows_break_no_rule_per_group_and_an_aggregate_of_none_is_not_known() -> None:
    assert rule_check("AVG(paid) < 5", "group", TABLE.clear(), by=["region"]).verdict is Verdict.PASSED
    assert rule_check("AVG(paid) < 5", "table", TABLE.clear()).verdict is Verdict.FAILED


@pytest.mark.parametrize("at_once", [7, 10**6])
def test_keys_are_unique_however_few_rows_are_held(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", at_once)
    table = pl.DataFrame({"id": [f"k{number}" for number in range(100)] + ["k7", "k7", "k3", None, None]})
    contract = Contract.model_validate({"columns": {"id": {"type": "string", "unique": True}}, "unique": [["id"]]})
    alone, key = pl.concat([table, pl.DataFrame({"id": ["k100"]})]).pipe(
        lambda rows: unique_checks(rows.lazy(), contract, schema=rows.schema, rows=len(rows))
    )
    assert (alone.observed, key.observed) == (5, 7)
    assert "such as 'k3', 'k7'; " in alone.message or "such as 'k7', 'k3'; " in alone.message


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
