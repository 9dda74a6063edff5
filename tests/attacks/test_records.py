"""Attacks by who may write the store, MLflow's artifacts, an image registry or a cluster's objects: broken records.

Whatever lies where a record should be, reading it ends in an error of ours that names the file, never in a crash.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from modelway.components.core.audit.chain import parse_entry
from modelway.components.core.audit.log import AuditLog, BrokenLogError
from modelway.components.core.audit.package_records import recorded_image
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.bundle.bundle import Bundle
from modelway.components.core.bundle.signing import verify
from modelway.components.core.checks import Gate
from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.evidence.runs import DeploymentRecord, PackageRecord
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.oci.layout import Layout, Reference, pull
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import load_model, load_skops
from modelway.components.deploy.targets.annotations import PREVIOUS, previous_template
from modelway.components.probe.client import Reply

MANY = 100_000
CONTENTS = {
    "lists": b"[" * MANY,
    "closed lists": b"[" * MANY + b"]" * MANY,
    "objects": b'{"a":' * MANY + b"1" + b"}" * MANY,
    "lists in an object": b'{"image": ' + b"[" * 900 + b"]" * 900 + b"}",
    "digits": b'{"number": ' + b"1" * 5_000 + b"}",
    "half a surrogate pair": b'{"image": "\\ud800"}',
    "NUL": b'{"image": "\x00"}',
    "UTF-16": '{"image": "a"}'.encode("utf-16"),
    "no UTF-8": b'{"image": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "empty": b"",
}
PROPERTIES = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def _gate(folder: Path, content: bytes) -> None:
    (folder / "gate.json").write_bytes(content)
    Gate.read(folder / "gate.json")


def _record(kind: type[PackageRecord | DeploymentRecord | StopRecord]) -> Callable[[Path, bytes], None]:
    def read(folder: Path, content: bytes) -> None:
        file = folder / "runs" / "r" / kind.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        kind.read(str(folder), "r")

    return read


def _entry(folder: Path, content: bytes) -> None:
    (folder / "audit").mkdir(exist_ok=True)
    (folder / "audit" / "00000001.json").write_bytes(content)
    AuditLog(str(folder)).verified_entries()


def _package(folder: Path, content: bytes) -> None:
    file = folder / "packages" / "loans" / "3.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    recorded_image(RegisteredModel("loans", str(folder), Tracking("sqlite://")).version("3"))


def _bundle(name: str) -> Callable[[Path, bytes], None]:
    def read(folder: Path, content: bytes) -> None:
        fields = ("name", "version", "model_hash", "blessing_sha256", "created")
        (folder / "release.json").write_text(json.dumps(dict.fromkeys(fields, "x")))
        (folder / "blessing.json").write_text("{}")
        (folder / name).write_bytes(content)
        Bundle(folder).check()

    return read


def _signature(folder: Path, content: bytes) -> None:
    (folder / "model.sig").write_bytes(content)
    verify(folder, folder / "model.sig", public_key=folder / "key.pub")


def _index(folder: Path, content: bytes) -> None:
    (folder / "index.json").write_bytes(content)
    pull(Layout(folder), Reference.parse(str(folder), "image"), platform="")


def _schema(folder: Path, content: bytes) -> None:
    archive = io.BytesIO(skops.io.dumps(DummyClassifier()))
    with zipfile.ZipFile(folder / "model.skops", "w") as target:
        for name in zipfile.ZipFile(archive).namelist():
            target.writestr(name, content if name == "schema.json" else zipfile.ZipFile(archive).read(name))
    load_skops(folder / "model.skops")


def _mlmodel(folder: Path, content: bytes) -> None:
    (folder / "MLmodel").write_bytes(content)
    load_model(folder)


READERS: dict[str, Callable[[Path, bytes], None]] = {
    "a gate": _gate,
    "a package record": _record(PackageRecord),
    "a deployment record": _record(DeploymentRecord),
    "a stop record": _record(StopRecord),
    "an audit entry": _entry,
    "a signed package record": _package,
    "a release": _bundle("release.json"),
    "a blessing": _bundle("blessing.json"),
    "a signature": _signature,
    "an image's index": _index,
    "a model's schema": _schema,
    "an MLmodel": _mlmodel,
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_a_broken_record_is_an_error_that_names_it(
    tmp_path: Path, keys: Path, read: Callable[[Path, bytes], None], content: bytes
) -> None:
    (tmp_path / "key.pub").write_bytes((keys / "key.pub").read_bytes())
    with pytest.raises(ModelwayError) as error:
        read(tmp_path, content)
    assert str(tmp_path) in (error.value.file or "")
    assert error.value.remedy


@pytest.mark.parametrize("name", ["lists", "closed lists", "objects", "digits", "half a surrogate pair", "a list"])
def test_an_objects_annotation_that_is_no_template_is_an_error(name: str) -> None:
    annotations = {PREVIOUS: CONTENTS[name].decode()}
    with pytest.raises(DamagedError, match="is no pod template"):
        previous_template({"metadata": {"name": "loans", "annotations": annotations}})


@pytest.mark.parametrize("content", [CONTENTS["lists"], CONTENTS["objects"], b"", b"no json", b"\xff"])
def test_an_answer_that_is_no_json_is_none(content: bytes) -> None:
    assert Reply(200, content).answer is None


def test_a_record_that_is_too_great_is_not_read_whole(tmp_path: Path) -> None:
    file = tmp_path / "runs" / "r" / "package.json"
    file.parent.mkdir(parents=True)
    with file.open("wb") as target:
        target.truncate(50_000_000_000)  # sparse: it takes no space
    with pytest.raises(DamagedError, match="is greater than 100 MB") as error:
        PackageRecord.read(str(tmp_path), "r")
    assert error.value.file == str(file)


def test_a_command_that_reads_a_broken_log_ends_with_an_error(tmp_path: Path) -> None:
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "00000001.json").write_bytes(CONTENTS["lists"])
    command = [str(Path(sys.executable).with_name("modelway")), "audit", "verify", "--store", str(tmp_path)]
    environment = {**os.environ, "MODELWAY_HOME": str(tmp_path / "home"), "MLFLOW_TRACKING_URI": ""}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=99, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert "it cannot be read as an entry" in ended.stdout + ended.stderr


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=8), values, max_size=4),
    max_leaves=12,
)
KEYS = (
    "name",
    "checks",
    "image",
    "signature",
    "manifests",
    "hashes",
    "blessed",
    "stage",
    "mediaType",
    "number",
    "flavors",
)
RECORDS = JSON | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=6)


@PROPERTIES
@given(st.binary(max_size=60) | RECORDS.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_whatever_lies_in_a_records_place_only_our_errors_come_out(
    tmp_path: Path, keys: Path, read: Callable[[Path, bytes], None], content: bytes
) -> None:
    (tmp_path / "key.pub").write_bytes((keys / "key.pub").read_bytes())
    try:
        read(tmp_path, content)
    except ModelwayError as error:
        assert error.remedy  # noqa: PT017 - either outcome is right, another exception is not


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a log of six entries."""
    store = tmp_path_factory.mktemp("log")
    written = AuditLog(str(store))
    for number in range(6):
        written.append("registered", "ada@example.com", model="loans", version=str(number), details={"run": "ä"})
    return {file.name: file.read_bytes() for file in sorted((store / "audit").iterdir())}


