"""Whatever is wrong ends in one readable error that says where and what to do, and registers nothing."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from disks import fill

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]
Edit = Callable[..., None]
Versions = Callable[[Path, str], list[str]]
Wrong = Callable[[Path, Edit], None]


@dataclass(frozen=True)
class Case:
    """A mistake in a project, and what the error must say.

    Attributes:
        wrong: Makes the mistake.
        says: Texts that the error or the reasons must hold.
        location: The field of the error that says where, and what it must hold; None where a gate gives reasons.
    """

    wrong: Wrong
    says: tuple[str, ...]
    location: tuple[str, str] | None = None


def table_is(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Wrong:
    def wrong(folder: Path, _: Edit) -> None:
        change(pl.read_csv(folder / "visits.csv")).write_csv(folder / "visits.csv")

    return wrong


def text_is(change: Callable[[str], str], encoding: str = "utf-8") -> Wrong:
    def wrong(folder: Path, _: Edit) -> None:
        file = folder / "visits.csv"
        file.write_bytes(change(file.read_text(encoding="utf-8")).encode(encoding))

    return wrong


def keys_are(file: str, keys: dict[str, Any]) -> Wrong:
    return lambda folder, edit: edit(folder / file, keys)


def file_is(file: str, change: Callable[[str], str]) -> Wrong:
    def wrong(folder: Path, _: Edit) -> None:
        (folder / file).write_text(change((folder / file).read_text(encoding="utf-8")), encoding="utf-8")

    return wrong


def file_is_missing(file: str) -> Wrong:
    return lambda folder, _: (folder / file).unlink()


FILES = {
    "the project file is missing": Case(
        file_is_missing("project.yaml"), ("has no project.yaml", "modelway init"), ("file", "project.yaml")
    ),
    "the policy file is missing": Case(
        file_is_missing("policy.yaml"), ("has no policy.yaml",), ("file", "policy.yaml")
    ),
    "the project file is not YAML": Case(
        file_is("project.yaml", lambda text: text.replace("label: ill", "label: [ill")),
        ("cannot be read at line",),
        ("file", "project.yaml"),
    ),
    "the project file is a list": Case(
        file_is("project.yaml", lambda _: "- a\n- b\n"), ("is not a mapping of keys",), ("file", "project.yaml")
    ),
    "the project file has an unknown key": Case(
        keys_are("project.yaml", {"model.estimater": "x.y"}),
        ("model.estimater: no such key", "modelway schema project"),
        ("key", "model.estimater"),
    ),
    "the same key stands twice": Case(
        file_is("project.yaml", lambda text: text + "label: ill\n"),
        ("the key 'label' is given twice",),
        ("file", "project.yaml"),
    ),
    "the task is unknown": Case(keys_are("project.yaml", {"task": "ranking"}), ("'binary'",), ("key", "task")),
    "the threshold is impossible": Case(
        keys_are("policy.yaml", {"model.metrics.roc_auc.min": 1.5}),
        ("model.metrics.roc_auc.min: it is 1.5, but roc_auc is at most 1",),
        ("file", "policy.yaml"),
    ),
    "the threshold's min is above its max": Case(
        keys_are("policy.yaml", {"model.metrics.roc_auc": {"min": 0.9, "max": 0.8}}),
        ("min 0.9 is greater than max 0.8: no model can pass",),
        ("key", "model.metrics.roc_auc"),
    ),
    "the contract's minimum is above its maximum": Case(
        keys_are("contract.yaml", {"columns.age.minimum": 130}),
        ("minimum 130 is greater than maximum 120: no value can pass",),
        ("key", "columns.age"),
    ),
}

BEFORE_THE_FIRST_STAGE = {
    "the estimator is unknown": Case(
        keys_are("project.yaml", {"model.estimator": "sklearn.tree.DecisionTreClassifier"}),
        ("sklearn.tree has no 'DecisionTreClassifier'", "did you mean DecisionTreeClassifier"),
        ("key", "model.estimator"),
    ),
    "the parameter is unknown": Case(
        keys_are("project.yaml", {"model.parameters.max_dept": 3}),
        ("has no parameter 'max_dept'", "did you mean max_depth"),
        ("key", "model.parameters.max_dept"),
    ),
    "the metric is unknown": Case(
        keys_are("policy.yaml", {"model.metrics": {"rocauc": {"min": 0.7}}}),
        ("no metric 'rocauc'", "did you mean"),
        ("file", "policy.yaml"),
    ),
    "the label is not in the contract": Case(
        keys_are("project.yaml", {"label": "sick"}),
        ("uses the column 'sick'", "contract.yaml does not describe"),
        ("column", "sick"),
    ),
    "a rule is over an unknown column": Case(
        keys_are("contract.yaml", {"rules": [{"name": "cheap", "rule": "prize < 100"}]}),
        ("the rule 'cheap' uses the column 'prize'",),
        ("key", "rules.cheap"),
    ),
}

IN_A_STAGE = {
    "the file is empty": Case(text_is(lambda _: ""), ("visits.csv is empty",), ("file", "visits.csv")),
    "the file has a header only": Case(
        text_is(lambda text: text.splitlines()[0] + "\n"), ("holds no rows",), ("file", "visits.csv")
    ),
    "two columns have one name": Case(
        text_is(lambda text: text.replace("paid", "age", 1)), ("has more than one column 'age'",), ("column", "age")
    ),
    "the delimiter is wrong": Case(
        text_is(lambda text: text.replace(",", ";")),
        ("its header contains ';'", 'data.delimiter: ";"'),
        ("key", "data.delimiter"),
    ),
    "the encoding is wrong": Case(
        text_is(lambda text: text, "cp1252"), ("is not utf-8 text: line", "cp1252"), ("key", "data.encoding")
    ),
    "the file is no Parquet": Case(
        lambda folder, edit: edit(folder / "project.yaml", {"data.format": "parquet"}),
        ("visits.csv cannot be read as Parquet",),
        ("file", "visits.csv"),
    ),
    "the training function fails": Case(
        lambda folder, edit: (
            (folder / "own.py").write_text("def fit(features, label):\n    raise ValueError('no luck today')\n"),
            edit(folder / "project.yaml", {"model": {"entrypoint": "own:fit"}}),
        )[1],
        ("own:fit failed to fit: no luck today",),
        ("key", "model.entrypoint"),
    ),
    "the training function ends the process": Case(
        lambda folder, edit: (
            (folder / "own.py").write_text("def fit(features, label):\n    import ctypes\n    ctypes.string_at(0)\n"),
            edit(folder / "project.yaml", {"model": {"entrypoint": "own:fit"}}),
        )[1],
        ("a stage's process ended without an error message", "see this log"),
        ("stage", "train_model"),
    ),
}

BY_A_GATE = {
    "the label column is missing": Case(
        table_is(lambda table: table.drop("ill")), ("column[ill]: the column 'ill' is missing; restore it",)
    ),
    "a feature is all null": Case(
        table_is(lambda table: table.with_columns(paid=pl.lit(None, pl.Float64))),
        ("nulls[paid]: 600 of 600 missing values; fill them in at their source",),
    ),
    "the label has one class": Case(
        table_is(lambda table: table.with_columns(ill=pl.lit(1))),
        ("classes: the label 'ill' has 1 classes (1); binary needs exactly 2", "bring rows of every class"),
    ),
    "dates do not parse": Case(
        table_is(lambda table: table.with_columns(since=pl.lit("the 5th of May"))),
        ("type[since]: 'since' is stored as String, not as date", "correct the values at their source"),
    ),
    "the label has missing values": Case(
        table_is(lambda table: table.with_columns(ill=pl.when(pl.col("visit") > 5).then("ill"))),
        ("label: 5 of 600 rows without a label",),
    ),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for all: none of them may register anything in it."""
    return tmp_path_factory.mktemp("home")


