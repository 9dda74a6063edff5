from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.contract import Contract
from modelway.components.core.policy import Policy
from modelway.components.core.tracking import BASELINE_FILE, Tracking
from modelway.components.core.verdict import Gate, Verdict
from modelway.components.validate.drift import Baseline, measure
from modelway.components.validate.gate import validate

CONTRACT = """
columns:
  income: {type: number, minimum: 0}
  region: {type: string, categories: [north, south]}
  late: {type: integer, categories: [0, 1]}
"""
POLICY = "model: {metrics: {roc_auc: {min: 0.6}}}\ndata: {drift: {psi: 0.2, minimum_rows: 50}, on_inconclusive: warn}"


def project(name: str = "loans", numeric: str = "income", categorical: str = "region") -> str:
    return (
        f"name: {name}\ntask: binary\nlabel: late\ndata: {{source: x.csv}}\n"
        f"features: {{numeric: [{numeric}], categorical: [{categorical}]}}\n"
        "model: {estimator: sklearn.linear_model.LogisticRegression}"
    )


def table(rows: int = 200, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "income": dice.gamma(2, size=rows) + shift,
            "region": np.where(dice.random(rows) < 0.5, "north", "south"),
            "late": dice.integers(0, 2, rows),
        }
    )


def judge(folder: Path, train: pl.DataFrame, test: pl.DataFrame, *documents: str, champion: str = "") -> Gate:
    train.write_parquet(folder / "train")
    test.write_parquet(folder / "test")
    asked = documents or (project(), CONTRACT, POLICY)
    return validate(
        str(folder / "train"),
        str(folder / "test"),
        *asked,
        "abc",
        champion,
        baseline_path=str(folder / "baseline.json"),
        report_path=str(folder / "report.html"),
    )


class Page(HTMLParser):
    """What a page would fetch or run, and the text it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.shown = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"}]

    def handle_data(self, data: str) -> None:
        self.shown += data


def assert_self_contained(file: Path) -> Page:
    text = file.read_text(encoding="utf-8")
    page = Page(text)
    assert not page.addresses
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not re.search(r"https?://|@import|url\(", text)
    assert file.stat().st_size < 300_000
    return page


def test_good_data_proceeds(tmp_path: Path) -> None:
    gate = judge(tmp_path, table(), table(100, seed=1))
    assert gate.name == "data"
    assert gate.proceed
    assert gate.verdict is Verdict.INCONCLUSIVE  # there is no baseline yet
    assert {check.name for check in gate.checks if check.verdict is not Verdict.PASSED} == {"drift"}
    assert gate.facts == {
        "data_hash": "abc",
        "contract_hash": Contract.parse(CONTRACT).sha256(),
        "policy_hash": Policy.parse(POLICY).sha256(),
        "rows": 300,
        "train_rows": 200,
        "test_rows": 100,
        "baseline": None,
    }


def test_the_baseline_is_that_of_the_training_split(tmp_path: Path) -> None:
    train = table()
    judge(tmp_path, train, table(100, seed=1, shift=5))
    written = Baseline.model_validate_json((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    assert written == measure(train, ["income", "region", "late"], "abc")


@pytest.mark.parametrize("side", ["train", "test"])
def test_bad_data_is_rejected_on_either_side(tmp_path: Path, side: str) -> None:
    bad = table(100, seed=1).with_columns(region=pl.lit("west"))
    gate = judge(tmp_path, *((bad, table()) if side == "train" else (table(), bad)))
    assert gate.verdict is Verdict.FAILED
    assert not gate.proceed
    assert any("100 of 300 values outside the categories, such as 'west'" in reason for reason in gate.reasons)


def test_data_with_a_feature_missing_is_judged_all_the_same(tmp_path: Path) -> None:
    gate = judge(tmp_path, table().drop("income"), table(100).drop("income"))
    assert [reason.split(":")[0] for reason in gate.reasons] == ["column[income]"]
    assert_self_contained(tmp_path / "report.html")


@pytest.fixture(scope="module")
def champion(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registered version whose evidence holds a baseline."""
    folder = tmp_path_factory.mktemp("evidence")
    measure(table(500), ["income", "region", "late"], "old").write(folder / BASELINE_FILE)
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    with tracking.run("loans-validate", "train", {}) as run_id:
        tracking.log_evidence(run_id, folder, "evidence/1")
        with tracking.logged_model(run_id, "loans-validate", {}) as (model_id, _):
            pass
    with tracking.new_version("loans-validate", model_id, run_id, {"evidence": "evidence/1"}) as version:
        pass
    yield version
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("shift", "rows", "verdict", "proceed"),
    [
        (0.0, 400, Verdict.PASSED, True),
        (2.0, 400, Verdict.FAILED, False),
        (2.0, 49, Verdict.INCONCLUSIVE, True),
    ],
)
def test_drift_is_measured_from_the_champions_data(
    tmp_path: Path,
    champion: str,
    shift: float,
    rows: int,
    verdict: Verdict,
    proceed: bool,
) -> None:
    documents = (project("loans-validate"), CONTRACT, POLICY)
    train = table(rows, 7, shift)
    gate = judge(tmp_path, train, table(100, 8), *documents, champion=champion)
    assert (gate.verdict, gate.proceed) == (verdict, proceed)
    assert gate.facts["baseline"] == f"loans-validate version {champion}"
    page = assert_self_contained(tmp_path / "report.html")
    assert "grey: the baseline (500 rows)" in page.shown
    if not proceed:
        assert [reason.split(":")[0] for reason in gate.reasons] == ["drift[income]"]
    written = Baseline.model_validate_json((tmp_path / "baseline.json").read_text(encoding="utf-8"))
    assert written == measure(train, ["income", "region", "late"], "abc")  # in its own bins, not the champion's


