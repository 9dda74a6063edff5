from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import LONG, assert_readable, crowded, shortcomings

from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.config.project import Project
from modelway.components.core.evidence.blessing import Blessing, Hashes, bless
from modelway.components.core.evidence.model_card import render_card

Text = Callable[..., str]
WAIVED = passed_or_failed("slice[age>60].f1", False, message="0.2 on 300 rows <b>|").model_copy(
    update={"blocks": False, "waiver": "waived by ada until 2026-06-30: known"}
)


JUDGED_FROM = "300 test rows; out of fold: 900 training rows, 5 folds, 4 times"


def blessing() -> Blessing:
    gates = (
        Gate(
            name="data",
            checks=(passed_or_failed("columns", True, message="all there"),),
            facts={"rows": 1200, "train_rows": 900, "test_rows": 300, "baseline": None},
        ),
        Gate(
            name="model",
            checks=(
                passed_or_failed("metric[f1]", True, message="0.9", observed=0.9, threshold=0.5, interval=(0.88, 0.92)),
                WAIVED,
                passed_or_failed("fairness[sex].demographic_parity_difference", True, message="0.02", observed=0.02),
            ),
            facts={"test_rows": 300, "out_of_fold": "900 training rows, 5 folds, 4 times"},
        ),
        Gate(
            name="serving",
            checks=(passed_or_failed("latency[p99]", True, message="9 ms", observed=9.1, threshold=100.0),),
        ),
    )
    hashes = Hashes(model="a" * 64, data="b" * 64, project="c", contract="d", policy="e")
    return bless(gates, hashes, project="loans", run="run-1", git_commit="f" * 40, requested_by="ada", compared_with="")


def test_the_card_says_what_was_found_and_who_answers(project_text: Text) -> None:
    card = {"owner": "Risk team", "intended_use": "Ranking | applications\nfor review"}
    card_ = render_card(blessing(), Project.parse(project_text({"card": card})))
    for text in (card_.markdown, card_.page):
        for expected in (
            "Risk team",
            "0.88 to 0.92",
            "latency[p99]",
            "a" * 64,
            "f" * 40,
            "1,200",
            "no champion",
            JUDGED_FROM,
        ):
            assert expected in text, expected
        assert "waived by ada until 2026-06-30: known" in text
        assert "not stated" in text
    titles = [line for line in card_.markdown.splitlines() if line.startswith("## ")]
    assert titles == [
        "## Model details",
        "## Use",
        "## Training and evaluation data",
        "## Gates",
        "## Quantitative analyses",
        "## Slices and weak segments",
        "## Fairness",
        "## Serving",
        "## Waivers",
        "## Evidence",
    ]


def test_every_table_of_the_markdown_is_whole(project_text: Text) -> None:
    markdown = render_card(blessing(), Project.parse(project_text({"card": {"intended_use": "a | b\nc"}}))).markdown
    assert "a \\| b c" in markdown
    widths: list[int] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            widths.append(line.replace("\\|", "").count("|"))
        else:
            assert len(set(widths)) <= 1
            widths = []


def test_the_page_holds_no_markup_of_the_data(project_text: Text) -> None:
    page = render_card(blessing(), Project.parse(project_text())).page
    assert "&lt;b&gt;|" in page
    HTMLParser().feed(page)
    assert "http" not in page


def test_a_run_that_ended_at_the_data_gate_has_a_card_too(project_text: Text) -> None:
    bad = Gate(name="data", checks=(passed_or_failed("nulls[age]", False, message="3 of 10"),))
    hashes = Hashes(project="c", contract="d", policy="e")
    card_ = bless((bad,), hashes, project="loans", run="run-1", git_commit="", requested_by="", compared_with="2")
    card = render_card(card_, Project.parse(project_text()))
    assert "**Not blessed**" in card.markdown
    assert "- nulls[age]: 3 of 10" in card.markdown
    assert "Why it is not blessed" in card.page


@pytest.fixture
def pages(project_text: Text) -> dict[str, str]:
    """The page of a blessed model, and that of one rejected in many ways, at length."""
    kinds = ("metric", "slice].f1", "fairness].accuracy", "robustness")
    gates = [crowded(name, kinds, {"rows": 1_200}) for name in ("data", "model", "serving")]
    hashes = Hashes(model="a" * 64, project="c", contract="d", policy="e")
    rejected = bless(gates, hashes, project="loans", run=LONG, git_commit="", requested_by=LONG, compared_with="2")
    words = {"intended_use": f"{LONG * 3} and nothing else", "owner": LONG}
    return {
        "blessed": render_card(blessing(), Project.parse(project_text())).page,
        "rejected": render_card(rejected, Project.parse(project_text({"card": words}))).page,
    }


def test_pages_are_written_for_a_narrow_panel(pages: dict[str, str]) -> None:
    assert {name: shortcomings(text) for name, text in pages.items()} == {"blessed": [], "rejected": []}


def test_pages_are_read_in_a_narrow_panel_without_scrolling_sideways(pages: dict[str, str], tmp_path: Path) -> None:
    assert_readable(pages, tmp_path)


def test_the_worst_checks_of_a_section_come_first(project_text: Text) -> None:
    checks = [passed_or_failed(f"slice[age={age}].f1", age > 40, message="said", observed=0.5) for age in (60, 50, 30)]
    gates = (Gate(name="model", checks=tuple(checks)),)
    hashes = Hashes(project="c", contract="d", policy="e")
    blessing_ = bless(gates, hashes, project="loans", run="r", git_commit="", requested_by="", compared_with="")
    section = render_card(blessing_, Project.parse(project_text())).markdown.partition("## Slices")[2]
    assert section.index("age=30") < section.index("age=60") < section.index("age=50")
