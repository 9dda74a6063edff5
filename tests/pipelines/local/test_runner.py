"""`modelway run` from end to end: the real command, on real data, with the registry that it leaves behind.

A full run takes seconds, so runs that build on each other are fixtures of the module, each named after what it is and
asking for the one before it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pages import shortcomings

from modelway.examples.insurance.weeks import week

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]
Edit = Callable[..., None]
Versions = Callable[[Path, str], list[str]]

ROOT = Path(__file__).resolve().parents[3]
NAME = "insurance-high-use"
PURE = {"ingest_data", "validate_data", "prepare_features", "train_model", "evaluate_model", "probe_model"}
STAGES = PURE | {"resolve_inputs", "enforce_gate", "register_model", "record_outcome"}
WAIVER = {"gate": "model", "check": "policy[*]", "reason": "a test", "by": "the tests", "until": "2999-01-01"}


@dataclass(frozen=True)
class Run:
    """One finished `modelway run --json`: its exit code, its JSON, and the versions registered after it."""

    code: int
    summary: dict[str, Any]
    versions: list[str]

    def ran(self) -> set[str]:
        """The stages that were worked through and not served from cache."""
        return set(self.summary["seconds"]) - set(self.summary["cached"])

    def gates(self) -> dict[str, Any]:
        """The recorded gates, by name."""
        outcome = Path(self.summary["logs"]).parents[1] / "runs" / self.summary["run"] / "outcome.json"
        return {gate["name"]: gate for gate in json.loads(outcome.read_text(encoding="utf-8"))["gates"]}


@dataclass(frozen=True)
class Claims:
    """The insurance project in a folder of its own, to run again and again on one home."""

    folder: Path
    command: Command
    edit: Edit
    versions_in: Versions

    def run(self, *arguments: str | Path) -> Run:
        """Runs it, in its own folder."""
        ran = self.command("run", *arguments, "--json", cwd=self.folder)
        assert "Traceback" not in ran.stdout + ran.stderr
        return Run(ran.returncode, json.loads(ran.stdout), self.versions_in(self.folder / ".modelway", NAME))

    def restore(self, *names: str) -> None:
        """Puts the example's own files back."""
        for name in names:
            shutil.copy(ROOT / "examples" / "insurance" / name, self.folder / name)
        if "policy.yaml" in names:  # to bound the 99th percentile takes 300 requests more in each run
            policy = self.folder / "policy.yaml"
            policy.write_text(policy.read_text("utf-8").replace("    p99_ms:", "    # p99_ms:"), encoding="utf-8")


@pytest.fixture(scope="module")
def claims(
    tmp_path_factory: pytest.TempPathFactory, modelway: Command, edit: Edit, registered_versions: Versions
) -> Claims:
    project = Claims(tmp_path_factory.mktemp("claims"), modelway, edit, registered_versions)
    project.restore("project.yaml", "contract.yaml", "policy.yaml", "claims.parquet")
    return project


@pytest.fixture(scope="module")
def first(claims: Claims) -> Run:
    return claims.run()


@pytest.fixture(scope="module")
def unchanged(claims: Claims, first: Run) -> Run:
    assert first.code == 0
    return claims.run()


@pytest.fixture(scope="module")
def drifted(claims: Claims, unchanged: Run) -> Run:
    assert unchanged.versions == ["1"]
    week(7, drift=1.0).write_parquet(claims.folder / "drifted.parquet")
    return claims.run("--data", "drifted.parquet")


@pytest.fixture(scope="module")
def broken(claims: Claims, drifted: Run) -> Run:
    assert drifted.versions == ["1"]
    week(8, schema_break=True).write_parquet(claims.folder / "broken.parquet")
    return claims.run("--data", "broken.parquet")


@pytest.fixture(scope="module")
def unreachable(claims: Claims, broken: Run) -> Run:
    assert broken.versions == ["1"]
    claims.edit(claims.folder / "policy.yaml", {"model.metrics.roc_auc.min": 0.99})
    try:
        return claims.run()
    finally:
        claims.restore("policy.yaml")


@pytest.fixture(scope="module")
def worse(claims: Claims, unreachable: Run) -> Run:
    assert unreachable.versions == ["1"]
    parameters = {"max_iter": 1, "max_leaf_nodes": 2, "learning_rate": 0.05}
    claims.edit(claims.folder / "project.yaml", {"model.parameters": parameters})
    keys = ("slices", "weak_segments", "calibration", "robustness", "rules", "fairness")
    less = {"model.metrics": {"roc_auc": {"min": 0.3}}, **{f"model.{key}": None for key in keys}}
    claims.edit(claims.folder / "policy.yaml", {**less, "waivers": [WAIVER]})
    try:
        return claims.run()
    finally:
        claims.restore("project.yaml", "policy.yaml")