def _ran(modelway: Command, folder: Path, home: Path, env: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    ran = modelway("run", folder, "--home", home, "--json", cwd=folder, env=env)
    assert "Traceback" not in ran.stdout + ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def _check_error(code: int, summary: dict[str, Any], case: Case) -> None:
    assert code == 2, summary
    error = summary["error"]
    assert case.location is not None
    field, content = case.location
    assert content in error[field], error
    assert len(error["remedy"]) > 10
    message = f"{error['message']}\n{error['remedy']}"
    assert [text for text in case.says if text not in message] == [], error
    assert summary.get("model") is None


def _params(cases: dict[str, Case]) -> list[Any]:
    return [pytest.param(case, id=name.replace(" ", "_")) for name, case in cases.items()]


@pytest.mark.parametrize("case", _params(FILES))
def test_a_wrong_file_is_an_error_at_once(case: Case, small: Path, modelway: Command, edit: Edit) -> None:
    case.wrong(small, edit)
    start = time.perf_counter()
    code, summary = _ran(modelway, small, small / "home")
    _check_error(code, summary, case)
    assert time.perf_counter() - start < 5
    assert not (small / "home").exists()


@pytest.mark.parametrize("case", _params(BEFORE_THE_FIRST_STAGE))
def test_what_can_be_told_before_is_told_before_the_first_stage(
    case: Case, small: Path, home: Path, modelway: Command, edit: Edit, registered_versions: Versions
) -> None:
    case.wrong(small, edit)
    code, summary = _ran(modelway, small, home)
    _check_error(code, summary, case)
    assert "seconds" not in summary
    assert registered_versions(home, "visits") == []


@pytest.mark.parametrize("case", _params(IN_A_STAGE))
def test_what_a_stage_finds_is_an_error(
    case: Case, small: Path, home: Path, modelway: Command, edit: Edit, registered_versions: Versions
) -> None:
    case.wrong(small, edit)
    code, summary = _ran(modelway, small, home)
    _check_error(code, summary, case)
    assert summary["state"] == "failed"
    assert registered_versions(home, "visits") == []


@pytest.mark.parametrize("case", _params(BY_A_GATE))
def test_what_a_gate_finds_is_a_rejection(
    case: Case, small: Path, home: Path, modelway: Command, edit: Edit, registered_versions: Versions
) -> None:
    case.wrong(small, edit)
    code, summary = _ran(modelway, small, home)
    assert code == 1, summary
    assert summary["state"] == "rejected"
    assert "error" not in summary
    reasons = "\n".join(summary["reasons"])
    assert [text for text in case.says if text not in reasons] == [], reasons
    assert "train_model" not in summary["seconds"]
    assert registered_versions(home, "visits") == []


def test_the_project_as_it_is_registers(
    small: Path, home: Path, modelway: Command, registered_versions: Versions
) -> None:
    code, summary = _ran(modelway, small, home)
    assert (code, summary["state"]) == (0, "registered"), summary
    assert registered_versions(home, "visits") == ["1"]


@pytest.mark.parametrize(
    ("case", "code", "says"),
    [
        (
            FILES["the project file has an unknown key"],
            2,
            ("error", "model.estimater: no such key", "project.yaml:", "remedy"),
        ),
        (BY_A_GATE["the label column is missing"], 1, ("rejected", "the column 'ill' is missing", "nothing was")),
        (IN_A_STAGE["the file is empty"], 2, ("error", "is empty", "remedy")),
    ],
    ids=["a file", "a gate", "a stage"],
)
def test_people_read_the_same_without_json(
    case: Case, code: int, says: tuple[str, ...], small: Path, home: Path, modelway: Command, edit: Edit
) -> None:
    case.wrong(small, edit)
    ran = modelway("run", small, "--home", home, cwd=small)
    output = ran.stdout + ran.stderr
    assert ran.returncode == code
    assert "Traceback" not in output
    flowing = " ".join(output.split())
    assert [text for text in says if text not in flowing] == [], output


def test_debug_shows_the_traceback(small: Path, home: Path, modelway: Command, edit: Edit) -> None:
    IN_A_STAGE["the training function fails"].wrong(small, edit)
    ran = modelway("run", small, "--home", home, "--debug", cwd=small)
    assert ran.returncode == 2
    assert "Traceback" in ran.stderr
    assert "ValueError: no luck today" in ran.stderr


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nothing listens on, for as long as the test lasts: it is bound and refuses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener.getsockname()[1]


def test_an_unreachable_s3_is_named(small: Path, home: Path, modelway: Command, edit: Edit, closed_port: int) -> None:
    edit(small / "project.yaml", {"data.source": "s3://visits/visits.csv"})
    env = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "something",
    }
    start = time.perf_counter()
    code, summary = _ran(modelway, small, home, env)
    case = Case(
        lambda *_: None,
        (f"S3 at 127.0.0.1:{closed_port} cannot be reached", "AWS_ENDPOINT_URL"),
        ("file", "s3://visits"),
    )
    _check_error(code, summary, case)
    assert time.perf_counter() - start < 30


