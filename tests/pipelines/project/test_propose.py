"""What `modelway init` proposes from data."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from modelway.components.core.config.contract import Contract, check_agreement
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project, Split
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.split import split_table
from modelway.pipelines.project.propose import Proposal, propose
from modelway.pipelines.project.workspace import Workspace

Command = Callable[..., subprocess.CompletedProcess[str]]

ROWS = 100
LABEL = pl.Series("label", [index % 2 for index in range(ROWS)])
INTEGERS = list(range(ROWS))


def _propose(folder: Path, table: pl.DataFrame, label: str = "label", **how: Any) -> tuple[Proposal, dict[str, Any]]:
    """The proposal for a table written as CSV, and its files as read by YAML."""
    text = table.write_csv(None, **{key: how[key] for key in ("separator",) if key in how})
    (folder / "data.csv").write_bytes(text.encode(how.get("encoding", "utf-8")))
    proposal = propose(folder / "made", "made", source=str(folder / "data.csv"), label=label, halves=0)
    return proposal, {name.removesuffix(".yaml"): yaml.safe_load(text) for name, text in proposal.files.items()}


def _with(name: str, values: list[Any], dtype: Any = None) -> pl.DataFrame:
    second = pl.Series("other", [index % 7 for index in INTEGERS])
    return pl.DataFrame([pl.Series(name, values, dtype=dtype), second, LABEL])


@pytest.mark.parametrize(
    ("values", "expected", "use"),
    [
        pytest.param([i % 50 for i in INTEGERS], {"type": "integer", "minimum": 0}, "numeric", id="integer"),
        pytest.param([i % 50 / 7 for i in INTEGERS], {"type": "number", "minimum": 0}, "numeric", id="number"),
        pytest.param([-(i % 50) / 7 for i in INTEGERS], {"type": "number", "maximum": 0}, "numeric", id="negative"),
        pytest.param([i % 2 == 0 for i in INTEGERS], {"type": "boolean"}, "numeric", id="boolean"),
        pytest.param(
            ["ü" if i % 3 else "a" for i in INTEGERS],
            {"type": "string", "categories": ["a", "ü"]},
            "categorical",
            id="categories",
        ),
        pytest.param(
            [dt.date(2025, 1, 1) + dt.timedelta(days=i) for i in INTEGERS], {"type": "date"}, "datetime", id="dates"
        ),
        pytest.param(
            [dt.datetime(2025, 1, 1, 8) + dt.timedelta(minutes=i) for i in INTEGERS],
            {"type": "datetime"},
            "datetime",
            id="times",
        ),
        pytest.param(
            [None if i < 10 else i % 50 for i in INTEGERS],
            {"type": "integer", "max_nulls": 0.1},
            "numeric",
            id="missing values",
        ),
        pytest.param(INTEGERS, {"type": "integer", "unique": True}, "identifies the row", id="running number"),
        pytest.param(
            [f"k{i:03}" for i in INTEGERS], {"type": "string", "unique": True}, "identifies the row", id="key"
        ),
        pytest.param([4] * ROWS, {"type": "integer"}, "is constant", id="constant"),
        pytest.param([None] * ROWS, {"type": "string", "max_nulls": 1.0}, "is all missing", id="all missing"),
        pytest.param(
            [f"text {i % 60}" for i in INTEGERS], {"type": "string"}, "is text with 60 distinct values", id="free text"
        ),
    ],
)
def test_each_column_is_described_and_put_to_use(
    values: list[Any], expected: dict[str, Any], use: str, tmp_path: Path
) -> None:
    proposal, files = _propose(tmp_path, _with("column", values))
    column = files["contract"]["columns"]["column"]
    assert {key: column.get(key) for key in expected} == expected
    assert ("unique" in column) == ("unique" in expected)
    features = files["project"]["features"]
    if use in {"numeric", "categorical", "datetime"}:
        assert "column" in features[use]
        assert proposal.unused == {}
    else:
        assert proposal.unused == {"column": use}
        assert "column" not in proposal.features
        assert f"# not used: column ({use})" in proposal.files["project.yaml"]


def test_the_contract_is_tried_on_halves_of_the_data_and_its_head_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    table = pl.DataFrame({"column": rng.normal(size=600), "label": [i % 2 for i in range(600)]})
    table.write_csv(tmp_path / "data.csv")
    proposal = propose(tmp_path / "made", "made", source=str(tmp_path / "data.csv"), label="label")
    assert proposal.trial is not None
    assert (proposal.trial.halves, proposal.trial.blocked) == (50, 0)
    text = proposal.files["contract.yaml"].replace("\n# ", " ")
    assert f"Tried on halves: {proposal.trial}." in text
    assert "blocked 0 of 50 times" in text


def test_values_that_count_as_missing_and_rows_without_a_label_are_noted(tmp_path: Path) -> None:
    values = ["?" if i == 40 else f"{i % 50}" for i in INTEGERS]
    table = _with("column", values).with_columns(label=LABEL.set(pl.Series([i == 3 for i in INTEGERS]), None))
    proposal, files = _propose(tmp_path, table)
    assert files["contract"]["columns"]["column"]["seen"]["unparsed"] == 1
    assert "max_nulls" not in files["contract"]["columns"]["column"]
    assert "1 of 100 values of 'column' are no integer, such as '?': they count as missing" in proposal.notes[0]
    assert "1 of 100 rows have no 'label'" in proposal.notes[1]
    assert "column" in files["project"]["features"]["numeric"]


def test_na_in_a_column_of_text_is_a_value_as_it_is_in_a_run(tmp_path: Path) -> None:
    _, files = _propose(tmp_path, _with("country", ["NA" if i % 9 == 0 else "DE" for i in INTEGERS]))
    assert files["contract"]["columns"]["country"]["categories"] == ["DE", "NA"]


@pytest.mark.parametrize(
    ("label", "task", "metric"),
    [
        pytest.param([i % 2 for i in INTEGERS], "binary", "roc_auc", id="two numbers"),
        pytest.param(["yes" if i % 2 else "no" for i in INTEGERS], "binary", "roc_auc", id="two words"),
        pytest.param([i % 2 == 0 for i in INTEGERS], "binary", "roc_auc", id="true and false"),
        pytest.param([i % 3 for i in INTEGERS], "multiclass", "balanced_accuracy", id="three numbers"),
        pytest.param(["abc"[i % 3] for i in INTEGERS], "multiclass", "balanced_accuracy", id="three words"),
        pytest.param([i / 7 for i in INTEGERS], "regression", "r2", id="fractions"),
        pytest.param([i * i for i in INTEGERS], "regression", "r2", id="many whole numbers"),
    ],
)
def test_the_label_tells_the_task(label: list[Any], task: str, metric: str, tmp_path: Path) -> None:
    table = pl.DataFrame({"feature": [i % 9 for i in INTEGERS], "label": label})
    proposal, files = _propose(tmp_path, table)
    assert proposal.task == files["project"]["task"] == task
    assert list(files["policy"]["model"]["metrics"]) == [metric]
    assert files["policy"]["model"]["no_regression"]["metric"] == metric
    assert ("Regressor" in files["project"]["model"]["estimator"]) == (task == "regression")
    assert proposal.features == ("feature",)


@pytest.mark.parametrize(
    ("table", "label", "says", "remedy"),
    [
        pytest.param(
            pl.DataFrame({"feature": INTEGERS, "churned": LABEL}),
            "churn",
            "has no column 'churn' to predict",
            "did you mean churned?",
            id="typo",
        ),
        pytest.param(
            pl.DataFrame({"feature": INTEGERS, "churned": LABEL}),
            "zzz",
            "has no column 'zzz' to predict",
            "choose among feature, churned",
            id="unknown",
        ),
        pytest.param(_with("x", INTEGERS).with_columns(label=1), "label", "1 distinct value;", "every class", id="one"),
        pytest.param(
            pl.DataFrame({"feature": INTEGERS, "label": [f"note {i}" for i in INTEGERS]}),
            "label",
            "is text with 100 distinct values",
            "choose a number",
            id="free text",
        ),
        pytest.param(
            pl.DataFrame({"constant": [1] * ROWS, "label": LABEL}),
            "label",
            "has no column to predict 'label' from",
            "neither constant nor identifiers",
            id="no feature",
        ),
    ],
)
def test_a_label_that_cannot_be_predicted_is_refused(
    table: pl.DataFrame, label: str, says: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelwayError) as error:
        _propose(tmp_path, table, label)
    assert says in error.value.message
    assert remedy in error.value.remedy
    assert error.value.column == label


@pytest.mark.parametrize(
    ("how", "key", "value"),
    [
        ({"separator": ";"}, "delimiter", ";"),
        ({"separator": "\t"}, "delimiter", "\t"),
        ({"separator": "|"}, "delimiter", "|"),
        ({"encoding": "cp1252"}, "encoding", "cp1252"),
        ({"encoding": "utf-16"}, "encoding", "utf-16"),
    ],
    ids=["semicolon", "tab", "bar", "cp1252", "utf-16"],
)
def test_a_csv_is_read_as_it_was_written(how: dict[str, str], key: str, value: str, tmp_path: Path) -> None:
    table = _with("stadt", [["Köln", "Gießen", "Ulm"][i % 3] for i in INTEGERS])
    _, files = _propose(tmp_path, table, **how)
    assert files["project"]["data"][key] == value
    assert files["contract"]["columns"]["stadt"]["categories"] == ["Gießen", "Köln", "Ulm"]


def test_plain_csv_and_parquet_need_no_reading_options(tmp_path: Path) -> None:
    table = _with("column", [i % 50 for i in INTEGERS])
    _, files = _propose(tmp_path, table)
    assert set(files["project"]["data"]) == {"source", "split"}
    table.write_parquet(tmp_path / "data.parquet")
    from_parquet = propose(tmp_path / "made", "made", source=str(tmp_path / "data.parquet"), label="label")
    assert yaml.safe_load(from_parquet.files["contract.yaml"]) == files["contract"]


def test_the_proposal_loads_agrees_and_points_to_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    _with("column", [i % 50 for i in INTEGERS]).write_csv("data/table.csv")
    proposal = propose(Path("projects/made"), "made", source="data/table.csv", label="label")
    for name, text in proposal.files.items():
        target = tmp_path / "projects" / "made" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path / "elsewhere")
    workspace = Workspace.load(tmp_path / "projects" / "made")
    assert Path(workspace.project.data.source).resolve() == tmp_path / "data" / "table.csv"
    assert "../../data/table.csv" in proposal.files["project.yaml"]
    check_agreement(workspace.project, workspace.contract, project_name="project.yaml", contract_name="contract.yaml")
    for kind, model in {"project": Project, "contract": Contract, "policy": Policy}.items():
        text = proposal.files[f"{kind}.yaml"]
        assert text.startswith(f"# yaml-language-server: $schema=.schemas/{kind}.schema.json\n")
        assert model.parse(text) == getattr(workspace, kind) or kind == "project"


def test_a_folder_of_files_is_one_table(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    table = _with("column", [i % 50 for i in INTEGERS])
    table[:40].write_csv(tmp_path / "parts" / "a.csv", separator=";")
    table[40:].write_csv(tmp_path / "parts" / "b.csv", separator=";")
    proposal = propose(tmp_path / "made", "made", source=str(tmp_path / "parts"), label="label")
    project = yaml.safe_load(proposal.files["project.yaml"])
    assert project["data"] | {"split": {}} == {"source": "../parts", "delimiter": ";", "split": {}}


@pytest.mark.parametrize(
    ("distinct", "proposed", "figure"),
    [
        (100, "together", "all 100 rows are distinct without the label"),
        (99, "together", "99 of 100 rows (99.00%) are distinct without the label: equal ones are taken for copies"),
        (98, "apart", "98 of 100 rows (98.00%) are distinct without the label: equal ones are taken for coincidences"),
        (8, "apart", "8 of 100 rows (8.00%) are distinct without the label"),
    ],
)
def test_what_equal_rows_are_is_proposed_by_how_many_there_are(
    tmp_path: Path, distinct: int, proposed: str, figure: str
) -> None:
    values = pl.Series("value", [i % distinct / 7 for i in INTEGERS])
    proposal, files = _propose(tmp_path, pl.DataFrame([values, LABEL]))
    expected = {"by": "row", "test_fraction": 0.2, "rule": 2, "equal_rows": proposed}
    assert files["project"]["data"]["split"] == expected
    lines = proposal.files["project.yaml"].splitlines()
    assert lines[next(number for number, line in enumerate(lines) if "split:" in line) - 1].startswith(f"  # {figure}")
    assert Project.parse(proposal.files["project.yaml"]).data.split.rule_in_force == 2


def test_two_rows_have_rows_on_both_sides_and_init_says_that_they_do_not_suffice(tmp_path: Path) -> None:
    table = pl.DataFrame({"age": [1, 2], "late": [0, 1]})
    proposal, files = _propose(tmp_path, table, label="late")
    parts = split_table(table, Split(**files["project"]["data"]["split"]), label="late")
    assert (len(parts.train), len(parts.test)) == (1, 1)
    assert any("the data has 2 rows, too few to train on each class" in note for note in proposal.notes)


@pytest.mark.parametrize("rows", [3, 4, 6, 10, 20])
def test_a_few_rows_are_split_so_that_each_class_is_trained_on(tmp_path: Path, rows: int) -> None:
    table = pl.DataFrame({"age": [number % 7 for number in range(rows)], "late": [1, *[0] * (rows - 1)]})
    _, files = _propose(tmp_path, table, label="late")
    parts = split_table(table, Split(**files["project"]["data"]["split"]), label="late")
    assert parts.train["late"].n_unique() == 2
    assert len(parts.test)


def test_many_rows_get_the_default_seed_and_no_notes(tmp_path: Path) -> None:
    proposal, files = _propose(tmp_path, _with("age", [number / 7 for number in INTEGERS]))
    assert "seed" not in files["project"]["data"]["split"]
    assert proposal.notes == ()