@pytest.fixture(scope="module")
def other_threshold(claims: Claims, worse: Run) -> Run:
    assert worse.versions == ["1"]
    keys = {"model.metrics.roc_auc.min": 0.6, "model.no_regression.margin": 0.05}
    claims.edit(claims.folder / "policy.yaml", {**keys, "waivers": [WAIVER]})
    return claims.run()


@pytest.fixture(scope="module")
def later_week(claims: Claims, other_threshold: Run) -> Run:
    assert other_threshold.versions == ["2", "1"]
    week(9, rows=20_000).write_parquet(claims.folder / "later.parquet")
    return claims.run("--data", "later.parquet")


@pytest.fixture(scope="module")
def as_csv(claims: Claims, later_week: Run) -> Run:
    assert later_week.code in {0, 1}
    pl.read_parquet(claims.folder / "claims.parquet").write_csv(claims.folder / "claims.csv")
    return claims.run("--data", "claims.csv")


def test_the_first_run_registers_the_example(first: Run) -> None:
    assert first.code == 0
    assert first.summary["state"] == "registered"
    assert first.summary["model"] | {"model_hash": ""} == {
        "name": NAME,
        "version": "1",
        "alias": "champion",
        "model_hash": "",
    }
    assert first.summary["verdicts"] == {"data": "inconclusive", "model": "inconclusive", "serving": "passed"}
    assert first.versions == ["1"]
    assert first.summary["reasons"] == []
    assert "error" not in first.summary


def test_what_is_inconclusive_at_first_is_said(first: Run) -> None:
    warnings = "\n".join(first.summary["warnings"])
    assert "drift: no approved model yet" in warnings
    assert "no_regression[roc_auc]: no champion yet" in warnings


def test_every_stage_is_timed_and_none_is_cached_at_first(first: Run) -> None:
    assert set(first.summary["seconds"]) == STAGES
    assert all(seconds > 0 for seconds in first.summary["seconds"].values())
    assert sum(first.summary["seconds"].values()) < first.summary["total_seconds"]
    assert first.summary["cached"] == []
    assert list(Path(first.summary["logs"]).glob("*train_model.log"))


@pytest.mark.parametrize("gate", ["data", "model", "serving"])
def test_the_reports_stand_alone_and_say_the_verdict(first: Run, gate: str) -> None:
    page = Path(first.summary["reports"][gate]).read_text(encoding="utf-8")
    assert first.summary["verdicts"][gate] in page
    assert NAME in page
    assert shortcomings(page) == []


@pytest.mark.parametrize(
    ("stage", "names"),
    [
        ("validate-data", {"rows", "rows_min", "worst_leakage", "worst_leakage_max", "worst_nulls", "bad_values"}),
        ("evaluate-model", {"roc_auc", "roc_auc_min", "log_loss_max", "worst_slice_roc_auc", "robustness_noise_max"}),
        ("probe-model", {"p50_ms", "p95_ms", "p95_ms_max", "cold_start_seconds_max", "failed_requests_max"}),
    ],
)
def test_what_runs_are_compared_by_is_in_the_metrics_of_each_gate(first: Run, stage: str, names: set[str]) -> None:
    home = Path(first.summary["logs"]).parents[1]
    (file, *_) = (home / "artifacts").glob(f"*/{stage}/metrics")
    numbers = json.loads(file.read_text(encoding="utf-8"))
    assert names | {"checks_passed", "checks_failed", "checks_inconclusive"} <= set(numbers)
    assert numbers["checks_passed"] > 0
    assert all(isinstance(number, float) for number in numbers.values())
    assert len(numbers) < 40


def test_the_outcome_binds_the_gates_to_one_policy(first: Run) -> None:
    gates = first.gates()
    assert set(gates) == {"data", "model", "serving"}
    assert len({gate["facts"]["policy_hash"] for gate in gates.values()}) == 1
    hashes = {gates[name]["facts"]["model_hash"] for name in ("model", "serving")}
    assert hashes == {first.summary["model"]["model_hash"]}


def test_nothing_changed_is_served_from_cache_and_gives_the_same_version(first: Run, unchanged: Run) -> None:
    assert unchanged.code == 0
    assert set(unchanged.summary["cached"]) == PURE
    assert unchanged.ran() == STAGES - PURE
    assert unchanged.summary["model"] == first.summary["model"]
    assert unchanged.summary["run"] != first.summary["run"]
    assert unchanged.versions == ["1"]


def test_a_drifted_week_fails_the_data_gate_and_trains_nothing(drifted: Run) -> None:
    assert drifted.code == 1
    assert drifted.summary["state"] == "rejected"
    assert drifted.summary["verdicts"] == {"data": "failed"}
    assert any(reason.startswith("drift[chronic_diseases]: PSI") for reason in drifted.summary["reasons"])
    assert set(drifted.summary["seconds"]) == {
        "resolve_inputs",
        "ingest_data",
        "validate_data",
        "enforce_gate",
        "prepare_features",
        "record_outcome",
    }
    assert drifted.versions == ["1"]
    assert "failed" in Path(drifted.summary["reports"]["data"]).read_text(encoding="utf-8")


