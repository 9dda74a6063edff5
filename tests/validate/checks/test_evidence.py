from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import beta

from modelway.components.core.checks import Verdict
from modelway.components.core.config.seen import SeenRows
from modelway.components.validate.checks.evidence import Batch, LineRule, ValueRows, judged_line, least_failing

LEVEL = 0.01 / 60


@pytest.mark.parametrize(
    ("rule", "rows", "least"),
    [
        (LineRule(SeenRows(20_000), 0.01), 20_000, 13),
        (LineRule(SeenRows(500), 0.01), 500, 13),
        (LineRule(SeenRows(500, 0, 10), 0.01), 500, 120),  # as of 50 rows
        (LineRule(SeenRows(215), 0.01), 1_000_000, 10_360),  # by the 1 % that may be bad, whatever was seen
        (LineRule(SeenRows(215), 0.5), 1_000_000, 39_660),  # by what was seen
        (LineRule(SeenRows(20_000, 20), None), 20_000, 51),
    ],
)
def test_a_line_fails_from_the_fewest_certain_rows_on(rule: LineRule, rows: int, least: int) -> None:
    assert least_failing(rule, rows=rows, level=LEVEL) == least
    assert rule.verdict(least, rows=rows, level=LEVEL) is Verdict.FAILED
    assert rule.verdict(least - 1, rows=rows, level=LEVEL) is Verdict.INCONCLUSIVE
    assert rule.verdict(0, rows=rows, level=LEVEL) is Verdict.PASSED


def test_bad_rows_as_were_seen_are_expected() -> None:
    rule = LineRule(SeenRows(1_000, 30), 0.01)
    verdicts = [rule.verdict(bad, rows=1_000, level=LEVEL) for bad in range(100)]
    assert verdicts == sorted(verdicts, key=["passed", "inconclusive", "failed"].index)
    warned, failed = verdicts.index(Verdict.INCONCLUSIVE), verdicts.index(Verdict.FAILED)
    assert 30 < warned < failed
    assert rule.p_value(warned, rows=1_000) <= 0.05 < rule.p_value(warned - 1, rows=1_000)
    assert rule.p_value(failed, rows=1_000) <= LEVEL < rule.p_value(failed - 1, rows=1_000)


def test_one_bad_row_warns_where_none_was_seen() -> None:
    assert LineRule(SeenRows(10**6), 0.01).verdict(1, rows=10, level=LEVEL) is Verdict.FAILED
    assert LineRule(SeenRows(1_000), 0.01).verdict(1, rows=10, level=LEVEL) is Verdict.INCONCLUSIVE
    assert LineRule(SeenRows(0), None).verdict(10, rows=10, level=LEVEL) is Verdict.INCONCLUSIVE


def test_of_seen_bad_rows_the_upper_limit_of_their_share_and_more_may_be() -> None:
    assert LineRule(SeenRows(500, 50)).most_share(rows=500, level=LEVEL) is None
    expected = 0.01 + beta.isf(LEVEL, 51, 450)
    assert LineRule(SeenRows(500, 50), 0.01).most_share(rows=500, level=LEVEL) == pytest.approx(expected)
    assert LineRule(SeenRows(5_000, 500, 10), 0.01).most_share(rows=500, level=LEVEL) == pytest.approx(expected)
    assert LineRule(SeenRows(10, 10), 0.5).most_share(rows=500, level=LEVEL) == 1


def test_where_no_bad_row_was_seen_most_holds_in_far_larger_batches() -> None:
    rule = LineRule(SeenRows(215), 0.01)
    assert rule.most_share(rows=2_150, level=LEVEL) is None
    assert rule.most_share(rows=2_151, level=LEVEL) == 0.01
    assert rule.fails(40_000, rows=1_000_000, level=LEVEL)
    assert not LineRule(SeenRows(215), None).fails(39_000, rows=1_000_000, level=LEVEL)


@pytest.mark.parametrize(
    ("share", "rows", "batch"),
    [(0.0, 500, 500), (0.01, 100, 100), (0.03, 100, 130), (0.1, 500, 5_000), (0.02, 2_000, 200)],
)
def test_rows_drawn_alike_fail_no_more_often_than_promised(share: float, rows: int, batch: int) -> None:
    level, rng = 0.02, np.random.default_rng(1)
    failed = 0
    for _ in range(1_000):
        seen = SeenRows(rows, int(rng.binomial(rows, share)))
        failed += LineRule(seen, 0.01).fails(int(rng.binomial(batch, share)), rows=batch, level=level)
    assert failed <= 1_000 * level + 3 * math.sqrt(1_000 * level)


