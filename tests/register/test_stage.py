"""Registering binds the evidence to the model: both are in the registry afterwards, or neither."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from modelway.components.core.audit.environments import point_environment_at
from modelway.components.core.audit.log import AuditLog, Entry
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.checks import Gate, Mode, Verdict, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.config.waivers import Waiver
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import BLESSING_FILE, Blessing
from modelway.components.core.evidence.rejection import RejectedError
from modelway.components.core.evidence.runs import DECISION, Outcome, RunContext, State
from modelway.components.core.storage.mlflow import BASELINE_FILE, Tracking
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.evaluate.stage import evaluate
from modelway.components.ingest.stage import ingest
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import probe
from modelway.components.record.stage import record
from modelway.components.register.stage import Evidence, Training, register
from modelway.components.train.stage import train
from modelway.components.validate.stage import validate

NAME = "loans"
CONTRACT: dict[str, Any] = {
    "columns": {"income": {"type": "number"}, "debt": {"type": "number"}, "default": {"type": "integer"}}
}
POLICY: dict[str, Any] = {
    "model": {"metrics": {"roc_auc": {"min": 0.6}}, "minimum_rows": 20},
    "data": {"on_inconclusive": "warn"},
    "serving": {"mode": "disabled"},  # a server started for each of these tests would tell nothing more
}
NAMES = ("data", "model", "serving")


@dataclasses.dataclass(frozen=True)
class Request:
    """Everything that `register` takes."""

    model: Path
    evidence: Evidence
    training: Training
    context: RunContext
    project: str
    contract: str
    policy: str

    @property
    def store(self) -> Path:
        """The root of the project's store."""
        return Path(self.context.store)

    def register(self) -> str:
        """Registers; returns the version."""
        files = UserFiles.load(project=self.project, contract=self.contract, policy=self.policy)
        registration = register(
            str(self.model), self.evidence, training=self.training, files=files, context=self.context
        )
        return registration.model.version

    def decision(self) -> Outcome | None:
        """What was recorded."""
        return Outcome.read(self.context.store, self.context.run, file=DECISION)

    def log(self) -> list[Entry]:
        """What the audit log says."""
        return AuditLog(str(self.store)).entries()

    def but(self, **changes: Any) -> Request:
        """The same request but for some fields."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A real model with its splits, to be judged under one policy or another."""

    folder: Path
    project: str
    contract: str
    training: Training

    def request_under(self, folder: Path, policy: dict[str, Any], champion: str = "") -> Request:
        """The request to register it, with a copy of all files of its own."""
        folder.mkdir()
        shutil.copytree(self.folder / "model", folder / "model")
        evidence = Evidence(
            {name: str(folder / f"{name}.json") for name in NAMES},
            {name: str(folder / f"{name}.html") for name in NAMES},
            str(folder / "baseline"),
        )
        text, test = yaml.safe_dump(policy), str(self.folder / "test.parquet")
        model, model_hash = str(folder / "model"), folder_sha256(folder / "model")
        data = validate(
            str(self.folder / "train.parquet"),
            test,
            project_text=self.project,
            contract_text=self.contract,
            policy_text=text,
            data_hash="d" * 64,
            champion=champion,
            baseline_path=evidence.baseline,
            report_path=evidence.reports["data"],
        )
        texts = {"project_text": self.project, "policy_text": text, "model_hash": model_hash}
        model_gate = evaluate(
            model,
            test,
            unseen_path=str(self.folder / "unseen.parquet"),
            champion=champion,
            run_id=self.training.run_id,
            report_path=evidence.reports["model"],
            **texts,
        ).gate
        serving_gate = probe(model, test, report_path=evidence.reports["serving"], **texts)
        for name, gate in zip(NAMES, (data, model_gate, serving_gate), strict=True):
            gate.write(evidence.gates[name])
        context = RunContext(run="run-1", store=str(folder.parent / "store"), git_commit="commit", champion=champion)
        return Request(folder / "model", evidence, self.training, context, self.project, self.contract, text)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A registry of this module's own."""
    place = tmp_path_factory.mktemp("registry") / "mlflow.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{place}")
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        yield place


@pytest.fixture(scope="module")
def trained_model(tmp_path_factory: pytest.TempPathFactory, database: Path) -> TrainedModel:
    model = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 2}}
    trained_model = trained_in(tmp_path_factory.mktemp("trained"), model)
    assert database.exists()
    return trained_model


