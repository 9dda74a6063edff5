"""Attacks by who may change the three files in a pull request, or write the store, MLflow's artifacts or a registry.

What they write must end no process, fill no memory and be taken for nothing else than it says: each ends in an error of
ours that names the file, and where it is known the key and the line, with the exit code of a mistake.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from small_projects import write_small_project
from user_files import minimal_project

from modelway.components.core.code.version import ProjectCode
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.document import Document
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import DamagedError, ModelwayError

MANY = 100_000
DOCUMENTS: dict[str, type[Document]] = {"project": Project, "contract": Contract, "policy": Policy}
# The most that an attack may take; each takes a hundredth of it on a quiet machine.
SECONDS = 20


def text_of(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False)


def laughs(levels: int = 9, width: int = 9) -> str:
    """Lists of aliases of lists of aliases: nine lines, and 9⁹ values."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]" for level in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int = 40) -> str:
    """Mappings that are each merged from the one before, twice: PyYAML's own loader doubles them each time."""
    lines = ["m0: &m0 {a: 1, b: 2}"]
    lines += [f"m{level}: &m{level} {{<<: [*m{level - 1}, *m{level - 1}], k{level}: 1}}" for level in range(1, levels)]
    return "\n".join(lines)


TOO_DEEP = {
    "lists": "model: " + "[" * MANY,
    "closed lists": "model: " + "[" * MANY + "]" * MANY,
    "mappings": "model: " + "{a: " * MANY,
    "dashes": "- " * MANY,
    "indented": "\n".join(" " * depth + "a:" for depth in range(3_000)),
    "question marks": "? " * MANY,
    "json": '{"model": ' + "[" * MANY + "]" * MANY + "}",
    "json objects": '{"model": ' * MANY + "1" + "}" * MANY,
}
TOO_MUCH = {"aliases": laughs(), "merges": merges()}
UNREADABLE: dict[str, tuple[str, str]] = {
    "a whole number of 5,000 digits": ("model: " + "1" * 5_000, "has 5000 digits"),
    "the same in JSON": ('{"model": ' + "1" * 5_000 + "}", "has 5000 digits"),
    "NUL": ("model: a\x00b", "cannot be parsed"),
    "half a surrogate pair, escaped": ('{"model": "\\ud800"}', "Unicode"),
    "half a surrogate pair, in the text": ("model: \ud800", "half of a surrogate pair"),
    "an alias of itself": ("model: &model [*model]", "stands inside of what it stands for"),
    "a merge of itself": ("model: &model {<<: *model}", "stands inside of what it stands for"),
    "a merge of a text": ("model: {<<: text}", "takes a mapping"),
    "two merges": ("a: &a {b: 1}\nmodel: {<<: *a, <<: *a}", "the key '<<' is given twice"),
    "a key twice": ("model: {}\nlabel: a\nmodel: {}", "the key 'model' is given twice, first at line 1"),
    "a key twice in JSON": ('{"model": {},\n "model": {}}', "the key 'model' is given twice, first at line 1"),
    "a key of a tag that runs code": ("model: !!python/object/apply:os.abort []", "is none that is read here"),
    "binary": ("model: !!binary aGVsbG8=", "is none that is read here"),
}


@pytest.mark.parametrize("kind", DOCUMENTS)
@pytest.mark.parametrize("shape", TOO_DEEP)
def test_a_document_that_is_nested_deep_is_refused(kind: str, shape: str) -> None:
    begun = time.monotonic()
    with pytest.raises(DamagedError, match="it is nested too deep") as error:
        DOCUMENTS[kind].parse(TOO_DEEP[shape], f"{kind}.yaml")
    assert (error.value.file, error.value.line is None) == (f"{kind}.yaml", False)
    assert time.monotonic() - begun < SECONDS


@pytest.mark.parametrize("shape", TOO_MUCH)
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document_whose_aliases_multiply_is_refused(kind: str, shape: str) -> None:
    begun = time.monotonic()
    with pytest.raises(DamagedError, match="more than 1,000,000 values, with what its aliases stand for") as error:
        DOCUMENTS[kind].parse(TOO_MUCH[shape], f"{kind}.yaml")
    assert error.value.line is not None
    assert time.monotonic() - begun < SECONDS


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_no_reader_agrees_on_is_refused(name: str) -> None:
    text, says = UNREADABLE[name]
    with pytest.raises(DamagedError) as error:
        Policy.parse(text, "policy.yaml")
    assert says in error.value.message
    assert (error.value.file, bool(error.value.remedy)) == ("policy.yaml", True)


