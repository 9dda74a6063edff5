from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import LONG, assert_readable, crowded, shortcomings
from user_files import minimal_project

from modelway.components.core.checks import RULES, Check, Gate, Verdict
from modelway.components.core.measures.metrics import Predictions
from modelway.components.core.report.html import shorten
from modelway.components.evaluate.curves import confusion, roc_curves
from modelway.components.evaluate.report import (
    MOST_CLASSES,
    Confusion,
    bars,
    is_legible,
    most_confused,
    render,
    sections,
)
from modelway.components.evaluate.statistics.estimates import Estimate

PROJECT = minimal_project(features={"numeric": ["age"]})
KINDS = (
    "metric",
    "no_regression",
    "slice].roc_auc",
    "weak_segment].roc_auc",
    "fairness].accuracy.difference",
    "robustness",
)


def check(name: str, observed: float | int | None, verdict: Verdict = Verdict.PASSED, **more: object) -> Check:
    return Check.model_validate({"name": name, "verdict": verdict, "observed": observed, "message": "said", **more})


def test_bars_share_a_scale_that_holds_everything() -> None:
    first, second = bars(
        [
            check("slice[a].f1", 0.5, interval=(0.4, 0.6), threshold=0.7),
            check("slice[b].f1", 0.9, interval=(0.8, float("inf")), threshold=0.7),
        ]
    )
    places = [first.low, first.point, first.high, first.threshold, second.low, second.point]
    assert places == sorted(places)  # type: ignore[type-var]
    assert all(0 < place < 1 for place in places if place is not None)
    assert (second.high, second.threshold) == (second.point, first.threshold)
    assert first.zero is None


def test_equal_is_drawn_where_differences_are_shown() -> None:
    (bar,) = bars([check("no_regression[f1]", -0.02, interval=(-0.03, 0.01), threshold=-0.01)])
    assert bar.zero is not None
    assert bar.threshold is not None
    assert bar.low < bar.point < bar.threshold < bar.zero < bar.high


def test_a_check_without_an_interval_is_a_point() -> None:
    (bar,) = bars([check("slice[a].f1", 0.5)])
    assert bar.low == bar.point == bar.high == pytest.approx(0.5)


def test_checks_are_shown_by_kind_and_metric_failed_ones_first() -> None:
    checks = [
        check("metric[f1]", 0.9),
        check("no_regression[f1]", 0.0, threshold=-0.01),
        check("no_regression[x=1].f1", 0.1, threshold=-0.01),
        check("slice[x=1].f1", 0.9),
        check("slice[x=2].f1", 0.2, Verdict.FAILED),
        check("slice[x=2].log_loss", 0.3),
        check("slice[x=3].f1", 17, Verdict.INCONCLUSIVE),
        check("fairness[sex].demographic_parity_ratio", 0.7),
        check("weak_segment[a > 1].f1", 0.1),
        check("weak_segment[b > 1].f1", 0.0, Verdict.FAILED),
    ]
    by_title = {section.title: section for section in sections(checks)}
    assert list(by_title) == ["Against the champion", "Slices", "Weak segments", "Fairness"]
    assert [metric for metric, _ in by_title["Against the champion"].charts] == ["f1"]
    assert [(metric, [bar.check.name for bar in bars]) for metric, bars in by_title["Slices"].charts] == [
        ("f1", ["slice[x=2].f1", "slice[x=1].f1"]),
        ("log_loss", ["slice[x=2].log_loss"]),
    ]
    assert [undrawn.name for undrawn in by_title["Slices"].undrawn] == ["slice[x=3].f1"]
    assert [bar.check.observed for bar in by_title["Weak segments"].charts[0][1]] == [0.1, 0.0]  # as they were found


def test_a_score_without_a_champion_is_no_distance_from_one() -> None:
    (section,) = sections([check("no_regression[f1]", 0.9, Verdict.INCONCLUSIVE)])
    assert not section.charts
    assert [undrawn.name for undrawn in section.undrawn] == ["no_regression[f1]"]


