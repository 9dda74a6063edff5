from __future__ import annotations

import datetime as dt
from typing import Any

import polars as pl
import pytest
from contract_tables import contract_results
from user_files import minimal_project

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.contract import Contract
from modelway.components.core.tables.unparsed import Unparsed

PROJECT = minimal_project(features={"numeric": ["age"]})
BY_GROUP = minimal_project(
    features={"numeric": ["age"]},
    data={"source": "x.csv", "split": {"by": "group", "column": "person"}},
)
ROWS = 600
SEEN = {"rows": ROWS, "minimum": 0, "maximum": 100}
ACCEPT = "`modelway contract diff loans --data FILE --accept`"


def contract(**columns: Any) -> Contract:
    return Contract.model_validate({"columns": columns | {"late": {"type": "integer", "categories": [0, 1]}}})


def age(**keys: Any) -> dict[str, Any]:
    """A column of numbers whose bounds were proposed from 600 rows, none of them missing or bad."""
    return {"type": "integer", "minimum": 0, "maximum": 100, "seen": SEEN} | keys


def table(ages: list[int | None], **columns: Any) -> pl.DataFrame:
    rest = [50] * (ROWS - len(ages))
    return pl.DataFrame({"age": [*ages, *rest], "late": [0, 1] * (ROWS // 2)} | columns)


def of_age(ages: list[int | None], **keys: Any) -> dict[str, Check]:
    return contract_results(table(ages), contract(age=age(**keys)), PROJECT)


@pytest.mark.parametrize(("bad", "verdict"), [(0, "passed"), (1, "inconclusive"), (8, "inconclusive"), (9, "failed")])
@pytest.mark.parametrize(("line", "value"), [("minimum", -1), ("maximum", 101), ("nulls", None)])
def test_a_line_is_judged_by_what_was_seen(line: str, value: int | None, bad: int, verdict: str) -> None:
    check = of_age([value] * bad)[f"{line}[age]"]  # four lines: at 1 % / 4 nine rows are certain, and eight are not
    assert (check.verdict.value, check.blocks) == (verdict, verdict == "failed")
    assert f"{bad} of 600 " in check.message
    assert "(0 of the 600 rows seen)" in check.message
    assert (ACCEPT in check.message) is (bad > 0)
    assert ("such as" in check.message) is (bad > 0 and line != "nulls")
    assert ("as 9 would be" in check.message) is (verdict == "inconclusive")
    assert check.evidence is not None
    assert (check.evidence.bad, check.evidence.least) == (bad, 9)


def test_missing_values_as_were_seen_are_expected() -> None:
    keys = {"max_nulls": 0.05, "seen": SEEN | {"nulls": 30}}
    verdicts = {bad: of_age([None] * bad, **keys)["nulls[age]"] for bad in (0, 30, 36, 50, 90)}
    assert [check.verdict.value for check in verdicts.values()] == [
        "passed",
        "passed",
        "passed",
        "inconclusive",
        "failed",
    ]
    assert (verdicts[36].observed, verdicts[36].threshold) == (0.06, 0.05)
    assert "36 of 600 missing values (30 of the 600 rows seen)" in verdicts[36].message


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"seen": None}, "1 of 600 values above 100, such as '101'; correct"),
        ({"strict": True}, "1 of 600 values above 100, such as '101'; correct"),
        (
            {"maximum": 90},
            "(judged strictly, since the line was edited after its rows were seen: it is a person's word)",
        ),
        ({"seen": SEEN | {"maximum": None}}, "it is a person's word"),
    ],
    ids=["not seen", "strict", "edited", "added"],
)
def test_a_persons_word_is_strict(keys: dict[str, Any], says: str) -> None:
    check = of_age([101], **keys)["maximum[age]"]
    assert (check.verdict, check.blocks, check.evidence) == (Verdict.FAILED, True, None)
    assert says in check.message


def test_an_edited_share_of_missing_values_is_strict() -> None:
    keys = {"max_nulls": 0.04, "seen": SEEN | {"nulls": 30}}
    assert of_age([None] * 24, **keys)["nulls[age]"].verdict is Verdict.PASSED
    check = of_age([None] * 25, **keys)["nulls[age]"]
    assert check.verdict is Verdict.FAILED
    assert "it is a person's word" in check.message
    assert of_age([101], **keys)["maximum[age]"].verdict is Verdict.INCONCLUSIVE  # the other lines were not edited


@pytest.mark.parametrize(("bad", "verdict"), [(0, "passed"), (6, "passed"), (7, "failed")])
def test_a_share_that_a_person_allows_is_judged_as_such(bad: int, verdict: str) -> None:
    check = of_age([101] * bad, allowed="1 %")["maximum[age]"]
    assert (check.verdict.value, check.evidence) == (verdict, None)
    assert f"{bad} of 600 values above 100" in check.message
    assert "; the contract allows 1 %" in check.message


def test_the_label_is_strict() -> None:
    label = {"type": "integer", "categories": [0, 1], "seen": {"rows": ROWS, "categories": {"0": 300, "1": 300}}}
    rows = table([]).with_columns(late=pl.when(pl.int_range(pl.len()) == 0).then(2).otherwise("late"))
    label_contract = Contract.model_validate({"columns": {"age": age(), "late": label}})
    checks = contract_results(rows, label_contract, PROJECT)
    assert (checks["categories[late]"].verdict, checks["categories[late]"].blocks) == (Verdict.FAILED, True)
    assert "(judged strictly, since it is the label)" in checks["categories[late]"].message
    assert "commonest[late]" not in checks