@pytest.mark.parametrize(
    "content", ["model: ä".encode("utf-16"), "model: ä".encode("latin-1"), b"\xed\xa0\x80", b"\xff"]
)
def test_bytes_that_are_no_utf_8_are_refused(content: bytes) -> None:
    with pytest.raises(DamagedError, match="is not UTF-8 text") as error:
        Policy.parse(content, "policy.yaml")
    assert "UTF-8" in error.value.remedy


@pytest.mark.parametrize(
    ("written", "remedy"),
    [
        ("yes", 'write true or false, or "yes" in quotes'),
        ("No", 'write true or false, or "No" in quotes'),
        ("ON", 'write true or false, or "ON" in quotes'),
        ("off", 'write true or false, or "off" in quotes'),
        ("12:30:45", 'write "12:30:45" in quotes'),
        ("1:30", 'write "1:30" in quotes'),
        ("1:30.5", 'write "1:30.5" in quotes'),
        ("010", 'write "010" in quotes'),
        ("1_000", "in plain decimal digits"),
        ("1_000.5", "in plain decimal digits"),
        ("0x10", "in plain decimal digits"),
        ("-0b11", "in plain decimal digits"),
    ],
)
@pytest.mark.parametrize("place", ["data: {drift: {psi: %s}}", "model: {metrics: {%s: {min: 0.7}}}", "- %s\n"])
def test_what_yaml_1_1_alone_reads_as_a_number_or_a_switch_is_refused(place: str, written: str, remedy: str) -> None:
    with pytest.raises(DamagedError, match=f"at line 2: {written}") as error:
        Policy.parse("# a policy\n" + place % written, "policy.yaml")
    assert (error.value.value, error.value.line) == (written, 2)
    assert remedy in error.value.remedy
    assert error.value.key == {"data": "data.drift.psi", "mode": "model.metrics", "- %s": "0"}[place[:4].strip()]


@pytest.mark.parametrize("written", ['"yes"', "'12:30'", "!!str 010", "08", "1e3", "2024-02-30", "=", "y", "09:30"])
def test_what_is_in_quotes_or_read_alike_is_a_text(written: str) -> None:
    project = f"name: a\ntask: binary\ndata: {{source: a.csv}}\nlabel: {written}\nfeatures: {{numeric: [b]}}\n"
    label = Project.parse(project + "model: {entrypoint: 'a:b'}").label
    assert label == written.removeprefix("!!str ").strip("\"'")


def test_a_file_that_is_too_great_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    with file.open("wb") as target:
        target.truncate(50_000_000_000)  # sparse: it takes no space
    with pytest.raises(DamagedError, match="is greater than 10 MB") as error:
        Policy.load(file)
    assert error.value.file == str(file)
    file.unlink()
    file.symlink_to("/dev/zero")
    with pytest.raises(DamagedError, match="is greater than 10 MB"):
        Policy.load(file)


def test_a_link_to_another_file_does_not_print_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"token": "hunter2",\n "auths": "hunter2"}')
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n")
    (tmp_path / ".env").write_text("AWS_SECRET_ACCESS_KEY=hunter2\n")
    for secret in ("config.json", "key.pem", ".env"):
        file = tmp_path / "policy.yaml"
        file.unlink(missing_ok=True)
        file.symlink_to(tmp_path / secret)
        with pytest.raises(DamagedError) as error:
            Policy.load(file)
        assert "hunter2" not in f"{error.value} {error.value.fields()}"


@pytest.mark.parametrize("code", ["-" * MANY + "1", "a" + ".b" * MANY, "(" * MANY, "1" + "+1" * MANY])
def test_a_module_that_is_nested_deep_is_an_error_that_names_it(tmp_path: Path, code: str) -> None:
    (tmp_path / "deep_training.py").write_text(f"x = {code}\n")
    with pytest.raises(ModelwayError, match="is not valid Python") as error:
        ProjectCode.beside(tmp_path, minimal_project(model={"entrypoint": "deep_training:fit"}))
    assert error.value.file == str(tmp_path / "deep_training.py")


