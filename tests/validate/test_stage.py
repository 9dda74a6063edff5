from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from registered_versions import release_version
from user_files import minimal_project_text

from modelway.components.core.checks import RULES, Gate, Mode, Verdict, combine
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.evidence.files import BASELINE_FILE, PROJECT_FILE, ROWS_FILE, SAMPLE_FILE
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.ingest.split import split_table
from modelway.components.ingest.stage import ingest
from modelway.components.validate.baseline import write_baseline
from modelway.components.validate.distributions import TableStatistics, measure
from modelway.components.validate.stage import validate

CONTRACT = """
columns:
  income: {type: number, minimum: 0}
  region: {type: string, categories: [north, south]}
  late: {type: integer, categories: [0, 1]}
"""
POLICY = "model: {metrics: {roc_auc: {min: 0.6}}}\ndata: {drift: {psi: 0.2, minimum_rows: 50}, on_inconclusive: warn}"


APART = {"equal_rows": "apart"}
ALONE = POLICY.replace("psi: 0.2", "psi: 0.2, multivariate: null")  # no classifier is trained to tell rows apart


def asks(more: str, policy: str = ALONE) -> str:
    """The policy with more asked of the data."""
    return policy.replace("data: {", f"data: {{{more}, ")


def project(name: str = "loans", numeric: Sequence[str] = ("income",), categorical: Sequence[str] = ("region",)) -> str:
    return minimal_project_text(name=name, features={"numeric": [*numeric], "categorical": [*categorical]})


def table(rows: int = 200, seed: int = 0, shift: float = 0.0) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "income": dice.gamma(2, size=rows) + shift,
            "region": np.where(dice.random(rows) < 0.5, "north", "south"),
            "late": dice.integers(0, 2, rows),
        }
    )


