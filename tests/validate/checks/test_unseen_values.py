from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from contract_tables import contract_results
from user_files import minimal_project

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.validate import counting

PROJECT = minimal_project(features={"categorical": ["plan"]})
BY_GROUP = minimal_project(
    features={"categorical": ["plan"]},
    data={"source": "x.csv", "split": {"by": "group", "column": "person"}},
)
ROWS = 600
SEEN = {"gold": 300, "silver": 300}


def contract(seen: dict[Any, int], *, rows: int = ROWS, kind: str = "string", **keys: Any) -> Contract:
    texts = {str(value): count for value, count in seen.items()}
    plan = {"type": kind, "categories": list(seen), "seen": {"rows": rows, "categories": texts}} | keys
    return Contract.model_validate({"columns": {"plan": plan, "late": {"type": "integer"}}})


def checks_of(values: list[Any], plan_contract: Contract, *, persons: list[int] | None = None) -> dict[str, Check]:
    table = pl.DataFrame({"plan": values, "late": [0, 1] * (len(values) // 2)})
    if persons is None:
        return contract_results(table, plan_contract, PROJECT)
    return contract_results(table.with_columns(person=pl.Series(persons)), plan_contract, BY_GROUP)


def padded(values: list[Any], rows: int = ROWS) -> list[Any]:
    return [*values, *(["gold", "silver"] * rows)[: rows - len(values)]]


@pytest.mark.parametrize(
    ("new", "categories", "commonest"),
    [
        ([], "passed", "passed"),
        (["Gold"], "inconclusive", "inconclusive"),
        (["Gold"] * 10, "inconclusive", "inconclusive"),
        (["Gold"] * 11, "inconclusive", "failed"),
        ([f"x{number}" for number in range(8)], "inconclusive", "inconclusive"),
        ([f"x{number}" for number in range(9)], "failed", "inconclusive"),
    ],
    ids=["none", "one row", "ten rows", "eleven rows", "eight values", "nine values"],
)
def test_how_many_new_values_there_are_and_how_common_one_is(new: list[str], categories: str, commonest: str) -> None:
    checks = checks_of(padded(new), contract(SEEN))
    assert checks["categories[plan]"].verdict.value == categories
    assert checks["commonest[plan]"].verdict.value == commonest
    assert f"{len(new)} of 600 values outside the categories" in checks["categories[plan]"].message
    counts = Counter(new)
    if new:
        assert f"{len(counts)} different: '" in checks["categories[plan]"].message
        assert f"{max(counts.values())} of 600 values that equal the commonest" in checks["commonest[plan]"].message
    evidence = checks["categories[plan]"].evidence
    assert evidence is not None
    assert (evidence.unit, evidence.bad, evidence.seen_bad) == ("values", len(counts), 0)


def test_the_commonest_values_are_shown_with_the_most_common_first() -> None:
    new = ["Gold"] * 3 + ["GOLD"] * 4 + ["a", "b", "c"]
    checks = checks_of(padded(new), contract(SEEN))
    assert (
        "10 of 600 values outside the categories, 5 different: 'GOLD', 'Gold', '" in checks["categories[plan]"].message
    )
    assert "', … (0 of" in checks["categories[plan]"].message
    assert checks["commonest[plan]"].observed == 4
    assert "'GOLD'" in checks["commonest[plan]"].message


def test_where_values_were_seen_once_new_ones_are_expected() -> None:
    seen = {"gold": 580} | {f"rare {number}": 1 for number in range(20)}
    new = [f"new {number}" for number in range(20)]
    checks = checks_of(["gold"] * 580 + new, contract(seen))
    assert checks["categories[plan]"].verdict is Verdict.PASSED
    assert "(20 of the 600 rows seen had a value of their own)" in checks["categories[plan]"].message
    assert checks["commonest[plan]"].verdict is Verdict.PASSED
    assert checks_of(["gold"] * 540 + new * 3, contract(seen))["commonest[plan]"].verdict is Verdict.PASSED
    more = checks_of(["gold"] * 500 + [f"new {number}" for number in range(100)], contract(seen))
    assert more["categories[plan]"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("exponent", "rows", "batch"), [(1.3, 500, 500), (1.7, 500, 2_000), (2.5, 1_000, 300), (2.0, 300, 300)]
)
def test_clean_batches_of_long_tailed_categories_are_hardly_ever_blocked(
    exponent: float, rows: int, batch: int
) -> None:
    rng = np.random.default_rng(3)
    failed = 0
    for _ in range(60):
        seen = Counter(f"v{value}" for value in rng.zipf(exponent, rows))
        batch_values = [f"v{value}" for value in rng.zipf(exponent, batch)]
        checks = checks_of(batch_values, contract(dict(seen), rows=rows))
        failed += any(check.blocks for check in checks.values())
    assert failed <= 3  # at 1 % a batch, more than 3 of 60 happen in one of 300 cases


def test_many_rows_of_few_new_values_are_too_many_in_a_far_larger_batch() -> None:
    new = [f"x{number}" for number in range(4)] * 250
    checks = checks_of(padded(new, 20_000), contract({"gold": 100, "silver": 100}, rows=200))
    assert checks["categories[plan]"].verdict is Verdict.FAILED
    assert "certainly more than the 1 % that may be (`most`)" in checks["categories[plan]"].message
    reviewed = contract({"gold": 100, "silver": 100}, rows=200, most="10 %")
    assert checks_of(padded(new, 20_000), reviewed)["categories[plan]"].verdict is Verdict.INCONCLUSIVE


def test_values_of_one_group_are_one() -> None:
    persons = [1] * 100 + list(range(10, 510))
    checks = checks_of(["Gold"] * 100 + padded([], 500), contract(SEEN), persons=persons)
    assert checks["commonest[plan]"].observed == 1
    assert "1 of 501 groups with values outside the categories" in checks["categories[plan]"].message
    assert not any(check.blocks for check in checks.values())
    apart = checks_of(["Gold"] * 100 + padded([], 500), contract(SEEN), persons=list(range(600)))
    assert apart["commonest[plan]"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("kind", "seen", "new"),
    [("integer", {1: 300, 2: 300}, 3), ("boolean", {True: 600}, False)],
    ids=["integer", "flag"],
)
def test_categories_of_every_type(kind: str, seen: dict[Any, int], new: object) -> None:
    values = [new] * 20 + [next(iter(seen))] * 580
    checks = checks_of(values, contract(seen, kind=kind))
    assert checks["commonest[plan]"].verdict is Verdict.FAILED
    assert checks["commonest[plan]"].observed == 20


def test_an_edited_list_is_one_strict_line() -> None:
    checks = checks_of(padded(["Gold"]), contract(SEEN, categories=["gold", "silver", "none"]))
    assert (checks["categories[plan]"].verdict, checks["categories[plan]"].observed) == (Verdict.FAILED, 1)
    assert "it is a person's word" in checks["categories[plan]"].message
    assert "commonest[plan]" not in checks


def test_values_are_counted_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    new = [f"x{number % 37}" for number in range(90)]
    whole = checks_of(padded(new), contract(SEEN))
    monkeypatch.setattr(counting, "ROWS_AT_ONCE", 10)
    assert checks_of(padded(new), contract(SEEN)) == whole
    assert whole["categories[plan]"].observed == 37
    assert whole["commonest[plan]"].observed == 3
