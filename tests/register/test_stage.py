"""Registering binds the evidence to the model: both are in the registry afterwards, or neither."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from registrations import NAME, NAMES, POLICY, Request, numbers, trained_in

from modelway.components.core.checks import Gate, Mode, Verdict, passed_or_failed
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.waivers import Waiver
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BLESSING_FILE
from modelway.components.core.evidence.rejection import RejectedError
from modelway.components.core.evidence.runs import State
from modelway.components.core.storage.mlflow import Tracking


def test_the_decision_and_the_reports_are_kept_in_the_store(request_: Request) -> None:
    request_.register()
    decision = request_.decision()
    assert decision is not None
    assert decision.state is State.REGISTERED
    assert decision.model is not None
    assert (decision.model.version, decision.model.alias) == ("1", "champion")
    assert decision.git_commit == "commit"
    assert decision.error == ""
    assert [gate.name for gate in decision.gates] == ["data", "model", "serving"]
    assert set(decision.reports) == {"data", "model", "serving", "card"}
    for name, report in decision.reports.items():
        assert Path(report) == request_.store / "runs" / "run-1" / f"{name}.html"
        if name != "card":
            assert Path(report).read_bytes() == Path(request_.evidence.reports[name]).read_bytes()


def _waived(request: Request, until: str, *, in_policy: bool) -> Request:
    """A failed check that a waiver lets pass, in the data gate."""
    waiver = {"gate": "data", "check": "made[up]", "reason": "known", "by": "ada", "until": until}
    waivers = {"waivers": [waiver]} if in_policy else {}
    policy = yaml.safe_dump({**yaml.safe_load(request.policy), **waivers})
    bad = passed_or_failed("made[up]", False, message="too bad to ship")
    waived = bad.model_copy(update={"blocks": False, "waiver": str(Waiver.model_validate(waiver))})
    for name in NAMES:
        gate = Gate.read(request.evidence.gates[name])
        facts = {**gate.facts, "policy_hash": Policy.parse(policy).sha256()}
        checks = (*gate.checks, waived) if name == "data" else gate.checks
        gate.model_copy(update={"checks": checks, "facts": facts}).write(request.evidence.gates[name])
    return request.but(policy=policy)


def test_a_waiver_that_holds_is_let_pass_and_stands_on_the_card(request_: Request, tracking: Tracking) -> None:
    assert _waived(request_, "2999-01-01", in_policy=True).register() == "1"
    card = tracking.evidence(NAME, "1")["card.md"]
    assert card is not None
    assert "waived by ada until 2999-01-01: known" in card.decode()


@pytest.mark.parametrize(("until", "in_policy"), [("2001-01-01", True), ("2999-01-01", False)])
def test_a_waiver_that_ended_or_is_not_in_the_policy_is_refused(
    until: str, in_policy: bool, request_: Request, tracking: Tracking
) -> None:
    with pytest.raises(ModelwayError, match="by a waiver that is not valid") as error:
        _waived(request_, until, in_policy=in_policy).register()
    assert error.value.value == "made[up]"
    assert numbers(tracking) == []


def _model_changed(request: Request) -> Request:
    (request.model / "MLmodel").write_text("another: model\n", encoding="utf-8")
    return request


def _model_file_added(request: Request) -> Request:
    (request.model / "payload.py").write_text("print('hello')\n", encoding="utf-8")
    return request


def _with_document(name: str, keys: dict[str, Any]) -> Any:
    def change_request(request: Request) -> Request:
        return request.but(**{name: yaml.safe_dump({**yaml.safe_load(getattr(request, name)), **keys})})

    return change_request


def _blocked(name: str) -> Any:
    def change_request(request: Request) -> Request:
        path = request.evidence.files[f"{name}.json"]
        gate = Gate.read(path)
        bad = passed_or_failed("made[up]", False, message="too bad to ship")
        gate.model_copy(update={"checks": (*gate.checks, bad), "mode": Mode.ENABLED}).write(path)
        return request

    return change_request


def _swapped(request: Request) -> Request:
    gates = {**request.evidence.gates, "model": request.evidence.gates["data"]}
    return request.but(evidence=dataclasses.replace(request.evidence, gates=gates))


def _without_facts(request: Request) -> Request:
    path = request.evidence.files["model.json"]
    Gate.read(path).model_copy(update={"facts": {}}).write(path)
    return request


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_model_changed, "the model gate judged another model than the one to register"),
        (_model_file_added, "the model gate judged another model"),
        (_with_document("contract", {"minimum_rows": 3}), "the data gate judged another contract"),
        (_with_document("policy", {"registration": {"alias": "other"}}), "the data gate judged another policy"),
        (_with_document("project", {"name": "stolen"}), "the model gate judged another project"),
        (_swapped, "judged another"),
        (_without_facts, "the model gate judged another policy"),
    ],
    ids=[
        "model",
        "file",
        "contract",
        "policy",
        "project",
        "swapped",
        "no facts",
    ],
)
def test_evidence_of_something_else_is_refused(change: Any, says: str, request_: Request, tracking: Tracking) -> None:
    change_request = change(request_)
    with pytest.raises(ModelwayError) as error:
        change_request.register()
    assert says in error.value.message
    assert error.value.remedy
    assert numbers(tracking) == []
    assert tracking.versions("stolen") == []
    assert change_request.decision() is None


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_that_blocks_rejects_the_run_and_its_reasons_are_recorded(
    name: str, request_: Request, tracking: Tracking
) -> None:
    with pytest.raises(RejectedError) as rejection:
        _blocked(name)(request_).register()
    assert f"rejected by the {name} gate:\n  - made[up]: too bad to ship" in rejection.value.message
    assert numbers(tracking) == []
    assert request_.log() == []
    decision = request_.decision()
    assert decision is not None
    assert (decision.state, decision.reasons) == (State.REJECTED, ["made[up]: too bad to ship"])
    assert [gate.name for gate in decision.gates] == list(NAMES)
    assert set(decision.reports) == {*NAMES, "card"}
    error = Blessing.model_validate_json((request_.store / "runs" / "run-1" / BLESSING_FILE).read_bytes())
    assert not error.blessed


def test_an_inconclusive_gate_that_only_warns_is_registered(request_: Request) -> None:
    gate = Gate.read(request_.evidence.gates["data"])
    assert gate.verdict is Verdict.INCONCLUSIVE
    assert gate.proceed
    assert request_.register() == "1"


OWN_CLASS = """
from sklearn.tree import DecisionTreeClassifier

class Cautious(DecisionTreeClassifier):
    pass

def fit(features, label):
    return Cautious(max_depth=2).fit(features, label)
"""


def test_a_model_of_the_users_own_class_is_registered_without_being_loaded(
    tmp_path: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "registered_own.py").write_text(OWN_CLASS, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "loans").mkdir()
    own = trained_in(tmp_path / "loans", {"entrypoint": "registered_own:fit"})
    request = own.request_under(tmp_path / "evidence", POLICY)
    (tmp_path / "registered_own.py").unlink()
    monkeypatch.delitem(sys.modules, "registered_own")
    monkeypatch.setattr("cloudpickle.load", None)
    assert request.register() == "1"
    assert numbers(tracking) == ["1"]