@pytest.mark.parametrize(
    ("ages", "verdict"),
    [([1100], "passed"), ([1101], "inconclusive"), ([-1001], "inconclusive"), ([9999999] * 3, "inconclusive")],
)
def test_a_value_absurdly_far_out_warns_from_the_first_row(ages: list[int | None], verdict: str) -> None:
    check = of_age(ages)["far_out[age]"]
    assert (check.verdict.value, check.blocks) == (verdict, False)
    assert (f"such as '{ages[0]}'" in check.message) is (verdict == "inconclusive")
    assert (ACCEPT in check.message) is (verdict == "inconclusive")


@pytest.mark.parametrize(
    "column",
    [
        age(strict=True),
        age(maximum=None),
        age(minimum=5, maximum=5, seen=SEEN | {"minimum": 5, "maximum": 5}),
        {"type": "number", "minimum": -1.7e308, "maximum": 1.7e308, "seen": SEEN},
    ],
    ids=["strict", "one bound", "no range", "as wide as numbers are"],
)
def test_without_a_range_that_was_seen_nothing_is_far_out(column: dict[str, Any]) -> None:
    assert "far_out[age]" not in contract_results(table([10**9]), contract(age=column), PROJECT)


def test_dates_are_not_far_out() -> None:
    days = {"type": "date", "minimum": dt.date(2024, 1, 1), "maximum": dt.date(2024, 12, 31)}
    column = days | {"seen": {"rows": ROWS} | {key: days[key] for key in ("minimum", "maximum")}}
    values = pl.Series([dt.date(9999, 12, 31)] + [dt.date(2024, 5, 1)] * (ROWS - 1))
    checks = contract_results(table([]).with_columns(day=values), contract(age=age(), day=column), PROJECT)
    assert checks["maximum[day]"].verdict is Verdict.INCONCLUSIVE
    assert "far_out[day]" not in checks


@pytest.mark.parametrize(
    ("persons", "verdict"),
    [([1] * 100, "inconclusive"), (list(range(7)) * 10, "inconclusive"), (list(range(9)), "failed")],
    ids=["one", "seven", "nine"],
)
def test_rows_of_a_group_count_as_one(persons: list[int], verdict: str) -> None:
    rows = table([101] * len(persons), person=persons + list(range(100, 100 + ROWS - len(persons))))
    check = contract_results(rows, contract(age=age(), person={"type": "integer"}), BY_GROUP)["maximum[age]"]
    groups = len(set(persons))
    assert f"{groups} of {groups + ROWS - len(persons)} groups with values above 100, such as '101'" in check.message
    assert "(0 of the 600 groups seen)" in check.message
    assert check.verdict.value == verdict


def unparsed(*positions: int) -> dict[str, Unparsed]:
    return {"age": Unparsed(len(positions), ("n/k", "??"), positions)}


@pytest.mark.parametrize(("bad", "verdict"), [(0, "passed"), (8, "inconclusive"), (9, "failed")])
def test_values_that_do_not_parse_are_judged_as_type_and_not_as_missing(bad: int, verdict: str) -> None:
    positions = tuple(range(bad))
    checks = contract_results(table([None] * bad), contract(age=age()), PROJECT, unparsed=unparsed(*positions))
    assert checks["type[age]"].verdict.value == verdict
    assert f"{bad} of 600 values that are no valid integer" in checks["type[age]"].message
    assert ("such as 'n/k', '??', which count as missing" in checks["type[age]"].message) is (bad > 0)
    assert checks["nulls[age]"].verdict is Verdict.PASSED
    assert "0 of 600 missing values" in checks["nulls[age]"].message


def test_groups_of_values_that_do_not_parse() -> None:
    persons = [1, 1, 1, 2, 3, *range(100, 100 + ROWS - 5)]
    rows = table([None] * 5, person=persons)
    checks = contract_results(
        rows, contract(age=age(), person={"type": "integer"}), BY_GROUP, unparsed=unparsed(0, 1, 3)
    )
    assert "2 of 598 groups with values that are no valid integer" in checks["type[age]"].message
    assert "2 of 598 groups with missing values" in checks["nulls[age]"].message  # one row of person 1, and 3's
    many = {"age": Unparsed(5, ("n/k",), None)}  # too many to say where
    checks = contract_results(rows, contract(age=age(), person={"type": "integer"}), BY_GROUP, unparsed=many)
    assert "5 of 598 groups with values that are no valid integer" in checks["type[age]"].message


def test_rows_already_seen_are_no_evidence_but_strict_lines_are_judged_on_them() -> None:
    is_new = pl.Series([False] * 300 + [True] * 300)
    checks = contract_results(table([101] * 300), contract(age=age(), late={"type": "integer"}), PROJECT, is_new=is_new)
    assert checks["maximum[age]"].verdict is Verdict.PASSED
    assert "0 of 300 new values above 100" in checks["maximum[age]"].message
    strict = contract_results(table([101] * 300), contract(age=age(strict=True)), PROJECT, is_new=is_new)
    assert "300 of 600 values above 100" in strict["maximum[age]"].message
    nothing = contract_results(table([101] * 300), contract(age=age()), PROJECT, is_new=pl.Series([False] * ROWS))
    assert nothing["maximum[age]"].verdict is Verdict.PASSED
    assert "no new rows" in nothing["maximum[age]"].message