def judge(
    folder: Path, train: pl.DataFrame, test: pl.DataFrame, *documents: str, champion: str = "", **options: str
) -> Gate:
    train.write_parquet(folder / "train")
    test.write_parquet(folder / "test")
    project_text, contract_text, policy_text = documents or (project(), CONTRACT, ALONE)
    return validate(
        str(folder / "train"),
        str(folder / "test"),
        project_text=project_text,
        contract_text=contract_text,
        policy_text=policy_text,
        data_hash="abc",
        champion=champion,
        **options,
        baseline_path=str(folder / "baseline"),
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
    open_checks = {check.name for check in gate.checks if check.verdict is not Verdict.PASSED}
    assert {name for name in open_checks if not name.startswith("leakage")} == {"drift"}
    assert gate.facts == {
        "data_hash": "abc",
        "split": "by row, rule 1",
        "contract_hash": Contract.parse(CONTRACT).sha256(),
        "policy_hash": Policy.parse(ALONE).sha256(),
        "rows": 300,
        "train_rows": 200,
        "test_rows": 100,
        "new_rows": None,
        "row_hashes": None,
        "test_share": "33.3% of these rows; data.split asks for 20.0%",
        "serving_rows": None,
        "baseline": None,
        "sample_rows": None,
        "sample_seed": 0,
        "rules": RULES,
    }


def test_the_baseline_is_that_of_the_training_split(tmp_path: Path) -> None:
    train = table()
    judge(tmp_path, train, table(100, seed=1, shift=5))
    baseline = TableStatistics.model_validate_json(
        (tmp_path / "baseline" / "baseline.json").read_text(encoding="utf-8")
    )
    assert baseline == measure(train, ["income", "region", "late"], data_hash="abc")


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
    write_baseline(folder, measure(table(600), ["income", "region", "late"], data_hash="old"), sample=table(600))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
        bound = {file.name: file.read_bytes() for file in folder.iterdir()}
        yield release_version(tracking, "loans-validate", bound=bound)


@pytest.mark.parametrize(
    ("shift", "rows", "verdict", "failed"),
    [
        (0.0, 600, Verdict.PASSED, set()),
        (2.0, 600, Verdict.FAILED, {"drift[income]", "drift[multivariate]"}),
        (2.0, 49, Verdict.INCONCLUSIVE, set()),
    ],
)
def test_drift_is_measured_from_the_champions_data(
    tmp_path: Path, champion: str, shift: float, rows: int, verdict: Verdict, failed: set[str]
) -> None:
    documents = (project("loans-validate"), CONTRACT, POLICY)
    train = table(rows, 7, shift)
    gate = judge(tmp_path, train, table(100, 8), *documents, champion=champion)
    drift = [check for check in gate.checks if check.name.startswith(("drift", "label_drift"))]
    assert combine(check.verdict for check in drift) is verdict
    assert {check.name for check in drift if check.blocks} == failed
    assert gate.facts["baseline"] == f"loans-validate version {champion}"
    page = assert_self_contained(tmp_path / "report.html")
    assert "grey: the baseline (600 rows)" in page.shown
    baseline = TableStatistics.model_validate_json(
        (tmp_path / "baseline" / "baseline.json").read_text(encoding="utf-8")
    )
    own = measure(train, ["income", "region", "late"], data_hash="abc")
    tables = Verdict.PASSED is not verdict
    assert (baseline.columns["income"] == own.columns["income"]) is tables  # only where the champion's bins do not fit
    assert (baseline.rows, baseline.data_hash) == (rows, "abc")
    assert sum(baseline.columns["income"].shares) == pytest.approx(1)


def test_the_label_drifts_under_its_own_name(tmp_path: Path, champion: str) -> None:
    shift = table(600, 7).with_columns(late=pl.when(pl.col("income") < 3).then(1).otherwise(pl.col("late")))
    gate = judge(tmp_path, shift, shift, project("loans-validate"), CONTRACT, ALONE, champion=champion)
    assert "label_drift[late]" in {check.name for check in gate.checks if check.verdict is Verdict.FAILED}


def test_the_approved_baseline_stays_where_the_policy_says_so(tmp_path: Path, champion: str) -> None:
    documents = (project("loans-validate"), CONTRACT, asks("register_new_baseline: false"))
    judge(tmp_path, table(600, 9), table(100), *documents, champion=champion)
    baseline = TableStatistics.model_validate_json(
        (tmp_path / "baseline" / "baseline.json").read_text(encoding="utf-8")
    )
    assert baseline.data_hash == "old"
    assert pl.read_parquet(tmp_path / "baseline" / SAMPLE_FILE).equals(table(600))


def test_without_an_approved_baseline_a_new_one_is_written_whatever_the_policy_says(tmp_path: Path) -> None:
    judge(tmp_path, table(), table(100), project(), CONTRACT, asks("register_new_baseline: false"))
    baseline = TableStatistics.model_validate_json(
        (tmp_path / "baseline" / "baseline.json").read_text(encoding="utf-8")
    )
    assert baseline.data_hash == "abc"


def test_the_baseline_holds_a_sample_of_the_training_split(tmp_path: Path) -> None:
    policy = POLICY.replace("minimum_rows: 50", "minimum_rows: 50, multivariate: {sample_rows: 100}")
    train = table(1000)
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        judge(folder, train, table(100), project(), CONTRACT, policy)
    sample = pl.read_parquet(tmp_path / "one" / "baseline" / SAMPLE_FILE)
    assert sample.equals(pl.read_parquet(tmp_path / "other" / "baseline" / SAMPLE_FILE))
    assert sample.columns == ["income", "region", "late"]
    assert len(sample) == 100
    assert len(sample.join(train, on=train.columns, how="semi")) == 100
    assert not sample.equals(train.head(100))


def test_no_sample_is_written_where_none_is_wanted(tmp_path: Path) -> None:
    judge(tmp_path, table(), table(100), project(), CONTRACT, ALONE)
    assert [file.name for file in (tmp_path / "baseline").iterdir()] == ["baseline.json"]


def test_a_disabled_gate_judges_nothing_and_keeps_the_baseline(tmp_path: Path) -> None:
    bad = table().with_columns(region=pl.lit("west"))
    gate = judge(tmp_path, bad, bad, project(), CONTRACT, asks("mode: disabled"))
    assert (gate.mode, gate.checks, gate.proceed) == (Mode.DISABLED, (), True)
    assert (tmp_path / "baseline" / "baseline.json").exists()
    assert_self_contained(tmp_path / "report.html")


@pytest.mark.parametrize(("as_of", "proceeds"), [("2026-03-01", True), ("2026-03-02", False)])
def test_a_waiver_lets_a_check_pass_until_its_day(tmp_path: Path, as_of: str, proceeds: bool) -> None:
    bad = table().with_columns(region=pl.lit("west"))
    waiver = "\nwaivers: [{gate: data, check: 'categories[region]', reason: moved, by: Ada, until: 2026-03-01}]"
    off = asks("leakage: {shared_rows: null, duplicates: false, identifiers: false}")
    gate = judge(tmp_path, bad, table(100, 3), project(), CONTRACT, off + waiver, as_of=as_of)
    assert gate.proceed is proceeds
    assert gate.verdict is Verdict.FAILED


@pytest.mark.parametrize("rule", ["warn", "block"])
def test_what_was_seen_warns_whatever_the_policy_says_of_what_is_inconclusive(tmp_path: Path, rule: str) -> None:
    seen = "seen: {rows: 300, minimum: 0}"
    contract = CONTRACT.replace("minimum: 0}", f"minimum: 0, {seen}}}")
    policy = ALONE.replace("on_inconclusive: warn", f"on_inconclusive: {rule}")
    rows = table().with_columns(income=pl.when(pl.int_range(pl.len()) == 0).then(-1).otherwise("income"))
    gate = judge(tmp_path, rows, table(100, seed=1), project(), contract, policy)
    checks = {check.name: check for check in gate.checks}
    check = checks["minimum[income]"]
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, False)
    assert "1 of 300 values below 0, such as '-1.0' (0 of the 300 rows seen)" in check.message
    assert checks["drift"].blocks is (rule == "block")  # there is no champion to compare with
    again = Gate.model_validate_json(gate.model_dump_json())
    assert again == gate
    older = {"name": "data", "checks": [check.model_dump(exclude={"evidence"})]}
    assert Gate.model_validate(older).checks[0].evidence is None
    assert "<h2>Contract" in (tmp_path / "report.html").read_text(encoding="utf-8")


