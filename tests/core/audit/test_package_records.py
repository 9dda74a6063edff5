from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelway.components.core.audit.package_records import record_package, recorded_image
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.bundle.keys import VERIFYING_KEY, new_keys
from modelway.components.core.errors import DamagedError, NotFoundError
from modelway.components.core.storage.mlflow import Tracking

IMAGE = f"registry/loans@sha256:{'1' * 64}"


@pytest.fixture
def version(tracking: Tracking, tmp_path: Path) -> ModelVersion:
    return RegisteredModel("loans", str(tmp_path / "store"), tracking).version("3")


def record_file(version: ModelVersion) -> Path:
    return Path(version.store, "packages", version.name, f"{version.number}.json")


def test_a_recorded_image_is_read_back_and_the_record_is_for_people_too(version: ModelVersion, keys: Path) -> None:
    with pytest.raises(NotFoundError, match="version 3 of loans has not been packaged"):
        recorded_image(version)
    record_package(version, {"image": IMAGE, "sealed": False}, signing_key=keys / "key")
    assert recorded_image(version) == IMAGE
    record = json.loads(record_file(version).read_text())
    assert (record["image"], record["sealed"]) == (IMAGE, False)


@pytest.mark.parametrize("content", ["", "[]", "3", "{", "{}", "null", '{"signature": "x"}'])
def test_a_damaged_record_is_named(version: ModelVersion, keys: Path, content: str) -> None:
    record_package(version, {"image": IMAGE}, signing_key=keys / "key")
    record_file(version).write_text(content)
    with pytest.raises(DamagedError, match="is damaged: it is not a package record") as error:
        recorded_image(version)
    assert error.value.file == str(record_file(version))


def test_a_record_counts_only_as_it_was_signed(version: ModelVersion, keys: Path, tmp_path: Path) -> None:
    record_package(version, {"image": IMAGE}, signing_key=keys / "key")
    signed = json.loads(record_file(version).read_text())
    other = {"image": IMAGE.replace("1", "2")}
    record_file(version).write_text(json.dumps(other))
    with pytest.raises(DamagedError, match="does not count: it is not signed"):
        recorded_image(version)
    record_file(version).write_text(json.dumps(signed | other))
    with pytest.raises(DamagedError, match="no trusted key signed it"):
        recorded_image(version)
    new_keys(tmp_path / "other", tmp_path / "other.pub")
    record_package(version, other, signing_key=tmp_path / "other")
    with pytest.raises(DamagedError, match="made with another key than is trusted here"):
        recorded_image(version)
    # One of another version, of the same key, in its place:
    record_package(version.model.version("2"), other, signing_key=keys / "key")
    record_file(version).write_bytes(record_file(version.model.version("2")).read_bytes())
    with pytest.raises(DamagedError, match="no trusted key signed it"):
        recorded_image(version)


def test_what_the_old_key_signed_counts_while_it_is_listed(
    version: ModelVersion, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_package(version, {"image": IMAGE}, signing_key=keys / "key")
    new_keys(tmp_path / "new", tmp_path / "new.pub")
    both = tmp_path / "both.pub"
    both.write_bytes((tmp_path / "new.pub").read_bytes() + (keys / "key.pub").read_bytes())
    monkeypatch.setenv(VERIFYING_KEY, str(both))
    assert recorded_image(version) == IMAGE
    monkeypatch.setenv(VERIFYING_KEY, str(tmp_path / "new.pub"))
    with pytest.raises(DamagedError, match="made with another key"):
        recorded_image(version)