def test_a_schema_break_is_rejected_by_its_columns(broken: Run) -> None:
    assert broken.code == 1
    reasons = "\n".join(broken.summary["reasons"])
    assert "column[log_incentive]: the column 'log_incentive' is missing" in reasons
    assert "participation_incentive" in reasons
    assert "type[chronic_diseases]: 'chronic_diseases' is stored as String, not as number" in reasons
    assert "categories[health]" in reasons
    assert "'very good'" in reasons
    assert broken.versions == ["1"]


def test_an_unreachable_threshold_names_metric_observed_and_asked(unreachable: Run) -> None:
    assert unreachable.code == 1
    assert unreachable.summary["state"] == "rejected"
    assert unreachable.summary["model"] is None
    (reason,) = unreachable.summary["reasons"]
    observed = next(
        check["observed"] for check in unreachable.gates()["model"]["checks"] if check["name"] == "metric[roc_auc]"
    )
    assert 0.65 < observed < 0.99
    assert reason.startswith(f"metric[roc_auc]: {observed:.4f} (95% interval ")
    assert reason.endswith("test rows; the policy requires at least 0.99")
    assert unreachable.versions == ["1"]
    assert set(unreachable.summary["reports"]) == {"data", "model", "serving", "card"}


def test_a_worse_candidate_is_rejected_by_no_regression(worse: Run) -> None:
    assert worse.code == 1
    (reason,) = worse.summary["reasons"]
    assert reason.startswith("no_regression[roc_auc]: roc_auc ")
    assert "of champion version 1" in reason
    assert re.search(r"0\.0\d+ worse \(the difference is .*\), margin 0\.01", reason)
    assert worse.versions == ["1"]


def test_one_threshold_changed_judges_again_and_trains_nothing(other_threshold: Run) -> None:
    assert other_threshold.code == 0
    judging = {"validate_data", "evaluate_model", "probe_model"}
    assert other_threshold.ran() == judging | (STAGES - PURE)
    assert set(other_threshold.summary["cached"]) == {"ingest_data", "prepare_features", "train_model"}
    assert other_threshold.summary["model"]["version"] == "2"
    assert other_threshold.summary["verdicts"]["data"] == "passed"
    assert other_threshold.versions == ["2", "1"]


def test_a_clean_later_week_is_released(later_week: Run) -> None:
    assert later_week.code == 0, later_week.summary["reasons"]
    assert later_week.summary["verdicts"]["data"] == "passed"
    assert later_week.ran() == STAGES
    assert later_week.versions == ["3", "2", "1"]


