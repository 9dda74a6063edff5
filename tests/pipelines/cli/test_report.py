"""`modelway report`."""

from __future__ import annotations

import json
from pathlib import Path

from office import Office


def test_data_is_compared_with_the_projects_own(released: Office, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    answer = released.read_json("report", "--data", "visits.csv", "-o", str(page))
    assert (answer["report"], answer["rows"], answer["reference_rows"]) == (str(page), 600, 600)
    assert page.stat().st_size > 10_000


def test_reports_of_a_small_table_say_which_rows_judged_the_model(released: Office) -> None:
    """600 rows, two fifths of them test rows: all are judged from, and whoever reads any of the three is told."""
    (run,) = (released.folder / ".modelway" / "runs").glob("2*")
    gates = {gate["name"]: gate for gate in json.loads((run / "blessing.json").read_text(encoding="utf-8"))["gates"]}
    facts = gates["model"]["facts"]
    test_rows = facts["test_rows"]
    assert facts["out_of_fold"].startswith(f"{600 - test_rows} training rows, 5 folds, 4 times")
    (check,) = [check for check in gates["model"]["checks"] if check["name"] == "metric[roc_auc]"]
    scope = f"on 600 rows, {600 - test_rows} of them out of fold"
    assert scope in check["message"]
    report, card = ((run / name).read_text(encoding="utf-8") for name in ("model.html", "card.html"))
    assert f"Scores {scope}" in report
    assert f"The model predicted the {test_rows} test rows" in report
    assert f"{test_rows} test rows; out of fold: {600 - test_rows} training rows" in card