def test_missing_s3_credentials_are_named(small: Path, home: Path, modelway: Command, edit: Edit) -> None:
    edit(small / "project.yaml", {"data.source": "s3://visits/visits.csv"})
    code, summary = _ran(modelway, small, home)
    assert code == 2
    assert "no S3 credentials are set" in summary["error"]["message"]
    assert "AWS_ACCESS_KEY_ID" in summary["error"]["remedy"]


def test_an_unreachable_mlflow_is_named_before_the_first_stage(
    small: Path, home: Path, modelway: Command, closed_port: int
) -> None:
    uri = f"http://127.0.0.1:{closed_port}"
    start = time.perf_counter()
    code, summary = _ran(modelway, small, home, {"MLFLOW_TRACKING_URI": uri})
    case = Case(lambda *_: None, (f"MLflow at {uri} cannot be reached",), ("key", "MLFLOW_TRACKING_URI"))
    _check_error(code, summary, case)
    assert "seconds" not in summary
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("room", [0, 90, 1100], ids=["no_room", "room_for_some_logs", "room_for_the_data"])
def test_a_full_disk_is_said_to_be_full(
    room: int, small: Path, disk: Callable[[str], Path], modelway: Command, registered_versions: Versions
) -> None:
    place = disk(f"{room or 64}k")
    if not room:
        fill(place)
    code, summary = _ran(modelway, small, place / "home")
    case = Case(lambda *_: None, ("the disk is full", "free some space"), ("message", "the disk is full"))
    _check_error(code, summary, case)
    shutil.copytree(place / "home", small / "copy", dirs_exist_ok=True)  # SQLite needs room even to read
    assert not (small / "copy" / "mlflow.db").exists() or registered_versions(small / "copy", "visits") == []


