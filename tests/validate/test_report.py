from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest
from pages import LONG, assert_readable, crowded, shortcomings
from user_files import minimal_project

from modelway.components.core.checks import Check, Gate, passed_or_failed
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.seen import SeenRows
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.evidence import Batch, LineRule, judged_line
from modelway.components.validate.distributions import measure, measure_like
from modelway.components.validate.report import MOST_LINES, render

PROJECT = minimal_project(features={"numeric": ["age"]})
BEFORE = pl.DataFrame(
    {
        "age": [20.0 + number % 50 for number in range(1000)],
        "region": ["north", "south"] * 500,
        "opened": [dt.date(2024, 1, 1) + dt.timedelta(days=number % 100) for number in range(1000)],
    }
)


def page(now: pl.DataFrame, *more: str) -> str:
    baseline = measure(BEFORE, BEFORE.columns, data_hash="")
    later = measure_like(now, baseline, data_hash="")
    checks = drift_checks(later, baseline, policy=DataPolicy())
    checks += [passed_or_failed(name, False, message=f"this is {name}") for name in more]
    return render(Gate(name="data", checks=tuple(checks)), PROJECT, current=later, reference=baseline)


def test_the_most_drifted_column_comes_first_with_its_distances() -> None:
    text = page(BEFORE.with_columns(region=pl.lit("south"), age=pl.col("age") + 5))
    cards = text[text.index("Most drifted first") : text.index("<h2>Checks")]
    assert cards.index("<h3>region") < cards.index("<h3>age") < cards.index("<h3>opened")
    assert "PSI" in cards
    assert "by chi-squared" in cards


def test_findings_of_each_kind_have_a_section() -> None:
    text = page(BEFORE, "duplicate[age]", "skew[age]", "drift[multivariate]", "shared_rows")
    leakage, skew, multivariate = (text.index(title) for title in ("<h2>Leakage", "<h2>Skew", "<h2>Multivariate drift"))
    assert leakage < text.index("this is duplicate[age]", leakage) < skew
    assert leakage < text.index("this is shared_rows", leakage) < skew
    assert skew < text.index("this is skew[age]", skew) < multivariate
    assert text.index("this is drift[multivariate]", multivariate) > multivariate


def test_there_is_no_section_of_what_was_not_judged() -> None:
    text = page(BEFORE)
    assert "<h2>Leakage" not in text
    assert "<h2>Skew" not in text


def test_dates_are_shown_as_dates() -> None:
    assert "up to 2024-01-10" in page(BEFORE)


def test_the_edge_below_a_frequent_zero_is_shown_in_words() -> None:
    paid = pl.DataFrame({"age": [0.0] * 600 + [float(number) for number in range(1, 401)]})
    text = render(Gate(name="data", checks=()), PROJECT, current=measure(paid, ["age"], data_hash=""), reference=None)
    assert "just below 0" in text
    assert "e-3" not in text


def judged_page(lines: int = 3) -> str:
    """The page of a gate with lines of a contract that were judged by what was seen, one of them on groups."""
    batch = Batch(500, "rows", 0.01 / 60, "`modelway contract diff loans --data FILE --accept`")
    rule, few = LineRule(SeenRows(500), 0.01), LineRule(SeenRows(3))
    checks = [
        judged_line(f"maximum[{LONG}_{bad}]", rule, bad=bad, batch=batch, counted="some", remedy="mend them")
        for bad in (0, 1, 20, *[0] * (lines - 3))
    ]
    checks = [check.model_copy(update={"name": f"{check.name}{at}"}) for at, check in enumerate(checks)]
    groups = Batch(5, "groups", 0.01 / 60, "`accept`")
    checks.append(judged_line("type[age]", few, bad=0, batch=groups, counted="none", remedy=""))
    return page_of(tuple(checks))


def page_of(checks: tuple[Check, ...]) -> str:
    measured = measure(BEFORE, ["age"], data_hash="")
    return render(Gate(name="data", checks=checks), PROJECT, current=measured, reference=None)


def test_lines_judged_by_what_was_seen_are_shown_with_their_evidence() -> None:
    text = judged_page()
    section = text[text.index("<h2>Contract") : text.index("<h2>Columns")]
    rows = [re.sub(r"<[^>]*>", " ", row).split() for row in section.split("<tr>")[2:]]
    assert [row[1] for row in rows] == ["failed", "inconclusive", "passed", "passed"]
    assert rows[0][2:] == ["0", "of", "500", "20", "of", "500", "13", "3.5", "%"]
    assert rows[3][2:] == ["0", "of", "3", "groups", "0", "of", "5", "groups", "none", "is", "certain", "none"]
    assert "<h2>Contract" not in page_of((passed_or_failed("type[age]", True, message="is integer"),))


def test_of_many_lines_the_worst_are_shown() -> None:
    text = judged_page(150)
    assert text.count('data-of="fails from"') == MOST_LINES
    assert "and 51 more lines" in text


@pytest.fixture
def pages() -> dict[str, str]:
    """The page of a calm table, and that of columns with long names and values, which fail in many ways."""
    words = {f"{LONG}_{number}": [f"{LONG * 2}_{row % 15}" for row in range(600)] for number in range(5)}
    wide = pl.DataFrame(words | {"age": [float(row) for row in range(600)]})
    kinds = ("nulls", "leakage", "drift", "skew", "rule")
    distributions = measure(wide, wide.columns, data_hash="")
    return {
        "calm": page(BEFORE),
        "judged": judged_page(),
        "crowded": render(
            crowded("data", kinds, {"rows": 1_200}), PROJECT, current=distributions, reference=distributions
        ),
    }


def test_pages_are_written_for_a_narrow_panel(pages: dict[str, str]) -> None:
    assert {name: shortcomings(text) for name, text in pages.items()} == {"calm": [], "judged": [], "crowded": []}


def test_pages_are_read_in_a_narrow_panel_without_scrolling_sideways(pages: dict[str, str], tmp_path: Path) -> None:
    assert_readable(pages, tmp_path)


def test_findings_that_do_not_block_are_said_before_the_charts() -> None:
    text = render(
        Gate(
            name="data", checks=tuple(drift_checks(measure(BEFORE, ["age"], data_hash=""), None, policy=DataPolicy()))
        ),
        PROJECT,
        current=measure(BEFORE, ["age"], data_hash=""),
        reference=None,
    )
    assert text.index("Did not pass, but does not block") < text.index("no approved model yet") < text.index("<svg")