def trained_in(folder: Path, model: dict[str, Any]) -> TrainedModel:
    """Trains a model of the loans in a folder, by the stages of a release."""
    rng = np.random.default_rng(5)
    income, debt = rng.normal(40, 10, 400).round(3), rng.normal(20, 8, 400).round(3)
    default = (debt - income / 2 + rng.normal(0, 4, 400) > 0).astype(int)
    pl.DataFrame({"income": income, "debt": debt, "default": default}).write_parquet(folder / "loans.parquet")
    project = yaml.safe_dump(
        {
            "name": NAME,
            "task": "binary",
            "label": "default",
            "data": {"source": str(folder / "loans.parquet"), "split": {"test_fraction": 0.3}},
            "features": {"numeric": ["income", "debt"]},
            "model": model,
        }
    )
    contract = yaml.safe_dump(CONTRACT)
    paths = {
        name: str(folder / name) for name in ("train.parquet", "test.parquet", "steps", "prepared.parquet", "model")
    }
    parts = {f"{name}_path": str(folder / f"{name}.parquet") for name in ("train", "test", "unseen", "serving")}
    ingest(project, contract, **parts)
    prepare(paths["train.parquet"], project, steps_path=paths["steps"], prepared_path=paths["prepared.parquet"])
    trained_model = train(
        paths["prepared.parquet"],
        paths["train.parquet"],
        steps_path=paths["steps"],
        project_text=project,
        data_hash="d" * 64,
        model_path=paths["model"],
    )
    training = Training(
        run_id=trained_model.run_id, model_id=trained_model.model_id, source_version="sha256:data", code_version="code"
    )
    return TrainedModel(folder, project, contract, training)


@pytest.fixture
def request_(trained_model: TrainedModel, tmp_path: Path) -> Request:
    return trained_model.request_under(tmp_path / "evidence", POLICY)


@pytest.fixture
def challenger(trained_model: TrainedModel, tmp_path: Path, request_: Request) -> Request:
    """The same model judged another policy, against version 1."""
    assert request_.policy
    policy = {**POLICY, "model": {"metrics": {"accuracy": {"min": 0.55}}, "minimum_rows": 20}}
    return trained_model.request_under(tmp_path / "other", policy)


@pytest.fixture
def tracking(database: Path) -> Tracking:
    return Tracking(f"sqlite:///{database}")


@pytest.fixture(autouse=True)
def _empty_again(database: Path) -> Iterator[None]:
    yield
    if database.exists():
        client = Tracking(f"sqlite:///{database}").client
        for model in client.search_registered_models():
            client.delete_registered_model(model.name)


def _numbers(tracking: Tracking) -> list[str]:
    return [str(entry.version) for entry in tracking.versions(NAME)]


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
        assert tracking.evidence(NAME, "1", file=name) == file.read_bytes()
    assert tracking.evidence(NAME, "1", file=BASELINE_FILE) is not None


def test_the_registered_files_are_those_that_were_judged(request_: Request, tracking: Tracking, tmp_path: Path) -> None:
    request_.register()
    downloaded = tracking.download_model(NAME, "1", folder=str(tmp_path / "downloaded"))
    names = {str(file.relative_to(request_.model)) for file in request_.model.rglob("*") if file.is_file()}
    assert "MLmodel" in names
    for name in names:
        assert (downloaded / name).read_bytes() == (request_.model / name).read_bytes()


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
            assert Path(report).read_bytes() == request_.evidence.files[f"{name}.html"].read_bytes()


def test_the_blessing_is_bound_to_the_version_and_kept_beside_it(request_: Request, tracking: Tracking) -> None:
    request_.register()
    decision, content = request_.decision(), tracking.evidence(NAME, "1", file="blessing.json")
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
    content = tracking.evidence(NAME, "1", file=file)
    assert content is not None
    documents = {"policy.json": Policy, "contract.json": Contract, "project.json": Project}
    if file in documents:
        text = getattr(request_, file.removesuffix(".json"))
        assert documents[file].parse(content.decode()) == documents[file].load(text)
    else:
        assert b"Model card: loans" in content
    assert tracking.evidence(NAME, "1", file=f"no-{file}") is None


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
    card = tracking.evidence(NAME, "1", file="card.md")
    assert card is not None
    assert "waived by ada until 2999-01-01: known" in card.decode()