@pytest.mark.parametrize(("rows", "batch"), [(60, 60), (500, 500), (500, 2_000)])
def test_a_bound_drawn_around_the_seen_rows_fails_no_more_often_than_promised(rows: int, batch: int) -> None:
    level, rng = 0.02, np.random.default_rng(2)
    failed = 0
    for _ in range(1_000):
        values = rng.pareto(1, rows + batch)
        bad = int((values[rows:] > values[:rows].max()).sum())
        failed += LineRule(SeenRows(rows), 0.01).fails(bad, rows=batch, level=level)
    assert failed <= 1_000 * level + 3 * math.sqrt(1_000 * level)


def test_values_that_occur_as_often_are_counted() -> None:
    value_rows = ValueRows((1, 5, 9), commonest=5, ties=3)
    assert [value_rows.values(rows) for rows in (1, 5, 6, 10)] == [6, 5, 2, 1]


def test_the_share_that_is_found_is_that_of_the_fewest_certain_rows() -> None:
    evidence = LineRule(SeenRows(20_000), 0.01).line_evidence(3, rows=20_000, level=LEVEL)
    assert (evidence.seen_rows, evidence.seen_bad, evidence.rows, evidence.bad) == (20_000, 0, 20_000, 3)
    assert evidence.least == 13
    assert evidence.share is not None
    assert evidence.share < 0.001
    clustered = LineRule(SeenRows(20_000, 0, 10), 0.01).line_evidence(3, rows=20_000, level=LEVEL)
    assert clustered.share is not None
    assert clustered.share > 5 * evidence.share
    assert LineRule(SeenRows(5), None).line_evidence(0, rows=5, level=LEVEL).share is None


@pytest.mark.parametrize(
    ("bad", "seen", "verdict", "says"),
    [
        (0, SeenRows(500), "passed", "0 of 500 values above 5 (0 of the 500 rows seen)"),
        (1, SeenRows(500), "inconclusive", "not certainly more than chance, as 13 would be; look at them"),
        (
            13,
            SeenRows(500),
            "failed",
            "certainly more than chance, of which 13 are enough; mend them; if they are right",
        ),
        (2, SeenRows(30), "inconclusive", "not certainly more than chance, as 16 would be"),
        (10, SeenRows(0), "inconclusive", "not certainly more than chance, as 16 would be"),
        (30, SeenRows(2), "failed", "certainly more than the 1 % that may be (`most`)"),
    ],
)
def test_a_check_says_what_is_certain_and_what_to_do(bad: int, seen: SeenRows, verdict: str, says: str) -> None:
    batch = Batch(500, "rows", LEVEL, "`modelway contract diff loans --data FILE --accept`")
    counted = batch.counted(bad, "values above 5")
    check = judged_line("maximum[age]", LineRule(seen, 0.01), bad=bad, batch=batch, counted=counted, remedy="mend them")
    assert (check.verdict.value, check.blocks) == (verdict, verdict == "failed")
    assert says in check.message
    assert ("`modelway contract diff loans --data FILE --accept`" in check.message) is (verdict != "passed")
    assert check.evidence is not None
    assert (check.observed, check.evidence.bad, check.evidence.unit) == (bad, bad, "rows")


def test_a_reason_of_another_kind_fails_whatever_the_rule_says() -> None:
    batch = Batch(500, "rows", LEVEL, "`accept`")
    rule = LineRule(SeenRows(500))
    check = judged_line("a", rule, bad=1, batch=batch, counted="1 of 500", remedy="mend them", excess="far too many")
    assert check.verdict is Verdict.FAILED
    assert "far too many" in check.message


def test_groups_and_new_rows_are_named() -> None:
    assert Batch(50, "groups", LEVEL, "").counted(2, "values above 5") == "2 of 50 groups with values above 5"
    assert Batch(50, "rows", LEVEL, "", is_part=True).counted(2, "values above 5") == "2 of 50 new values above 5"
    assert Batch(0, "rows", LEVEL, "", is_part=True).counted(0, "values above 5") == "no new rows"
