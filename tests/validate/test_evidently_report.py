from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from modelway.components.validate.evidently_report import write_evidently
from modelway.examples.insurance.weeks import week

COLUMNS = ("chronic_diseases", "health", "deductible_plan", "not_there")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], Path]:
    page = tmp_path_factory.mktemp("evidently") / "pages" / "page.html"
    return write_evidently(week(3, drift=1.0), week(4), COLUMNS, 0.2, page), page


def test_drifted_columns_have_a_large_index_and_others_a_small_one(
    compared: tuple[dict[str, float], Path],
) -> None:
    psi, _ = compared
    assert set(psi) == {"chronic_diseases", "health", "deductible_plan"}
    assert psi["chronic_diseases"] > 0.25
    assert psi["deductible_plan"] < 0.1


def test_page_names_the_columns(compared: tuple[dict[str, float], Path]) -> None:
    _, page = compared
    assert "chronic_diseases" in page.read_text(encoding="utf-8")


def test_agrees_with_the_gate_on_what_drifted(compared: tuple[dict[str, float], Path]) -> None:
    from modelway.components.validate.drift import measure, measure_like, population_stability_index

    psi, _ = compared
    before = measure(week(4), COLUMNS[:3], "")
    now = measure_like(week(3, drift=1.0), before, "")
    for column, theirs in psi.items():
        ours = population_stability_index(before.columns[column].shares, now.columns[column].shares)
        assert (ours > 0.2) == (theirs > 0.2), column


def test_dates_are_left_to_the_summary(tmp_path: Path) -> None:
    table = pl.DataFrame({"day": pl.date_range(pl.date(2026, 1, 1), pl.date(2026, 3, 1), eager=True), "x": range(60)})
    assert set(write_evidently(table, table, ("day", "x"), 0.2, tmp_path / "page.html")) == {"x"}