@st.composite
def edits(draw: st.DrawFn) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """A change of a log's files."""
    kind = draw(st.sampled_from(["flip", "cut", "grow", "delete", "swap", "copy", "rename", "case"]))
    first, second, place = draw(st.integers(0, 5)), draw(st.integers(0, 5)), draw(st.integers(0, 10_000))
    bits, extra = draw(st.integers(1, 255)), draw(st.binary(min_size=1, max_size=5))

    def edit(files: dict[str, bytes]) -> dict[str, bytes]:
        files = dict(files)
        names = sorted(files)
        one, other = names[first % len(names)], names[second % len(names)]
        content = bytearray(files[one])
        if kind == "flip" and content:
            content[place % len(content)] ^= bits
            files[one] = bytes(content)
        elif kind == "cut":
            files[one] = bytes(content[: place % (len(content) + 1)])
        elif kind == "grow":
            files[one] = bytes(content[: place % (len(content) + 1)]) + extra + bytes(content)
        elif kind == "delete" and len(files) > 1:
            del files[one]
        elif kind == "swap":
            files[one], files[other] = files[other], files[one]
        elif kind == "copy":
            files[one] = files[other]
        elif kind == "rename":
            files[f"{place:08}.json"] = files.pop(one)
        else:
            files[one] = json.dumps(json.loads(files[one])).encode() if files[one][:1] == b"{" else b""
        return files

    return edit


@settings(PROPERTIES, max_examples=120)
@given(st.lists(edits(), min_size=1, max_size=3))
def test_a_log_that_was_changed_is_never_whole(
    log: dict[str, bytes], tmp_path: Path, changes: list[Callable[[dict[str, bytes]], dict[str, bytes]]]
) -> None:
    files = log
    try:
        for change in changes:
            files = change(files)
    except ValueError:  # what an earlier change left is no JSON to be written otherwise
        pass
    folder = tmp_path / "audit"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    whole = dict(sorted(log.items()))
    cut_off = [dict(list(whole.items())[:count]) for count in range(1, len(whole))]  # which the anchor is against
    broken = AuditLog(str(tmp_path)).verify()
    remaining = {name: content for name, content in sorted(files.items()) if name != "00000000.json"}
    if remaining == whole or remaining in cut_off:
        assert (broken is None) == (remaining == dict(sorted(files.items())))
    else:
        assert broken is not None
        with pytest.raises(BrokenLogError):
            AuditLog(str(tmp_path)).verified_entries()


@PROPERTIES
@given(st.binary(max_size=200) | RECORDS.map(lambda value: json.dumps(value).encode()))
def test_an_entry_is_read_or_what_is_wrong_is_said(content: bytes) -> None:
    entry = parse_entry(content)
    assert isinstance(entry, str) or entry.content() == content
