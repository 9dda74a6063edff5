"""A gate that lets proceed lets the run go on; one that blocks ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.checks import Check, Gate, Mode, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.evidence.rejection import RejectedError
from modelway.components.core.evidence.runs import DECISION, Outcome, RunContext
from modelway.components.enforce.stage import enforce

BAD = passed_or_failed("drift[income]", False, message="PSI 0.412 against the baseline, above 0.2")
FILES = {
    "project": (
        '{"name": "loans", "task": "binary", "label": "default", "data": {"source": "loans.csv"},'
        ' "features": {"numeric": ["income"]}, "model": {"estimator": "sklearn.tree.DecisionTreeClassifier"}}'
    ),
    "contract": '{"columns": {"income": {"type": "number"}, "default": {"type": "integer"}}}',
    "policy": '{"model": {"metrics": {"roc_auc": {"min": 0.6}}}}',
}


def _enforced(folder: Path, check: Check, mode: Mode = Mode.ENABLED) -> Gate:
    Gate(name="data", checks=(check,), mode=mode).write(folder / "gate.json")
    (folder / "report.html").write_text("<p>data</p>", encoding="utf-8")
    context = RunContext(run="id-1", store=str(folder / "store"))
    return enforce(str(folder / "gate.json"), str(folder / "report.html"), files=FILES, context=context)


@pytest.mark.parametrize(
    ("check", "mode"),
    [
        (passed_or_failed("columns", True, message="all there"), Mode.ENABLED),
        (inconclusive("drift", "no baseline", rule=OnInconclusive.WARN), Mode.ENABLED),
        (BAD, Mode.DRY_RUN),
    ],
)
def test_what_does_not_block_goes_on_and_nothing_is_recorded(check: Check, mode: Mode, tmp_path: Path) -> None:
    assert _enforced(tmp_path, check, mode).proceed
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("check", [BAD, inconclusive("drift", "no baseline", rule=OnInconclusive.BLOCK)])
def test_what_blocks_is_recorded_and_ends_the_run(check: Check, tmp_path: Path) -> None:
    with pytest.raises(RejectedError, match="rejected by the data gate"):
        _enforced(tmp_path, check)
    decision = Outcome.read(str(tmp_path / "store"), "id-1", file=DECISION)
    assert decision is not None
    assert decision.reasons == [f"{check.name}: {check.message}"]
    assert Path(decision.reports["data"]).read_text(encoding="utf-8") == "<p>data</p>"
