"""A blessed model becomes a version with evidence and aliases, or nothing is registered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import signal
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from disks import fill
from registrations import NAME, Request, numbers

from modelway.components.core.audit.environments import point_environment_at
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BASELINE_FILE, BLESSING_FILE
from modelway.components.core.evidence.runs import DECISION, State
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.termination import TerminatedError, raise_terminated
from modelway.components.record.stage import record
from modelway.components.register.stage import Training


def _holders(tracking: Tracking) -> dict[str, str]:
    names = ("challenger", "champion", "development", "production")
    holders = {name: tracking.version_with_alias(NAME, name) for name in names}
    return {name: str(holder.version) for name, holder in holders.items() if holder is not None}


def test_a_version_carries_its_evidence_and_what_it_is_bound_to(request_: Request, tracking: Tracking) -> None:
    assert request_.register() == "1"
    holder = tracking.version_with_alias(NAME, "champion")
    assert holder is not None
    tags = {key.removeprefix("modelway."): value for key, value in holder.tags.items()}
    expected = {
        "model_hash": folder_sha256(request_.model),
        "data_hash": "d" * 64,
        "project_hash": Project.load(request_.project).sha256(),
        "contract_hash": Contract.load(request_.contract).sha256(),
        "policy_hash": Policy.load(request_.policy).sha256(),
        "code_version": "code",
        "compared_with": "",
        "run": "run-1",
        "git_commit": "commit",
    }
    assert {key: tags[key] for key in expected} == expected
    assert len(tags["request_hash"]) == len(tags["blessing"]) == 64
    assert holder.run_id == request_.training.run_id
    for name, file in request_.evidence.files.items():
        assert tracking.evidence(NAME, "1")[name] == file.read_bytes()
    assert BASELINE_FILE in tracking.evidence(NAME, "1")


def test_the_registered_files_are_those_that_were_judged(request_: Request, tracking: Tracking, tmp_path: Path) -> None:
    request_.register()
    downloaded = tracking.download_model(NAME, "1", folder=str(tmp_path / "downloaded"))
    names = {str(file.relative_to(request_.model)) for file in request_.model.rglob("*") if file.is_file()}
    assert "MLmodel" in names
    for name in names:
        assert (downloaded / name).read_bytes() == (request_.model / name).read_bytes()


def test_the_blessing_is_bound_to_the_version_and_kept_beside_it(request_: Request, tracking: Tracking) -> None:
    request_.register()
    decision, content = request_.decision(), tracking.evidence(NAME, "1")["blessing.json"]
    assert decision is not None
    assert content is not None
    blessing = Blessing.model_validate_json(content)
    assert blessing.blessed
    assert blessing.hashes.model == folder_sha256(request_.model)
    assert blessing.gates == decision.gates
    assert hashlib.sha256(content).hexdigest() == blessing.sha256() == decision.blessing
    assert tracking.versions(NAME)[0].tags["modelway.blessing_sha256"] == decision.blessing
    in_store = request_.store / "runs" / "run-1" / "blessing.json"
    assert in_store.read_bytes() == content


@pytest.mark.parametrize("file", ["card.md", "card.html", "policy.json", "contract.json", "project.json"])
def test_the_card_and_the_three_files_are_kept_with_the_version(
    file: str, request_: Request, tracking: Tracking
) -> None:
    request_.register()
    content = tracking.evidence(NAME, "1")[file]
    assert content is not None
    documents = {"policy.json": Policy, "contract.json": Contract, "project.json": Project}
    if file in documents:
        text = getattr(request_, file.removesuffix(".json"))
        assert documents[file].parse(content.decode()) == documents[file].load(text)
    else:
        assert b"Model card: loans" in content
    assert f"no-{file}" not in tracking.evidence(NAME, "1")


def test_again_is_the_same_version_under_another_run(request_: Request, tracking: Tracking) -> None:
    again = request_.but(context=dataclasses.replace(request_.context, run="run-2", git_commit="later"))
    assert [request_.register(), again.register(), request_.register()] == ["1", "1", "1"]
    assert numbers(tracking) == ["1"]
    assert [entry.version for entry in request_.log()] == ["1"]
    decision = again.decision()
    assert decision is not None
    assert decision.run == "run-2"
    assert decision.model is not None
    assert decision.model.version == "1"


@pytest.mark.parametrize(
    "change",
    [{"training": {"code_version": "other"}}, {"context": {"champion": "7"}}],
    ids=["code", "champion"],
)
def test_what_the_blessing_binds_makes_another_version(
    change: dict[str, dict[str, str]], request_: Request, tracking: Tracking
) -> None:
    request_.register()
    changes = {name: dataclasses.replace(getattr(request_, name), **fields) for name, fields in change.items()}
    changes["context"] = dataclasses.replace(changes.get("context", request_.context), run="run-2")
    assert request_.but(**changes).register() == "2"
    assert numbers(tracking) == ["2", "1"]


@pytest.mark.parametrize("label", [{"data_version": "week 32"}, {"source_version": "etag:of the same bytes"}])
def test_the_same_model_is_registered_once_whatever_its_data_is_called(
    label: dict[str, str], request_: Request, tracking: Tracking
) -> None:
    request_.register()
    again = request_.but(
        training=dataclasses.replace(request_.training, **label),
        context=dataclasses.replace(request_.context, run="run-2"),
    )
    assert again.register() == "1"
    assert numbers(tracking) == ["1"]


def test_the_aliases_move_and_the_log_says_when(request_: Request, challenger: Request, tracking: Tracking) -> None:
    assert [request_.register(), challenger.register()] == ["1", "2"]
    assert _holders(tracking) == {"champion": "2", "development": "2"}
    first, second = request_.log()
    assert (first.event, first.environment, first.version, second.version) == ("registered", "development", "1", "2")
    for entry in (first, second):
        content = tracking.evidence(NAME, entry.version)[BLESSING_FILE]
        assert content is not None
        assert entry.details["blessing_sha256"] == hashlib.sha256(content).hexdigest()
    assert AuditLog(str(request_.store), tracking).verify(NAME) is None


def test_once_there_is_a_production_it_decides_who_is_the_champion(
    request_: Request, challenger: Request, tracking: Tracking
) -> None:
    model = RegisteredModel(NAME, str(request_.store), tracking)
    point_environment_at(model.version(request_.register()), "production")
    challenger.register()
    assert _holders(tracking) == {"champion": "1", "challenger": "2", "development": "2", "production": "1"}


def test_an_old_request_moves_no_alias_back(request_: Request, challenger: Request, tracking: Tracking) -> None:
    again = request_.but(context=dataclasses.replace(request_.context, run="run-3"))
    later = challenger.but(context=dataclasses.replace(challenger.context, run="run-2"))
    assert [request_.register(), later.register(), again.register()] == ["1", "2", "1"]
    assert _holders(tracking) == {"champion": "2", "development": "2"}
    assert [entry.version for entry in request_.log()] == ["1", "2"]
    decision = again.decision()
    assert decision is not None
    assert decision.model is not None
    assert (decision.model.version, decision.model.alias) == ("1", "")


def test_a_run_that_was_cut_off_before_its_aliases_gives_them_when_it_is_retried(
    request_: Request, tracking: Tracking
) -> None:
    request_.register()
    for alias in ("champion", "development"):
        tracking.delete_alias(NAME, alias)
    assert request_.register() == "1"
    assert _holders(tracking) == {"champion": "1", "development": "1"}


def _register_as(tracking: Tracking, training: Training, alias: str) -> None:
    with tracking.new_version(NAME, training.model_id, run_id=training.run_id, tags={"blessing": "b"}) as version:
        assert numbers(tracking) == [version]
        tracking.set_alias(NAME, version, alias=alias)


@pytest.mark.parametrize("alias", ["v1", "no spaces"])
def test_an_alias_that_mlflow_refuses_leaves_no_version(alias: str, request_: Request, tracking: Tracking) -> None:
    with pytest.raises(ModelwayError, match=r"MLflow at .* answers"):
        _register_as(tracking, request_.training, alias)
    assert numbers(tracking) == []
    version = request_.register()
    assert numbers(tracking) == [version]


@pytest.fixture
def frozen_aliases(tracking: Tracking, request_: Request) -> Iterator[None]:
    """From now on the database itself refuses to write aliases."""
    assert request_.policy
    with closing(sqlite3.connect(tracking.uri.removeprefix("sqlite:///"))) as connection:
        for event in ("INSERT", "UPDATE"):
            connection.execute(
                f"CREATE TRIGGER no_{event} BEFORE {event} ON registered_model_aliases "
                "BEGIN SELECT RAISE(ABORT, 'aliases are frozen'); END"
            )
        connection.commit()
        yield
        for event in ("INSERT", "UPDATE"):
            connection.execute(f"DROP TRIGGER no_{event}")
        connection.commit()


@pytest.mark.usefixtures("frozen_aliases")
def test_where_the_alias_cannot_be_given_the_version_goes_and_the_outcome_says_so(
    request_: Request, tracking: Tracking
) -> None:
    with pytest.raises(ModelwayError, match="aliases are frozen"):
        request_.register()
    assert numbers(tracking) == []
    outcome = record("registered", context=request_.context, project=request_.project)
    assert (outcome.state, outcome.model) == (State.FAILED, None)
    assert "aliases are frozen" in outcome.error
    assert set(outcome.reports) == {"data", "model", "serving", "card"}


def test_where_the_decision_cannot_be_written_nothing_is_registered(
    request_: Request, challenger: Request, tracking: Tracking
) -> None:
    request_.register()
    in_the_way = challenger.store / "runs" / "run-9" / DECISION
    in_the_way.mkdir(parents=True)
    blocked = challenger.but(context=dataclasses.replace(challenger.context, run="run-9"))
    with pytest.raises(ModelwayError, match="a folder is where a file must be"):
        blocked.register()
    assert numbers(tracking) == ["1"]
    holder = tracking.version_with_alias(NAME, "champion")
    assert holder is not None
    assert str(holder.version) == "1"
    assert [log_entry.version for log_entry in request_.log()] == ["1"]
    assert sorted(entry.name for entry in in_the_way.parent.iterdir()) == sorted(
        ["blessing.json", "card.html", "card.md", "data.html", DECISION, "model.html", "serving.html"]
    )


def test_the_evidence_in_the_registry_is_what_the_gates_wrote(request_: Request, tracking: Tracking) -> None:
    request_.register()
    content = tracking.evidence(NAME, "1")["model.json"]
    assert content is not None
    assert json.loads(content)["facts"]["model_hash"] == folder_sha256(request_.model)
    assert "data.html" in tracking.evidence(NAME, "1")


def test_the_same_request_several_times_at_once_is_registered_once(request_: Request, tracking: Tracking) -> None:
    runs = [dataclasses.replace(request_.context, run=f"run-{number}") for number in range(4)]
    with ThreadPoolExecutor(len(runs)) as pool:
        versions = set(pool.map(Request.register, [request_.but(context=context) for context in runs]))
    assert versions == {str(version.version) for version in tracking.versions(NAME)}
    assert len(versions) == 1
    assert [entry.version for entry in request_.log()] == list(versions)
    decisions = [request_.but(context=context).decision() for context in runs]
    assert {decision.model.version for decision in decisions if decision and decision.model} == versions


def test_a_termination_waits_until_the_version_is_registered_as_a_whole(
    request_: Request, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGTERM, lambda number, _: raise_terminated(number))
    written = AuditLog._write
    monkeypatch.setattr(
        AuditLog, "_write", lambda log, entry: (signal.raise_signal(signal.SIGTERM), written(log, entry))[1]
    )
    try:
        with pytest.raises(TerminatedError):
            request_.register()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert numbers(tracking) == ["1"]
    assert _holders(tracking)["champion"] == "1"
    decision = request_.decision()
    assert decision is not None
    assert decision.state is State.REGISTERED
    assert [entry.event for entry in request_.log()] == ["registered"]


def test_a_disk_that_is_full_after_the_decision_leaves_none_that_is_not_true(
    request_: Request, tracking: Tracking, disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = disk("256k")
    request = request_.but(context=dataclasses.replace(request_.context, store=str(store)))
    written = AuditLog._write
    monkeypatch.setattr(AuditLog, "_write", lambda log, entry: (fill(store), written(log, entry))[1])
    with pytest.raises(ModelwayError, match="the disk is full"):
        request.register()
    assert numbers(tracking) == []
    assert request.decision() is None
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    (store / "ballast").unlink()
    version = request.register()
    assert numbers(tracking) == [version]
