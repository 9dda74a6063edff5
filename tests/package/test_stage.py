"""A registered version becomes an image: verified, signed, the same each time, and nothing without its evidence."""

from __future__ import annotations

import dataclasses
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelway.components.core.bundle.bundle import verify_bundle
from modelway.components.core.bundle.encryption import ENCRYPTED_FILE
from modelway.components.core.bundle.tar import extract_tar
from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import CONFIG, Descriptor, Image
from modelway.components.core.oci.layout import Layout, Reference, pull
from modelway.components.core.oci.registry import Registry
from modelway.components.core.storage.models import folder_sha256
from modelway.components.package.stage import Packaged, package

HELD = ["baseline.json", "blessing.json", "model", "model.onnx", "policy.json", "release.json", "release.sig"]
HELD += ["requirements.txt", "sbom.cdx.json"]


@pytest.fixture
def run(base: Path, tmp_path: Path) -> Callable[..., Packaged]:
    def packaged(
        version: Any, target: str | None = None, bundle: str = "bundle", store: str = "", **changes: Any
    ) -> Packaged:
        registered = version.in_store(store or str(tmp_path / "store"))
        to = target or str(tmp_path / "images")
        return package(registered, **{"base": str(base), **changes}, target=to, bundle_path=str(tmp_path / bundle))

    return packaged


def image_of(made: Packaged) -> tuple[Layout, Image]:
    reference = Reference.parse(made.image, "image")
    layout = Layout(Path(reference.repository))
    return layout, pull(layout, reference, platform="linux/amd64")


def test_a_version_becomes_one_layer_on_the_base(
    run: Callable[..., Packaged], registered: Any, base: Path, tmp_path: Path, keys: Path
) -> None:
    made = run(registered)
    layout, image = image_of(made)
    below = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    assert image.layers[:-1] == below.layers
    assert all(layout.has(layer) for layer in image.layers)
    described = image.config_json
    assert described["rootfs"]["diff_ids"] == [*below.config_json["rootfs"]["diff_ids"], image.layers[-1].digest]
    assert described["config"]["User"] == "10001:10001"
    assert described["config"]["Labels"] == {
        "org.opencontainers.image.title": registered.name,
        "org.opencontainers.image.version": registered.version,
        "org.opencontainers.image.revision": "abc",
        "io.modelway.blessing": made.release.blessing_sha256,
        "io.modelway.model-hash": folder_sha256(registered.model),
    }
    with layout.blob(image.layers[-1].digest) as blob, tarfile.open(fileobj=blob) as archive:
        entries = archive.getmembers()
        extract_tar(archive, tmp_path / "pulled")
    assert {(one.mtime, one.uid, one.gid, one.uname) for one in entries} == {(0, 0, 0, "")}
    assert {one.mode for one in entries if one.isfile()} == {0o444}
    released = verify_bundle(tmp_path / "pulled" / "release", keys / "key.pub")
    assert sorted(path.name for path in released.folder.iterdir()) == HELD
    assert released.blessing().project == registered.name
    assert released.policy().model.metrics["roc_auc"].min == 0.6
    assert folder_sha256(released.folder) == folder_sha256(tmp_path / "bundle")
    record = json.loads((tmp_path / "store" / "packages" / registered.name / "1.json").read_text())
    assert (record["image"], record["onnx"]) == (made.image, True)


def test_the_same_inputs_give_the_same_digest(run: Callable[..., Packaged], registered: Any, tmp_path: Path) -> None:
    first = run(registered, str(tmp_path / "one"), "first")
    again = run(registered, str(tmp_path / "two"), "again")
    assert first.image.partition("@")[2] == again.image.partition("@")[2] != ""
    other = run(registered, str(tmp_path / "three"), "other", store=str(tmp_path / "another-store"))
    assert other.image.partition("@")[2] != first.image.partition("@")[2]  # an elliptic-curve signature is random


def test_a_kept_signature_that_does_not_hold_is_made_anew(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, keys: Path
) -> None:
    run(registered)
    (kept,) = (tmp_path / "store" / "packages").glob("*/*.sig")
    kept.chmod(0o644)
    kept.write_text("{}")
    run(registered, bundle="again")
    verify_bundle(tmp_path / "again", keys / "key.pub")
    assert kept.read_bytes() == (tmp_path / "again" / "release.sig").read_bytes()