def serving(folder: Path, rows: pl.DataFrame) -> str:
    rows.write_parquet(folder / "serving")
    return str(folder / "serving")


@pytest.mark.parametrize(("shift", "failed"), [(0.0, set()), (3.0, {"skew[income]"})])
def test_what_is_served_is_compared_with_what_is_trained_on(tmp_path: Path, shift: float, failed: set[str]) -> None:
    path = serving(tmp_path, table(700, 5, shift).drop("late"))
    gate = judge(tmp_path, table(2000), table(100, 1), serving_path=path)
    skew = {check.name: check.verdict for check in gate.checks if check.name.startswith("skew")}
    assert set(skew) == {"skew[income]", "skew[region]"}
    assert {name for name, verdict in skew.items() if verdict is Verdict.FAILED} == failed
    assert gate.facts["serving_rows"] == 700


@pytest.mark.parametrize("empty", [pl.DataFrame(), table().clear()])
def test_a_serving_table_without_rows_or_columns_is_none(tmp_path: Path, empty: pl.DataFrame) -> None:
    gate = judge(tmp_path, table(), table(100, 1), serving_path=serving(tmp_path, empty))
    assert not [check for check in gate.checks if check.name.startswith("skew")]
    assert gate.facts["serving_rows"] is None


@pytest.mark.parametrize(("train", "test", "failed"), [(0, 100, "rows[train]"), (200, 0, "rows[test]")])
def test_a_split_without_rows_fails(tmp_path: Path, train: int, test: int, failed: str) -> None:
    gate = judge(tmp_path, table(200).head(train), table(100, 1).head(test))
    assert failed in {check.name for check in gate.checks if check.verdict is Verdict.FAILED}
    assert not gate.proceed


# Each: a table, the check that fails where both splits are like it, and the one where only the test split is.
BROKEN: list[Any] = [
    (table().drop("late"), "column[late]", "nulls[late]"),
    (table().drop("income"), "column[income]", "nulls[income]"),
    (table().with_columns(pl.col("income").cast(pl.String) + "?"), "type[income]", "type[income]"),
    (table().with_columns(late=pl.lit(None, pl.Int64)), "label", "label"),
    (table().with_columns(income=pl.lit(None, pl.Float64)), "nulls[income]", "nulls[income]"),
    (table().with_columns(region=pl.struct("region", "late")), "type[region]", "categories[region]"),
    (table().with_columns(income=pl.lit("2024-01-01").str.to_date()), "type[income]", "type[income]"),
]


