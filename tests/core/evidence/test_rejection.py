"""A rejection is recorded with its reasons before it fails the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from user_files import minimal_project_text

from modelway.components.core.checks import Check, Gate, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.rejection import RejectedError, reject
from modelway.components.core.evidence.runs import DECISION, Outcome, RunContext, State

PROJECT = minimal_project_text(label="default")
CONTRACT = yaml.safe_dump({"columns": {"income": {"type": "number"}, "default": {"type": "integer"}}})
POLICY = yaml.safe_dump({"model": {"metrics": {"roc_auc": {"min": 0.6}}}})
FILES = UserFiles.load(project=PROJECT, contract=CONTRACT, policy=POLICY)
GOOD = passed_or_failed("columns", True, message="all are there")
BAD = passed_or_failed(
    "drift[income]", False, message="PSI 0.412 against the baseline, above 0.2", observed=0.412, threshold=0.2
)
UNSURE = inconclusive("test_rows", "12 test rows; the policy requires 200", rule=OnInconclusive.BLOCK, observed=12)


def _context(store: Path | str) -> RunContext:
    return RunContext(run="run-1", store=str(store), name="weekly", git_commit="commit", champion="4")


def _gates(folder: Path, **gates: tuple[Check, ...]) -> tuple[list[Gate], dict[str, str]]:
    """Gates of these checks, and the path of each one's report."""
    reports = {name: folder / f"{name}-report.html" for name in gates}
    for name, report in reports.items():
        report.write_text(f"<p>{name}</p>", encoding="utf-8")
    judged_gates = [Gate(name=name, checks=checks, report=f"report of {name}") for name, checks in gates.items()]
    return judged_gates, {name: str(report) for name, report in reports.items()}


def _rejected(gates: tuple[list[Gate], dict[str, str]], store: Path) -> tuple[RejectedError, Outcome]:
    with pytest.raises(RejectedError) as error:
        reject(*gates, files=FILES, context=_context(store))
    decision = Outcome.read(str(store), "run-1", file=DECISION)
    assert decision is not None
    return error.value, decision


def test_a_rejection_by_the_data_gate(tmp_path: Path) -> None:
    error, decision = _rejected(_gates(tmp_path, data=(GOOD, BAD)), tmp_path / "store")
    assert isinstance(error, ModelwayError)
    assert error.message.startswith("rejected by the data gate:\n  - drift[income]: PSI 0.412 against the baseline")
    assert error.file == str(tmp_path / "store" / "runs" / "run-1" / "data.html")
    assert "read the report" in error.remedy
    assert decision.state is State.REJECTED
    assert (decision.project, decision.git_commit, decision.model) == ("loans", "commit", None)
    assert (decision.run, decision.name) == ("run-1", "weekly")
    assert decision.reasons == ["drift[income]: PSI 0.412 against the baseline, above 0.2"]
    assert decision.gates[0].checks == (GOOD, BAD)


def test_a_rejection_by_the_model_gate_keeps_both_gates_and_reports(tmp_path: Path) -> None:
    error, decision = _rejected(_gates(tmp_path, data=(GOOD,), model=(UNSURE, BAD)), tmp_path / "store")
    assert error.message.startswith("rejected by the model gate:")
    assert error.file is not None
    assert error.file.endswith("model.html")
    assert [gate.name for gate in decision.gates] == ["data", "model"]
    reports = {name: Path(report).read_text(encoding="utf-8") for name, report in decision.reports.items()}
    assert "Not blessed" in Path(decision.reports["card"]).with_suffix(".md").read_text(encoding="utf-8")
    assert reports.pop("card").startswith("<!doctype html>")
    assert reports == {"data": "<p>data</p>", "model": "<p>model</p>"}
    assert [reason.split(":")[0] for reason in decision.reasons] == ["drift[income]", "test_rows"]


def test_the_gates_that_block_are_named_and_not_those_that_were_reached_after(tmp_path: Path) -> None:
    error, decision = _rejected(_gates(tmp_path, data=(GOOD,), model=(BAD,), serving=(GOOD,)), tmp_path / "store")
    assert error.message.startswith("rejected by the model gate:")
    assert error.file == decision.reports["model"]
    (tmp_path / "both").mkdir()
    error, _ = _rejected(_gates(tmp_path / "both", data=(GOOD,), model=(BAD,), serving=(UNSURE,)), tmp_path / "two")
    assert error.message.startswith("rejected by the model and the serving gates:")


def test_the_blessing_that_is_refused_is_kept(tmp_path: Path) -> None:
    _, decision = _rejected(_gates(tmp_path, data=(GOOD, BAD)), tmp_path / "store")
    content = (tmp_path / "store" / "runs" / "run-1" / "blessing.json").read_bytes()
    blessing = Blessing.model_validate_json(content)
    assert (blessing.blessed, blessing.compared_with, blessing.git_commit) == (False, "4", "commit")
    assert blessing.gates == decision.gates
    assert blessing.sha256() == decision.blessing
    assert len(blessing.hashes.contract) == len(blessing.hashes.policy) == 64
    assert blessing.hashes.model == ""


@pytest.mark.parametrize(("count", "more"), [(10, None), (11, "and 1 more"), (25, "and 15 more")])
def test_the_error_stays_short_and_the_record_complete(count: int, more: str | None, tmp_path: Path) -> None:
    checks = tuple(passed_or_failed(f"nulls[c{number}]", False, message="too many") for number in range(count))
    error, decision = _rejected(_gates(tmp_path, data=checks), tmp_path / "store")
    assert error.message.count("\n  - ") == 10
    assert (more in error.message) if more else (" more" not in error.message)
    assert len(decision.reasons) == count


def test_a_store_that_cannot_be_written_is_not_a_rejection(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file", encoding="utf-8")
    with pytest.raises(NotFoundError, match="store"):
        reject(*_gates(tmp_path, data=(BAD,)), files=FILES, context=_context(tmp_path / "store"))


def test_without_a_store_nothing_is_recorded_and_the_gates_own_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(RejectedError) as error:
        reject(*_gates(tmp_path, data=(BAD,)), files=FILES, context=_context(""))
    assert error.value.file == "report of data"
    assert [path.name for path in tmp_path.iterdir()] == ["data-report.html"]
