from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from modelway.components.core.checks import (
    Check,
    Gate,
    OnInconclusive,
    Verdict,
    combine,
    inconclusive,
    passed_or_failed,
)

P, F, I = Verdict.PASSED, Verdict.FAILED, Verdict.INCONCLUSIVE  # noqa: E741


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], I),
        ([P], P),
        ([F], F),
        ([I], I),
        ([P, P], P),
        ([P, F], F),
        ([P, I], I),
        ([I, F], F),
        ([F, I, P], F),
    ],
)
def test_the_worst_verdict_is_that_of_all(verdicts: list[Verdict], expected: Verdict) -> None:
    assert combine(verdicts) is expected
    assert combine(reversed(verdicts)) is expected
    assert combine(iter(verdicts)) is expected


@pytest.mark.parametrize("verdicts", list(product((P, F, I), repeat=3)))
def test_passed_needs_all_to_pass(verdicts: tuple[Verdict, ...]) -> None:
    assert (combine(verdicts) is P) == (set(verdicts) == {P})


def test_a_failed_check_blocks_and_a_passed_one_does_not() -> None:
    assert passed_or_failed("a", False, message="bad").blocks
    assert not passed_or_failed("a", True, message="good").blocks


@pytest.mark.parametrize(("rule", "blocks"), [(OnInconclusive.BLOCK, True), (OnInconclusive.WARN, False)])
def test_the_policy_says_whether_inconclusive_blocks(rule: OnInconclusive, blocks: bool) -> None:
    check = inconclusive("a", "too few rows", rule=rule, observed=3, threshold=100)
    gate = Gate(name="data", checks=(passed_or_failed("b", True, message="good"), check))
    assert check.verdict is I
    assert gate.verdict is I
    assert gate.proceed is not blocks
    assert gate.reasons == (["a: too few rows"] if blocks else [])


def test_reasons_are_what_blocks_failures_first() -> None:
    gate = Gate(
        name="model",
        checks=(
            inconclusive("slice[a]", "few rows", rule=OnInconclusive.BLOCK),
            passed_or_failed("metric[f1]", True, message="good"),
            passed_or_failed("metric[auc]", False, message="0.5, asked 0.7"),
            inconclusive("slice[b]", "fewer rows", rule=OnInconclusive.WARN),
            passed_or_failed("metric[loss]", False, message="1.2, asked 1.0"),
        ),
    )
    assert gate.reasons == ["metric[auc]: 0.5, asked 0.7", "metric[loss]: 1.2, asked 1.0", "slice[a]: few rows"]
    assert gate.verdict is F
    assert not gate.proceed
    assert gate.counts() == {"passed": 1, "failed": 2, "inconclusive": 2}


def test_a_gate_without_checks_has_judged_nothing() -> None:
    gate = Gate(name="data", checks=())
    assert gate.verdict is I
    assert gate.counts() == {"passed": 0, "failed": 0, "inconclusive": 0}


def test_a_gate_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    gate = Gate(
        name="data",
        checks=(
            passed_or_failed("nulls[größe]", False, message="3 of 10: “½”", observed=0.3, threshold=0.0),
            passed_or_failed("type[a]", True, message="is text", observed="String", threshold="string"),
            inconclusive("drift", "no baseline", rule=OnInconclusive.WARN),
            passed_or_failed("rows", True, message="10 rows", observed=10, threshold=1),
        ),
        facts={"rows": 10, "share": 0.5, "hash": "abc", "baseline": None},
        report="s3://bucket/report.html",
    )
    gate.write(tmp_path / "gate.json")
    again = Gate.read(tmp_path / "gate.json")
    assert again == gate
    assert [type(check.observed) for check in again.checks] == [float, str, type(None), int]


def test_checks_do_not_change() -> None:
    check = Check(name="a", verdict=F, message="bad", blocks=True)
    with pytest.raises(ValueError, match="frozen"):
        check.blocks = False  # type: ignore[misc]