@pytest.mark.parametrize(("broken", "features", "first"), BROKEN)
@pytest.mark.parametrize("sides", [("train", "test"), ("test",)])
@pytest.mark.parametrize("comparison", [False, True])
def test_a_broken_schema_is_judged_and_no_crash(
    tmp_path: Path,
    champion: str,
    broken: pl.DataFrame,
    features: str,
    first: str,
    sides: tuple[str, ...],
    comparison: bool,
) -> None:
    splits = [broken if side in sides else table() for side in ("train", "test")]
    documents = (project("loans-validate"), CONTRACT, POLICY)
    gate = judge(tmp_path, *splits, *documents, champion=champion if comparison else "")
    assert (features if len(sides) > 1 else first) in {
        check.name for check in gate.checks if check.verdict is Verdict.FAILED
    }
    assert len({check.name for check in gate.checks}) == len(gate.checks)


def test_the_report_says_why_and_escapes_what_the_data_holds(tmp_path: Path) -> None:
    name, value = "<b>x</b>", "<script>alert('1')</script>&\""
    bad = table().rename({"region": name}).with_columns(pl.lit(value).alias(name))
    contract = CONTRACT.replace("region", f"'{name}'")
    gate = judge(tmp_path, bad, bad, project(categorical=[name]), contract, POLICY)
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
    text = assert_self_contained(tmp_path / "report.html").shown
    for check in gate.checks:
        assert check.name in text
        assert check.message in text


def test_a_thousand_columns(tmp_path: Path) -> None:
    dice = np.random.default_rng(0)
    policy = asks("leakage: {single_feature: null, duplicates: false, identifiers: false}")
    words = np.array([f"a rather long category, number {number}, of many" for number in range(120)])
    columns: dict[str, Any] = {f"n{number}": dice.normal(size=300) for number in range(500)}
    columns |= {f"c{number}": words[dice.integers(0, 120, 300)] for number in range(500)}
    wide = pl.DataFrame({**columns, "late": dice.integers(0, 2, 300)})
    contract = "columns:\n  late: {type: integer}\n"
    contract += "".join(f"  n{number}: {{type: number, minimum: -1, maximum: 9}}\n" for number in range(500))
    contract += "".join(f"  c{number}: {{type: string, categories: [x, y]}}\n" for number in range(500))
    names = [[name for name in columns if name.startswith(letter)] for letter in "nc"]
    gate = judge(tmp_path, wide, wide, project("wide", *names), contract, policy)
    ours = [check for check in gate.checks if not check.name.startswith(("leakage", "shared", "split_rule"))]
    failed = {check.name for check in ours if check.verdict is Verdict.FAILED}
    assert len(ours) == 3 * 1001 + 500 + 7
    assert failed == {name for number in range(500) for name in (f"minimum[n{number}]", f"categories[c{number}]")}
    assert "such as '-1." in next(check.message for check in gate.checks if check.name == "minimum[n0]")
    assert_self_contained(tmp_path / "report.html")


