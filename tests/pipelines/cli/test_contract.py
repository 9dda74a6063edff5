"""`modelway contract`."""

from __future__ import annotations

import difflib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from small_projects import visits, write_small_project

from modelway.components.core.config.contract import Contract
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.contract import shown_source, write_accepted
from modelway.pipelines.project.contract_difference import contract_difference
from modelway.pipelines.project.workspace import Workspace

Command = Callable[..., subprocess.CompletedProcess[str]]
WHO = ("--author", "Ada <ada@example.org>", "--reason", "Bonn opened\nin May")
CONTRACT = """\
# What the data must look like.
columns:
  visit: {type: integer, unique: true}
  age: {type: number, minimum: 18, maximum: 90, seen: {rows: 600, minimum: 18, maximum: 90}}  # years
  paid: {type: number, minimum: 0, maximum: 900, seen: {rows: 600, minimum: 0, maximum: 800}}
  city:
    type: string
    categories: [Jena, Köln, Ulm]  # we are there
    seen: {rows: 600, categories: {Jena: 219, Köln: 190, Ulm: 191}}
  since: {type: date, seen: {rows: 600}}
  ill: {type: integer, categories: [0, 1]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = write_small_project(tmp_path)
    (folder / "contract.yaml").write_text(CONTRACT, encoding="utf-8")
    return folder


def write_batch(file: Path, **columns: pl.Expr) -> Path:
    """The small project's rows with some columns otherwise."""
    visits().with_columns(**columns).write_csv(file)
    return file


def first(rows: int, value: object, name: str) -> pl.Expr:
    """A column whose first rows have another value."""
    return pl.when(pl.int_range(pl.len()) < rows).then(pl.lit(value)).otherwise(name)


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    return write_batch(tmp_path / "next.csv", age=first(3, 95.3, "age"), city=first(2, "Bonn", "city"))


def test_what_a_batch_would_widen_is_shown_accepted_and_then_held(folder: Path, batch: Path, modelway: Command) -> None:
    arguments = ("contract", "diff", folder, "--data", batch)
    shown = modelway(*arguments, cwd=folder)
    assert shown.returncode == 1, shown.stderr
    assert "maximum[age] 90 → 96: 3 of 600 above, 95.3; inconclusive" in shown.stdout
    assert "categories[city] 3 categories → 4 categories: 2 of 600 in other categories, Bonn (2)" in shown.stdout
    assert "--accept" in shown.stdout
    assert (folder / "contract.yaml").read_text(encoding="utf-8") == CONTRACT

    accepted = modelway(*arguments, "--accept", *WHO, cwd=folder)
    assert accepted.returncode == 0, accepted.stderr
    assert "commit it" in accepted.stdout
    text = (folder / "contract.yaml").read_text(encoding="utf-8")
    lines = list(difflib.ndiff(CONTRACT.splitlines(), text.splitlines()))
    assert [line for line in lines if line[0] == "-"] == [f"- {CONTRACT.splitlines()[number]}" for number in (3, 7, 8)]
    (change,) = Contract.parse(text).changes
    assert (change.author, change.reason) == ("Ada <ada@example.org>", "Bonn opened in May")
    assert (change.data, change.rows, change.lines) == ("../next.csv", 600, ("maximum[age]", "categories[city]"))

    for more in ((), ("--accept", *WHO)):
        again = modelway(*arguments, *more, cwd=folder)
        assert again.returncode == 0, again.stderr
        assert "nothing to widen" in again.stdout
    assert (folder / "contract.yaml").read_text(encoding="utf-8") == text


def test_what_only_a_person_may_edit_stays(folder: Path, tmp_path: Path, modelway: Command) -> None:
    batch = write_batch(
        tmp_path / "next.csv", age=first(1, 95.3, "age"), paid=first(1, 999.0, "paid"), ill=first(1, 2, "ill")
    )
    result = modelway("contract", "diff", folder, "--data", batch, "--accept", *WHO, "--json", cwd=folder)
    assert result.returncode == 1, result.stderr
    answer = json.loads(result.stdout)
    assert (answer["accepted"], answer["rows"], answer["unit"]) == (True, 600, "rows")
    assert answer["remaining"] == ["maximum[paid]", "categories[ill]"]
    lines = {line["name"]: line for line in answer["lines"]}
    assert (lines["maximum[age]"]["now"], lines["maximum[age]"]["widened"]) == (90, 96)
    assert lines["maximum[paid]"]["by_hand"] == "a person's word, edited since it was seen"
    assert lines["categories[ill]"] == lines["categories[ill]"] | {"verdict": "failed", "bad": 1, "values": {"2": 1}}
    contract = Contract.load(folder / "contract.yaml")
    assert contract.changes[0].lines == ("maximum[age]",)
    assert (contract.columns["paid"].maximum, contract.columns["ill"].categories) == (900, (0, 1))


@pytest.mark.parametrize(
    ("arguments", "key"),
    [(("--author", "ada"), "reason"), (("--reason", "it grew"), "author"), (("--author", " ", "-m", "x"), "author")],
)
def test_accepting_needs_an_author_and_a_reason(
    arguments: tuple[str, ...], key: str, folder: Path, batch: Path, modelway: Command
) -> None:
    result = modelway("contract", "diff", folder, "--data", batch, "--accept", *arguments, "--json", cwd=folder)
    assert result.returncode == 2
    error = json.loads(result.stdout)["error"]
    assert (error["key"], f"--{key}" in error["remedy"]) == (key, True)
    assert (folder / "contract.yaml").read_text(encoding="utf-8") == CONTRACT


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "next.csv"), (b"", "is empty"), (b"visit,age\n", "holds no rows"), (b"\xff\xfe\x00", "not utf-8 text")],
)
def test_data_that_cannot_be_read_is_a_mistake(
    content: bytes | None, message: str, folder: Path, tmp_path: Path, modelway: Command
) -> None:
    if content is not None:
        (tmp_path / "next.csv").write_bytes(content)
    result = modelway("contract", "diff", folder, "--data", tmp_path / "next.csv", cwd=folder)
    assert result.returncode == 2
    assert message in result.stderr
    assert "remedy" in result.stderr
    assert "data.source" not in result.stderr


def test_a_project_without_a_contract_is_a_mistake(folder: Path, batch: Path, modelway: Command) -> None:
    (folder / "contract.yaml").unlink()
    result = modelway("contract", "diff", folder, "--data", batch, cwd=folder)
    assert result.returncode == 2
    assert "has no contract.yaml" in result.stderr


def test_a_contract_that_changed_meanwhile_is_not_written(folder: Path, batch: Path) -> None:
    file, workspace = folder / "contract.yaml", Workspace.load(folder)
    difference = contract_difference(pl.read_csv(batch), workspace.contract, project=workspace.project)
    file.write_text(f"{CONTRACT}# edited\n", encoding="utf-8")
    with pytest.raises(ModelwayError, match="changed while") as error:
        write_accepted(file, CONTRACT.encode(), difference=difference, data="next.csv", author="ada", reason="it grew")
    assert error.value.file == str(file)
    assert file.read_text(encoding="utf-8") == f"{CONTRACT}# edited\n"


@pytest.mark.parametrize(
    ("source", "shown"), [("s3://user:secret@bucket/next.csv", "s3://***@bucket/next.csv"), ("next.csv", "../next.csv")]
)
def test_data_is_named_from_the_project_and_without_secrets(
    source: str, shown: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    assert shown_source(source, folder) == shown