def predictions(classes: int) -> Predictions:
    """Of rows that are mostly told right; the last class is the one told worst."""
    generator = np.random.default_rng(0)
    truth = np.arange(600) % classes
    probabilities = generator.dirichlet(np.ones(classes), 600) + np.eye(classes)[truth] * np.linspace(0.1, 0, classes)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    names = tuple(f"{LONG}_{number}" for number in range(classes))
    return Predictions(truth, probabilities.argmax(axis=1), probabilities, names)


def page(classes: int, gate: Gate) -> str:
    answers = predictions(classes)
    estimates = {"roc_auc": Estimate(0.6, (0.5, 0.7)), "neg_root_mean_squared_log_error": Estimate(-0.612345)}
    counts = [[100 * count for count in row] for row in confusion(answers)]
    return render(gate, PROJECT, estimates=estimates, predictions=answers, rocs=roc_curves(answers), confusion=counts)


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    gate = crowded("model", KINDS, {"test_rows": 600})
    return {"calm": page(2, Gate(name="model", checks=())), "crowded": page(MOST_CLASSES, gate), "many": page(40, gate)}


def test_pages_are_written_for_a_narrow_panel(pages: dict[str, str]) -> None:
    assert {name: shortcomings(text) for name, text in pages.items()} == {"calm": [], "crowded": [], "many": []}


def test_pages_are_read_in_a_narrow_panel_without_scrolling_sideways(pages: dict[str, str], tmp_path: Path) -> None:
    assert_readable(pages, tmp_path)


def test_of_many_classes_those_told_worst_are_drawn_and_the_pairs_confused_most_are_listed(
    pages: dict[str, str],
) -> None:
    text = pages["many"]
    assert text.count("<polyline") == MOST_CLASSES + 1  # and the reliability
    assert f"The {MOST_CLASSES} classes with the smallest areas; {40 - MOST_CLASSES} more are left out." in text
    assert "Confusion matrix" not in text
    assert "Most frequent confusions of 40 classes" in text
    assert f"<title>{LONG}_39</title>" in text
    assert f"<title>{LONG}_0</title>" not in text


def test_long_names_of_classes_stand_in_the_rows_of_the_matrix_and_numbers_in_its_head(pages: dict[str, str]) -> None:
    matrix = pages["crowded"].partition("Confusion matrix")[2].partition("</table>")[0]
    assert f'<abbr title="{LONG}_5">6</abbr>' in matrix
    assert f'<th scope="row">6 {shorten(f"{LONG}_5", 24)}</th>' in matrix


@pytest.mark.parametrize(
    ("classes", "largest", "legible"),
    [
        (2, 999_999_999, True),
        (4, 9_999_999, False),
        (4, 999_999, True),
        (6, 9_999, True),
        (6, 10_000, False),
        (7, 1, False),
    ],
)
def test_a_matrix_is_drawn_where_it_fits_the_panel(classes: int, largest: int, legible: bool) -> None:
    assert is_legible([[largest] * classes] * classes) is legible


def test_pairs_of_classes_are_listed_by_how_often_they_are_confused() -> None:
    matrix = [[90, 3, 0], [7, 80, 1], [0, 0, 70]]
    assert most_confused("abc", matrix) == [Confusion("b", "a", 7), Confusion("a", "b", 3), Confusion("b", "c", 1)]


@pytest.mark.parametrize(("champion_rules", "is_said"), [(1, True), (RULES, False), (None, False)])
def test_a_reader_learns_that_the_judge_has_changed(champion_rules: int | None, is_said: bool) -> None:
    facts = {"rules": RULES, "champion_rules": champion_rules}
    text = page(2, Gate(name="model", checks=(), facts=facts))
    assert f"by version {RULES} of the rules" in text
    assert (f"The champion was judged by version {champion_rules} of the rules" in text) is is_said