@pytest.mark.parametrize(
    ("before", "now", "verdict", "says"),
    [
        (None, {}, Verdict.FAILED, "write `rule: 2` and `equal_rows: apart` under `data.split`"),
        ({}, {}, Verdict.INCONCLUSIVE, "the champion was split by rule 1, which is kept until then"),
        ({}, APART, Verdict.INCONCLUSIVE, "the champion's were split by row, rule 1: it has learned from some"),
        (APART, APART, Verdict.PASSED, "rows are split by row, rule 2, equal rows apart"),
    ],
)
def test_a_survey_is_not_split_by_its_answers_unless_the_champion_was(
    tmp_path: Path,
    tracking: Tracking,
    monkeypatch: pytest.MonkeyPatch,
    before: dict[str, str] | None,
    now: dict[str, str],
    verdict: Verdict,
    says: str,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    champion = ""
    if before is not None:
        text = minimal_project_text(data={"source": "loans.parquet", "split": before})
        bound = {PROJECT_FILE: Project.parse(text).canonical().encode()}
        champion = release_version(tracking, "loans", bound=bound)
    survey = table(2_000).with_columns(pl.col("income").round())
    text = minimal_project_text(
        data={"source": "loans.parquet", "split": now}, features={"numeric": ["income"], "categorical": ["region"]}
    )
    splits = split_table(survey, Project.parse(text).data.split, label="late")
    gate = judge(tmp_path, splits.train, splits.test, text, CONTRACT, ALONE, champion=champion)
    checks = {check.name: check for check in gate.checks}
    assert says in checks["split_rule"].message
    assert checks["split_rule"].verdict is verdict
    assert gate.proceed is (verdict is not Verdict.FAILED), gate.reasons
    assert says in (tmp_path / "report.html").read_text(encoding="utf-8").replace("&#39;", "'")
    assert {checks[name].verdict for name in ("copies", "shared_rows") if name in checks} == {Verdict.PASSED}


def test_a_survey_that_a_join_has_doubled_is_rejected(tmp_path: Path) -> None:
    survey = table(1_000).with_columns(pl.col("income").round())
    text = minimal_project_text(data={"source": "loans.parquet", "split": APART})
    splits = split_table(pl.concat([survey, survey]), Project.parse(text).data.split, label="late")
    gate = judge(tmp_path, splits.train, splits.test, text, CONTRACT, ALONE)
    assert [reason.split(":")[0] for reason in gate.reasons] == ["copies"]
    off = asks("leakage: {copies: false}")
    assert judge(tmp_path, splits.train, splits.test, text, CONTRACT, off).proceed


SEEN = """
columns:
  income: {type: number, minimum: 0, seen: {rows: 600, minimum: 0}}
  region: {type: string, categories: [north, south], seen: {rows: 600, categories: {north: 300, south: 300}}}
  late: {type: integer, categories: [0, 1]}
"""
UNRELATED = asks("leakage: {shared_rows: null, duplicates: false, identifiers: false}, concept_drift: null")


@pytest.fixture(scope="module")
def first_release(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A version whose evidence holds the hashes of its rows, and one of the same rows without them."""
    folder = tmp_path_factory.mktemp("first")
    judge(folder, table(500), table(100, 1), project("loans-rows"), SEEN, UNRELATED)
    bound = {file.name: file.read_bytes() for file in (folder / "baseline").iterdir()}
    assert {*bound} == {BASELINE_FILE, ROWS_FILE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
        version = release_version(tracking, "loans-rows", bound=bound)
        del bound[ROWS_FILE]
        yield version, release_version(tracking, "loans-rows", bound=bound)


def debts(rows: int) -> pl.DataFrame:
    """Rows with an income below what the contract says."""
    return table(rows, seed=9).with_columns(income=-pl.col("income") - 1)


@pytest.mark.parametrize(
    ("more", "knows", "verdict", "message", "new_rows"),
    [
        (table(0), True, Verdict.PASSED, "no new rows", 0),
        (table(80, 5), True, Verdict.PASSED, "0 of 80 new values below 0", 80),
        (debts(10), True, Verdict.FAILED, "10 of 10 new values below 0", 10),
        (debts(1), True, Verdict.INCONCLUSIVE, "1 of 1 new values below 0", 1),
        (debts(2), False, Verdict.INCONCLUSIVE, "2 of 602 values below 0", None),
    ],
    ids=["nothing new", "clean", "bad", "one", "an older champion"],
)
def test_in_a_table_that_grows_new_rows_alone_are_evidence(
    tmp_path: Path,
    first_release: tuple[str, str],
    more: pl.DataFrame,
    knows: bool,
    verdict: Verdict,
    message: str,
    new_rows: int | None,
) -> None:
    train = pl.concat([table(500), more]).sample(fraction=1, shuffle=True, seed=1)
    champion = first_release[0 if knows else 1]
    gate = judge(tmp_path, train, table(100, 1), project("loans-rows"), SEEN, UNRELATED, champion=champion)
    check = next(check for check in gate.checks if check.name == "minimum[income]")
    assert (check.verdict, check.message.startswith(message)) == (verdict, True), check.message
    assert (gate.facts["new_rows"], gate.facts["row_hashes"]) == (new_rows, None)
    assert len(pl.read_parquet(tmp_path / "baseline" / ROWS_FILE)) == 600 + len(more)


def test_strict_lines_are_judged_on_all_rows(tmp_path: Path, first_release: tuple[str, str]) -> None:
    strict = SEEN.replace("minimum: 0, seen", "minimum: 5, seen")
    gate = judge(
        tmp_path, table(500), table(100, 1), project("loans-rows"), strict, UNRELATED, champion=first_release[0]
    )
    check = next(check for check in gate.checks if check.name == "minimum[income]")
    assert gate.facts["new_rows"] == 0
    assert check.verdict is Verdict.FAILED
    assert "of 600 values below 5" in check.message


def test_rows_of_the_approved_baseline_are_not_those_of_the_release(
    tmp_path: Path, first_release: tuple[str, str]
) -> None:
    keeps = UNRELATED.replace("data: {", "data: {register_new_baseline: false, ")
    documents = (project("loans-rows"), SEEN, keeps)
    judge(tmp_path, table(200, 5), table(100, 6), *documents, champion=first_release[0])
    assert len(pl.read_parquet(tmp_path / "baseline" / ROWS_FILE)) == 300


@pytest.mark.parametrize("contract", [CONTRACT, SEEN.replace("seen:", "strict: true, seen:")])
def test_where_no_line_is_judged_by_evidence_no_hashes_are_kept(tmp_path: Path, contract: str) -> None:
    gate = judge(tmp_path, table(), table(100, 1), project(), contract, UNRELATED)
    assert [file.name for file in (tmp_path / "baseline").iterdir()] == [BASELINE_FILE]
    assert (gate.facts["new_rows"], gate.facts["row_hashes"]) == (None, None)


def test_more_rows_than_are_kept_are_a_fact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelway.components.validate.new_rows.MOST_ROWS", 299)
    gate = judge(tmp_path, table(), table(100, 1), project(), SEEN, UNRELATED)
    assert gate.facts["row_hashes"] == "not kept, since there are more than 10,000,000 rows"
    assert [file.name for file in (tmp_path / "baseline").iterdir()] == [BASELINE_FILE]


@pytest.mark.parametrize(("bad", "verdict"), [(1, Verdict.INCONCLUSIVE), (30, Verdict.FAILED), (301, Verdict.FAILED)])
def test_values_that_ingest_let_pass_are_judged_by_the_types_line(tmp_path: Path, bad: int, verdict: Verdict) -> None:
    text = table(600).cast(pl.String).with_row_index()
    text = text.with_columns(income=pl.when(pl.col("index") < bad).then(pl.lit("n.a.")).otherwise("income"))
    text.drop("index").write_csv(tmp_path / "loans.csv")
    project_text = minimal_project_text(
        data={"source": str(tmp_path / "loans.csv")}, features={"numeric": ["income"], "categorical": ["region"]}
    )
    paths = {f"{part}_path": str(tmp_path / f"{part}.parquet") for part in ("train", "test", "unseen", "serving")}
    ingest(project_text, SEEN, **paths)
    train, test = (pl.read_parquet(paths[f"{side}_path"]) for side in ("train", "test"))
    result = validate(
        paths["train_path"],
        paths["test_path"],
        project_text=project_text,
        contract_text=SEEN,
        policy_text=UNRELATED,
        data_hash="abc",
        baseline_path=str(tmp_path / "baseline"),
        report_path=str(tmp_path / "report.html"),
    )
    checks = {check.name: check for check in result.checks}
    assert checks["type[income]"].verdict is verdict
    if bad > 300:
        assert (train.schema["income"], "nulls[income]" in checks) == (pl.String, True)
        assert "stored as String" in checks["type[income]"].message
    else:
        assert train["income"].null_count() + test["income"].null_count() == bad
        assert checks["type[income]"].message.startswith(
            f"{bad} of 600 values that are no valid number, such as 'n.a.'"
        )
        assert checks["nulls[income]"].verdict is Verdict.PASSED