def test_csv_is_judged_like_the_parquet_that_it_was_written_from(first: Run, as_csv: Run) -> None:
    scores = [
        {check["name"]: check["observed"] for check in run.gates()["model"]["checks"] if "metric[" in check["name"]}
        for run in (first, as_csv)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 2
    rows = [{key: run.gates()["data"]["facts"][key] for key in ("rows", "train_rows")} for run in (first, as_csv)]
    assert rows[0] == rows[1]
    assert first.gates()["data"]["facts"]["data_hash"] != as_csv.gates()["data"]["facts"]["data_hash"]
    assert as_csv.ran() >= {"ingest_data", "train_model"}


def test_history_shows_what_development_had_when(claims: Claims, as_csv: Run, modelway: Command) -> None:
    assert as_csv.code == 0, as_csv.summary["reasons"]
    ran = modelway("history", cwd=claims.folder, env={"COLUMNS": "240"})
    assert ran.returncode == 0
    title, heads, *rows = ran.stdout.splitlines()
    assert title.split() == [f"{NAME}:", "what", "was", "served"]
    assert heads.split() == ["environment", "version", "state", "since", "until", "why"]
    assert [row.split()[:2] for row in rows] == [["development", number] for number in "4321"]
    assert ["now" in row for row in rows] == [True, False, False, False]


def test_without_arguments_the_shipped_example_runs_and_says_where_things_are(
    tmp_path: Path, modelway: Command, registered_versions: Versions
) -> None:
    ran = modelway("run", cwd=tmp_path, env={"COLUMNS": "200"})
    assert ran.returncode == 0
    output = ran.stdout + ran.stderr
    assert f"registered {NAME} version 1, now 'champion'" in output
    reports = list((tmp_path / ".modelway" / "runs").glob("*/*.html"))
    assert {report.name for report in reports} == {"data.html", "model.html", "serving.html", "card.html"}
    assert all(str(report.relative_to(tmp_path)) in output for report in reports)
    assert all(stage in output for stage in STAGES)
    assert "mlflow.db" in output
    assert registered_versions(tmp_path / ".modelway", NAME) == ["1"]
    assert [entry.name for entry in tmp_path.iterdir()] == [".modelway"]


@pytest.fixture(scope="module")
def other_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for projects of other names, since making its database takes seconds."""
    return tmp_path_factory.mktemp("home")


@pytest.mark.parametrize(
    ("name", "metric"), [("diabetes", "r2"), ("wine", "balanced_accuracy")], ids=["regression", "multiclass"]
)
def test_a_project_made_by_init_ends_registered(
    name: str,
    metric: str,
    tmp_path: Path,
    other_home: Path,
    modelway: Command,
    edit: Edit,
    registered_versions: Versions,
) -> None:
    import sklearn.datasets

    table = pl.from_pandas(getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame)
    table.write_csv(tmp_path / f"{name}.csv")
    init = modelway("init", name, "--data", f"{name}.csv", "--label", "target", cwd=tmp_path)
    assert init.returncode == 0, init.stderr
    edit(tmp_path / name / "policy.yaml", {"model.minimum_rows": 30})
    ran = modelway("run", name, "--home", other_home, "--json", cwd=tmp_path)
    summary = json.loads(ran.stdout)
    assert (ran.returncode, summary["state"]) == (0, "registered"), summary
    assert registered_versions(other_home, name) == ["1"]
    outcome = json.loads((other_home / "runs" / summary["run"] / "outcome.json").read_text(encoding="utf-8"))
    checks = [check["name"] for gate in outcome["gates"] for check in gate["checks"]]
    assert f"metric[{metric}]" in checks


TRAINING = """
import importlib
from pathlib import Path


def grow(features, label, depth):
    Path(__file__).with_name("lookup.csv").read_text()
    return importlib.import_module("grown_" + "trees").Tree(max_depth=depth).fit(features, label)
"""
HELPER = """
from sklearn.tree import DecisionTreeClassifier


class Tree(DecisionTreeClassifier):
    def predict_proba(self, features):
        import grown_rules

        return grown_rules.adjust(super().predict_proba(features))
"""
RULES = "def adjust(probabilities):\n    return probabilities * {share} + (1 - {share}) / probabilities.shape[1]\n"


def test_a_changed_helper_trains_again_and_a_class_of_ones_own_is_served_from_the_models_folder(
    small: Path, other_home: Path, modelway: Command, edit: Edit, registered_versions: Versions
) -> None:
    """Neither helper is named in an `import` statement of the entrypoint, and the second is loaded by predicting."""
    edit(small / "project.yaml", {"name": "own", "model": {"entrypoint": "growing:grow", "parameters": {"depth": 3}}})
    files = {"growing.py": TRAINING, "grown_trees.py": HELPER}
    for name, text in files.items():
        (small / name).write_text(text, encoding="utf-8")
    runs = []
    lock = "version = 1\n"
    for share, other, locks in ((0.99, "1", {}), (0.98, "1", {}), (0.98, "2", {}), (0.98, "2", {"uv.lock": lock})):
        for name, text in locks.items():
            (small / name).write_text(text, encoding="utf-8")
        (small / "grown_rules.py").write_text(RULES.format(share=share), encoding="utf-8")
        (small / "unrelated.py").write_text(other, encoding="utf-8")
        (small / "lookup.csv").write_text(other, encoding="utf-8")
        ran = modelway("run", small, "--home", other_home, "--json", cwd=small.parent)
        runs.append(json.loads(ran.stdout))
        assert ran.returncode == 0, runs[-1]
    assert set(runs[1]["cached"]) == {"ingest_data", "prepare_features"}
    assert "train_model" in runs[2]["cached"], "neither a module that nothing loads nor data is in the key"
    assert "train_model" not in runs[3]["cached"], "what is locked is in the key"
    assert [run["model"]["version"] for run in runs] == ["1", "2", "2", "3"]
    blessings = [other_home / "runs" / run["run"] / "blessing.json" for run in runs]
    hashes = [json.loads(file.read_text(encoding="utf-8"))["hashes"]["code"] for file in blessings]
    assert (hashes[1] == hashes[2], len(set(hashes))) == (True, 3)
    rules = [
        path for path in (other_home / "artifacts").rglob("code/grown_rules.py") if "0.98" in path.read_text("utf-8")
    ]
    (model, _) = (path.parent.parent for path in rules)
    assert {path.name for path in (model / "code").iterdir()} == {"growing.py", "grown_rules.py", "grown_trees.py"}
    described = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))["metadata"]["modelway_code"]
    assert described["data_files"] == ["lookup.csv"]
    assert "lookup.csv" in Path(runs[1]["reports"]["model"]).read_text(encoding="utf-8")
    assert registered_versions(other_home, "own") == ["3", "2", "1"]