@pytest.mark.parametrize(("until", "in_policy"), [("2001-01-01", True), ("2999-01-01", False)])
def test_a_waiver_that_ended_or_is_not_in_the_policy_is_refused(
    until: str, in_policy: bool, request_: Request, tracking: Tracking
) -> None:
    with pytest.raises(ModelwayError, match="by a waiver that is not valid") as error:
        _waived(request_, until, in_policy=in_policy).register()
    assert error.value.value == "made[up]"
    assert _numbers(tracking) == []


def test_again_is_the_same_version_under_another_run(request_: Request, tracking: Tracking) -> None:
    again = request_.but(context=dataclasses.replace(request_.context, run="run-2", git_commit="later"))
    assert [request_.register(), again.register(), request_.register()] == ["1", "1", "1"]
    assert _numbers(tracking) == ["1"]
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
    assert _numbers(tracking) == ["2", "1"]


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
    assert _numbers(tracking) == ["1"]


def test_the_aliases_move_and_the_log_says_when(request_: Request, challenger: Request, tracking: Tracking) -> None:
    assert [request_.register(), challenger.register()] == ["1", "2"]
    assert _holders(tracking) == {"champion": "2", "development": "2"}
    first, second = request_.log()
    assert (first.event, first.environment, first.version, second.version) == ("registered", "development", "1", "2")
    for entry in (first, second):
        content = tracking.evidence(NAME, entry.version, file=BLESSING_FILE)
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
    assert _numbers(tracking) == []
    assert tracking.versions("stolen") == []
    assert change_request.decision() is None


@pytest.mark.parametrize("name", NAMES)
def test_a_gate_that_blocks_rejects_the_run_and_its_reasons_are_recorded(
    name: str, request_: Request, tracking: Tracking
) -> None:
    with pytest.raises(RejectedError) as rejection:
        _blocked(name)(request_).register()
    assert f"rejected by the {name} gate:\n  - made[up]: too bad to ship" in rejection.value.message
    assert _numbers(tracking) == []
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


def _register_as(tracking: Tracking, training: Training, alias: str) -> None:
    with tracking.new_version(NAME, training.model_id, run_id=training.run_id, tags={"blessing": "b"}) as version:
        assert _numbers(tracking) == [version]
        tracking.set_alias(NAME, version, alias=alias)


@pytest.mark.parametrize("alias", ["v1", "no spaces"])
def test_an_alias_that_mlflow_refuses_leaves_no_version(alias: str, request_: Request, tracking: Tracking) -> None:
    with pytest.raises(ModelwayError, match=r"MLflow at .* answers"):
        _register_as(tracking, request_.training, alias)
    assert _numbers(tracking) == []
    version = request_.register()
    assert _numbers(tracking) == [version]


@pytest.fixture
def frozen_aliases(database: Path, request_: Request) -> Iterator[None]:
    """From now on the database itself refuses to write aliases."""
    assert request_.policy
    with closing(sqlite3.connect(database)) as connection:
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
    assert _numbers(tracking) == []
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
    with pytest.raises(ModelwayError, match="it is a folder"):
        blocked.register()
    assert _numbers(tracking) == ["1"]
    holder = tracking.version_with_alias(NAME, "champion")
    assert holder is not None
    assert str(holder.version) == "1"
    assert [log_entry.version for log_entry in request_.log()] == ["1"]
    assert sorted(entry.name for entry in in_the_way.parent.iterdir()) == sorted(
        ["blessing.json", "card.html", "card.md", "data.html", DECISION, "model.html", "serving.html"]
    )


def test_the_evidence_in_the_registry_is_what_the_gates_wrote(request_: Request, tracking: Tracking) -> None:
    request_.register()
    content = tracking.evidence(NAME, "1", file="model.json")
    assert content is not None
    assert json.loads(content)["facts"]["model_hash"] == folder_sha256(request_.model)
    assert tracking.evidence(NAME, "1", file="data.html") is not None


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
    with pytest.raises(ModelwayError, match="No module named 'registered_own'"):
        load_model(request.model)
    assert request.register() == "1"
    assert _numbers(tracking) == ["1"]