def test_thousands_of_wrong_keys_are_told_in_seconds() -> None:
    begun = time.monotonic()
    with pytest.raises(DamagedError, match="100001 problems"):
        Policy.parse("\n".join(f"key{number}: 1" for number in range(MANY)))
    assert time.monotonic() - begun < SECONDS


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_project(tmp_path_factory.mktemp("attacked"))


def modelway(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, where a crash shows."""
    command = [str(Path(sys.executable).with_name("modelway")), *arguments]
    environment = {**os.environ, "MODELWAY_HOME": str(folder / "home")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=99, check=False)


SHAPES = {**TOO_DEEP, **TOO_MUCH, "digits": "name: " + "1" * 5_000, "switch": "name: yes", "scalar": "x" * MANY}


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(kind, shape) for number, shape in enumerate(SHAPES) for kind in [list(DOCUMENTS)[number % 3]]]
    + [("project", "lists"), ("contract", "lists"), ("policy", "lists"), ("project", "json"), ("policy", "json")],
)
def test_a_command_ends_with_an_error_and_the_code_of_a_mistake(project: Path, kind: str, shape: str) -> None:
    file = project / f"{kind}.yaml"
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text(SHAPES[shape], encoding="utf-8")
        ended = modelway(project, "run", ".", "--json")
    finally:
        file.write_text(whole, encoding="utf-8")
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    error = json.loads(ended.stdout)["error"]
    assert error["file"].endswith(f"{kind}.yaml")
    assert error["remedy"]


PROPERTIES = settings(max_examples=150, deadline=None, derandomize=True)
KEYS = (
    "name",
    "columns",
    "rules",
    "model",
    "data",
    "label",
    "features",
    "metrics",
    "drift",
    "psi",
    "min",
    "type",
    "<<",
)
SCALARS = st.sampled_from(
    ["yes", "~", "-1", "010", "1:30", ".inf", "*a", "&a b", "!!set", "2020-01-01", "", "'a'", '"', "a"]
)
VALUES = st.recursive(
    SCALARS | st.text(max_size=8),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(KEYS), values, max_size=4),
    max_leaves=15,
)


def read_by_each(content: str | bytes) -> None:
    """Reads a text as each document; where it is one, its canonical text must be the same document."""
    for kind, document in DOCUMENTS.items():
        try:
            read = document.parse(content, f"{kind}.yaml")
        except DamagedError as error:
            assert (error.file, bool(error.remedy)) == (f"{kind}.yaml", True)  # noqa: PT017 - either end is right
        else:
            assert document.parse(read.canonical()) == read


@PROPERTIES
@given(st.binary(max_size=120) | st.text(max_size=120).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_of_any_bytes_only_our_errors_come_out(content: bytes) -> None:
    read_by_each(content)


@PROPERTIES
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), st.booleans())
def test_of_any_keys_only_our_errors_come_out(content: dict[str, Any], as_written: bool) -> None:
    text = str(content).replace("'", "") if as_written else yaml.safe_dump(content)
    read_by_each(text)
    read_by_each(json.dumps(content))


EXAMPLES = {
    kind: (Path(__file__).parents[2] / "examples" / "insurance" / f"{kind}.yaml").read_text(encoding="utf-8")
    for kind in DOCUMENTS
}


@settings(PROPERTIES, max_examples=60)
@given(
    st.sampled_from(list(EXAMPLES)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 9), SCALARS), max_size=3)
)
def test_of_a_changed_example_only_our_errors_come_out(kind: str, changes: list[tuple[int, int, str]]) -> None:
    text = EXAMPLES[kind]
    for place, length, written in changes:
        start = place % (len(text) + 1)
        text = text[:start] + written + text[start + length :]
    try:
        read = DOCUMENTS[kind].parse(text, f"{kind}.yaml")
    except DamagedError as error:
        assert error.remedy  # noqa: PT017 - either end is right
    else:
        assert DOCUMENTS[kind].parse(read.canonical()) == read
