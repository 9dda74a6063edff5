"""`modelway report`."""

from __future__ import annotations

from pathlib import Path

from office import Office


def test_data_is_compared_with_the_projects_own(released: Office, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    answer = released.read_json("report", "--data", "visits.csv", "-o", str(page))
    assert (answer["report"], answer["rows"], answer["reference_rows"]) == (str(page), 600, 600)
    assert page.stat().st_size > 10_000