def test_an_encrypted_model_is_opened_by_its_identity_only(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", str(keys / "recipient"))
    made = run(registered)
    assert run(registered, str(tmp_path / "again")).image.partition("@")[2] == made.image.partition("@")[2]
    folder = tmp_path / "bundle"
    expected = {*HELD, ENCRYPTED_FILE} - {"model", "model.onnx"}
    assert {path.name for path in folder.iterdir()} == expected
    assert verify_bundle(folder, keys / "key.pub").encrypted
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(keys / "encryption"))
    opened = verify_bundle(folder, keys / "key.pub", work=tmp_path / "memory")
    assert folder_sha256(opened.model) == folder_sha256(registered.model)
    assert opened.onnx is not None
    monkeypatch.delenv("MODELWAY_ENCRYPTION_KEY")
    with pytest.raises(ModelwayError, match="MODELWAY_ENCRYPTION_KEY is not set"):
        verify_bundle(folder, keys / "key.pub", work=tmp_path / "other")


def test_a_key_without_a_recipient_does_not_package_the_model_in_plain(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(keys / "encryption"))
    with pytest.raises(ModelwayError, match="MODELWAY_ENCRYPTION_RECIPIENT is not set"):
        run(registered)
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", "age1nobody")
    with pytest.raises(ModelwayError, match="the encryption recipient cannot be read"):
        run(registered)
    assert not (tmp_path / "images").exists()


def test_a_model_that_does_not_convert_needs_its_libraries_in_the_base(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    empty = io.BytesIO()
    pl.DataFrame({"income": pl.Series([], dtype=pl.Float64)}).write_parquet(empty)
    version = register(model, evidence={"sample.parquet": empty.getvalue()})
    with pytest.raises(
        ModelwayError, match=r"is served by its pipeline, which needs pandas .* the base lacks it"
    ) as caught:
        run(version)
    assert "--target pipeline" in caught.value.remedy
    assert not (tmp_path / "images").exists()


def test_nothing_is_packaged_without_a_signing_key(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWAY_SIGNING_KEY")
    with pytest.raises(ModelwayError, match="MODELWAY_SIGNING_KEY is not set"):
        run(registered)
    assert not (tmp_path / "images").exists()


def test_a_version_that_is_not_blessed_or_not_there_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], registered: Any, model: Path
) -> None:
    with pytest.raises(ModelwayError, match="is not blessed"):
        run(register(model, blessed=False))
    with pytest.raises(ModelwayError, match="has no version 99"):
        run(dataclasses.replace(registered, version="99"))


def test_a_model_that_was_changed_after_its_blessing_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, tmp_path: Path
) -> None:
    version = register(model)
    with (version.model / "model.skops").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ModelwayError, match="is not the one that was blessed"):
        run(version)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("file", ["blessing.json", "policy.json"])
def test_evidence_that_was_changed_is_refused(
    run: Callable[..., Packaged], register: Callable[..., Any], model: Path, file: str
) -> None:
    with pytest.raises(ModelwayError, match=r"another (blessing|policy)"):
        run(register(model, evidence={file: b'{"model": {"metrics": {}}}'}))


def test_a_base_of_a_registry_must_be_pinned(run: Callable[..., Packaged], registered: Any) -> None:
    with pytest.raises(ModelwayError, match="is not pinned by a digest") as caught:
        run(registered, base="registry.example/serving:1.0")
    assert caught.value.key == "base"


def test_it_goes_from_a_registry_to_a_registry_by_digest(
    run: Callable[..., Packaged], registered: Any, registry: Any, base: Path
) -> None:
    plain = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    serving = Registry(registry.host, "modelway/serving")
    for one in (*plain.layers, Descriptor.of(plain.config, CONFIG)):
        with Layout(base).blob(one.digest) as content:
            serving.put(one, content)
    pinned = serving.put_manifest(plain, "")
    made = run(registered, f"{registry.host}/team/loans:1", base=pinned)
    assert made.image.startswith(f"{registry.host}/team/loans@sha256:")
    released = Registry(registry.host, "team/loans")
    by_tag = pull(released, Reference.parse(f"{registry.host}/team/loans:1", "image"), platform="linux/amd64")
    assert pull(released, Reference.parse(made.image, "image"), platform="linux/amd64") == by_tag
    assert by_tag.layers[:-1] == plain.layers
    assert all(released.has(layer) for layer in by_tag.layers)
    again = run(registered, f"{registry.host}/team/again:1", "again", base=pinned)
    assert again.image.partition("@")[2] == by_tag.digest


def test_the_summary_says_what_was_made(run: Callable[..., Packaged], registered: Any) -> None:
    text = run(registered).markdown()
    assert f"{registered.name} version {registered.version}" in text
    assert "ONNX Runtime" in text
    assert "A probability differs by at most" in text
