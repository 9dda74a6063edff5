from __future__ import annotations

import pytest
from pages import LONG, shortcomings

from modelway.components.core.checks import Check, Gate, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.report.html import (
    MOST_CHECKS,
    MOST_WARNINGS,
    format_number,
    markdown_cell,
    render_gate,
    shorten,
)

CORE = "modelway.components.core.report"


def page(*checks: Check) -> str:
    return render_gate(CORE, "report.html.j2", gate=Gate(name="data", checks=checks), title="Data of loans")


def test_the_worst_check_comes_first() -> None:
    text = page(
        passed_or_failed("fine", True, message="said"),
        inconclusive("open", "said", rule=OnInconclusive.WARN),
        inconclusive("blocking", "said", rule=OnInconclusive.BLOCK),
        passed_or_failed("bad", False, message="said"),
    )
    places = [text.index(f"<code>{name}</code>") for name in ("bad", "blocking", "open", "fine")]
    assert places == sorted(places)


def test_why_a_run_is_rejected_and_what_else_did_not_pass_stand_at_the_top() -> None:
    waived = passed_or_failed("waived", False, message="said").model_copy(update={"blocks": False, "waiver": "by ada"})
    text = page(
        passed_or_failed("bad", False, message="is bad"),
        waived,
        inconclusive("open", "is open", rule=OnInconclusive.WARN),
    )
    top = text[: text.index("<h2>Checks")]
    assert top.index("Why it is rejected") < top.index("bad: is bad") < top.index("Did not pass, but does not block")
    assert top.index("does not block") < top.index("waived: said") < top.index("open: is open")
    assert "Did not pass" not in page(passed_or_failed("bad", False, message="is bad"))


def test_a_message_is_cut_at_the_top_and_whole_among_the_checks() -> None:
    message = " ".join(["word"] * 200)
    text = page(passed_or_failed("bad", False, message=message))
    assert text.count(message) == 1
    assert text.index(message) > text.index("<h2>Checks")


def test_a_page_of_thousands_of_checks_stays_small() -> None:
    checks = [inconclusive(f"drift[column_{number}]", "said", rule=OnInconclusive.WARN) for number in range(10_000)]
    text = page(*checks)
    assert text.count("<tr>") == MOST_CHECKS + 1
    assert text.count("<li>") == MOST_WARNINGS
    assert f"and {10_000 - MOST_CHECKS} more" in text
    assert len(text) < 100_000


def test_a_gate_without_checks_has_no_empty_tables() -> None:
    text = page()
    assert "<table" not in text
    assert shortcomings(text) == []


@pytest.mark.parametrize(
    ("flaw", "problem"),
    [
        ("<table><tr><td>1</td></tr></table>", "a table"),
        ('<table class="facts"><tr><th>1</th></tr></table>', "without a scope"),
        ('<svg viewBox="0 0 1 1" role="img"></svg>', "without a name"),
        ('<p style="width: 500px">', "wider than the panel: 500px"),
        ("<style>.x { min-width: 30rem; }</style>", "wider than the panel: 30rem"),
        ('<script src="https://example.org/x.js"></script>', "loads"),
        ('<td width="700">', "width of its own"),
    ],
)
def test_the_rules_for_pages_find_what_breaks_them(flaw: str, problem: str) -> None:
    assert any(problem in shortcoming for shortcoming in shortcomings(page().replace("</body>", f"{flaw}</body>")))


def test_names_that_are_alike_are_shortened_in_their_middle() -> None:
    assert shorten("health") == "health"
    assert shorten(f"{LONG}_12") == "member_househol…re_in_dollars_12"
    assert len(shorten(f"{LONG}_12")) == 32


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (12_345, "12,345"), (0.123456, "0.1235"), (1000.0, "1,000"), ("a", "a"), (True, "True")],
)
def test_numbers_are_written_as_people_write_them(value: object, text: str) -> None:
    assert format_number(value) == text


def test_a_cell_of_markdown_is_one_line_without_markup() -> None:
    assert markdown_cell("a | b\n<c>") == "a \\| b &lt;c>"