def test_the_report_says_why_and_escapes_what_the_data_holds(tmp_path: Path) -> None:
    name, value = "<b>x</b>", "<script>alert('1')</script>&\""
    bad = table().rename({"region": name}).with_columns(pl.lit(value).alias(name))
    contract = CONTRACT.replace("region", f"'{name}'")
    gate = judge(tmp_path, bad, bad, project("loans", "income", f"'{name}'"), contract, POLICY)
    page = assert_self_contained(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b>x</b>" not in text
    assert "<script" not in text
    assert name in page.shown
    assert value in page.shown or value.replace("'", "\\'") in page.shown
    assert all(reason in page.shown for reason in gate.reasons)
    assert "the run is rejected" in page.shown
    assert "Data of loans" in page.shown


def test_every_check_is_on_the_page(tmp_path: Path) -> None:
    gate = judge(tmp_path, table(), table(100))
    shown = assert_self_contained(tmp_path / "report.html").shown
    for check in gate.checks:
        assert check.name in shown
        assert check.message in shown


def test_two_thousand_columns(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    words = np.array([f"a rather long category, number {number}, of many" for number in range(120)])
    columns: dict[str, Any] = {f"n{number}": dice.normal(size=300) for number in range(1000)}
    columns |= {f"c{number}": words[dice.integers(0, 120, 300)] for number in range(1000)}
    wide = pl.DataFrame({**columns, "late": dice.integers(0, 2, 300)})
    contract = "columns:\n  late: {type: integer}\n"
    contract += "".join(f"  n{number}: {{type: number, minimum: -1, maximum: 9}}\n" for number in range(1000))
    contract += "".join(f"  c{number}: {{type: string, categories: [x, y]}}\n" for number in range(1000))
    names = [", ".join(name for name in columns if name.startswith(letter)) for letter in "nc"]
    started = time.perf_counter()
    gate = judge(tmp_path, wide, wide, project("wide", *names), contract, POLICY)
    assert time.perf_counter() - started < 60
    assert gate.counts() == {"passed": 2 * 2001 + 1000 + 4, "failed": 2000, "inconclusive": 1}
    assert "such as '-1." in next(check.message for check in gate.checks if check.name == "minimum[n0]")
    assert_self_contained(tmp_path / "report.html")