@pytest.mark.parametrize("size", ["24k", "44k"], ids=["no_room_for_the_reports", "no_room_for_the_decision"])
def test_a_store_without_room_leaves_nothing_half_registered(
    size: str,
    small: Path,
    home: Path,
    disk: Callable[[str], Path],
    modelway: Command,
    edit: Edit,
    registered_versions: Versions,
) -> None:
    place = disk(size)
    name = f"no-room-{size}"
    edit(small / "project.yaml", {"name": name})
    ran = modelway("run", small, "--home", home, "--store", place, "--json", cwd=small)
    summary = json.loads(ran.stdout)
    assert (ran.returncode, summary["state"]) == (2, "failed"), summary
    assert summary["error"]["stage"] == "register_model"
    assert "the disk is full" in summary["error"]["message"]
    assert registered_versions(home, name) == []
    ran = modelway("run", small, "--home", home, "--json", cwd=small)
    summary = json.loads(ran.stdout)
    assert (ran.returncode, summary["state"]) == (0, "registered"), summary
    assert registered_versions(home, name) == [summary["model"]["version"]]


def test_thousands_of_columns_can_be_released(tmp_path: Path, modelway: Command, edit: Edit) -> None:
    columns, rows = 3_000, 300  # more than the contract is tried on halves for; 10,000 take minutes
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(3)
    table = pl.DataFrame({f"f{number}": values[:, number] for number in range(columns)})
    table = table.with_columns(label=(pl.col("f0") + pl.col("f1") > 0).cast(pl.Int64))
    table.write_csv(tmp_path / "wide.csv")
    init = modelway("init", "wide", "--data", "wide.csv", "--label", "label", "--json", cwd=tmp_path)
    assert init.returncode == 0, init.stderr
    assert len(json.loads(init.stdout)["features"]) == columns
    edit(tmp_path / "wide" / "policy.yaml", {"model.minimum_rows": 30})
    edit(tmp_path / "wide" / "project.yaml", {"model.parameters": {"max_iter": 5}})
    ran = modelway("run", "wide", "--json", cwd=tmp_path, limit=500)
    summary = json.loads(ran.stdout)
    assert (ran.returncode, summary["state"]) == (0, "registered"), summary
