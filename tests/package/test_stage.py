"""A registered version becomes an image: verified, signed, the same each time, and nothing without its evidence."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.bundle.bundle import verify_bundle
from modelway.components.core.bundle.encryption import ENCRYPTED_FILE
from modelway.components.core.bundle.tar import extract_tar
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.oci.image import CONFIG, Descriptor, Image
from modelway.components.core.oci.layout import Layout, Reference, pull
from modelway.components.core.oci.registry import Registry
from modelway.components.core.storage.models import folder_sha256
from modelway.components.package.stage import Packaged

BUNDLE_FILES = ["baseline.json", "blessing.json", "model", "model.onnx", "policy.json", "release.json", "release.sig"]
BUNDLE_FILES += ["requirements.txt", "sbom.cdx.json"]


def image_of(result: Packaged) -> tuple[Layout, Image]:
    reference = Reference.parse(result.image, "image")
    layout = Layout(Path(reference.repository))
    return layout, pull(layout, reference, platform="linux/amd64")


def test_a_version_becomes_one_layer_on_the_base(
    run: Callable[..., Packaged], registered: Any, base: Path, tmp_path: Path, keys: Path
) -> None:
    result = run(registered)
    layout, image = image_of(result)
    base_image = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    assert image.layers[:-1] == base_image.layers
    assert all(layout.has(layer) for layer in image.layers)
    image_config = image.config_json
    base_layers, layers = (config["rootfs"]["diff_ids"] for config in (base_image.config_json, image_config))
    assert layers == [*base_layers, image.layers[-1].digest]
    assert image_config["config"]["User"] == "10001:10001"
    assert image_config["config"]["Labels"] == {
        "org.opencontainers.image.title": registered.name,
        "org.opencontainers.image.version": registered.version,
        "org.opencontainers.image.revision": "abc",
        "io.modelway.blessing": result.release.blessing_sha256,
        "io.modelway.model-hash": folder_sha256(registered.model),
    }
    with layout.blob(image.layers[-1].digest) as blob, tarfile.open(fileobj=blob) as archive:
        entries = archive.getmembers()
        extract_tar(archive, tmp_path / "pulled")
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname) for entry in entries} == {(0, 0, 0, "")}
    assert {entry.mode for entry in entries if entry.isfile()} == {0o444}
    bundle = verify_bundle(tmp_path / "pulled" / "release", keys / "key.pub")
    assert sorted(path.name for path in bundle.folder.iterdir()) == BUNDLE_FILES
    assert Blessing.model_validate_json((bundle.folder / "blessing.json").read_bytes()).project == registered.name
    assert Policy.load(bundle.folder / "policy.json").model.metrics["roc_auc"].min == 0.6
    assert folder_sha256(bundle.folder) == folder_sha256(tmp_path / "bundle")
    record = json.loads((tmp_path / "store" / "packages" / registered.name / "1.json").read_text())
    assert (record["image"], record["onnx"]) == (result.image, True)


def test_the_same_inputs_give_the_same_digest(run: Callable[..., Packaged], registered: Any, tmp_path: Path) -> None:
    first = run(registered, str(tmp_path / "one"), "first")
    again = run(registered, str(tmp_path / "two"), "again")
    assert first.image.partition("@")[2] == again.image.partition("@")[2] != ""
    other_store = run(registered, str(tmp_path / "three"), "other", store=str(tmp_path / "another-store"))
    assert other_store.image.partition("@")[2] != first.image.partition("@")[2]  # an elliptic-curve signature is random


def test_a_kept_signature_that_does_not_hold_is_made_anew(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, keys: Path
) -> None:
    run(registered)
    (signature,) = (tmp_path / "store" / "packages").glob("*/*.sig")
    signature.chmod(0o644)
    signature.write_text("{}")
    run(registered, bundle="again")
    verify_bundle(tmp_path / "again", keys / "key.pub")
    assert signature.read_bytes() == (tmp_path / "again" / "release.sig").read_bytes()


def test_an_encrypted_model_is_opened_by_its_identity_only(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", str(keys / "recipient"))
    result = run(registered)
    assert run(registered, str(tmp_path / "again")).image.partition("@")[2] == result.image.partition("@")[2]
    folder = tmp_path / "bundle"
    expected = {*BUNDLE_FILES, ENCRYPTED_FILE} - {"model", "model.onnx"}
    assert {path.name for path in folder.iterdir()} == expected
    assert verify_bundle(folder, keys / "key.pub").encrypted
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(keys / "encryption"))
    bundle = verify_bundle(folder, keys / "key.pub", work=tmp_path / "memory")
    assert folder_sha256(bundle.model) == folder_sha256(registered.model)
    assert bundle.onnx is not None
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


def test_nothing_is_packaged_without_a_signing_key(
    run: Callable[..., Packaged], registered: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MODELWAY_SIGNING_KEY")
    with pytest.raises(ModelwayError, match="MODELWAY_SIGNING_KEY is not set"):
        run(registered)
    assert not (tmp_path / "images").exists()


def test_a_base_of_a_registry_must_be_pinned(run: Callable[..., Packaged], registered: Any) -> None:
    with pytest.raises(ModelwayError, match="is not pinned by a digest") as error:
        run(registered, base="registry.example/serving:1.0")
    assert error.value.key == "base"


def test_it_goes_from_a_registry_to_a_registry_by_digest(
    run: Callable[..., Packaged], registered: Any, registry: Any, base: Path
) -> None:
    plain = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    serving = Registry(registry.host, "modelway/serving")
    for blob in (*plain.layers, Descriptor.of(plain.config, CONFIG)):
        with Layout(base).blob(blob.digest) as content:
            serving.put(blob, content)
    pinned = serving.put_manifest(plain, "")
    result = run(registered, f"{registry.host}/team/loans:1", base=pinned)
    assert result.image.startswith(f"{registry.host}/team/loans@sha256:")
    repository = Registry(registry.host, "team/loans")
    by_tag = pull(repository, Reference.parse(f"{registry.host}/team/loans:1", "image"), platform="linux/amd64")
    assert pull(repository, Reference.parse(result.image, "image"), platform="linux/amd64") == by_tag
    assert by_tag.layers[:-1] == plain.layers
    assert all(repository.has(layer) for layer in by_tag.layers)
    again = run(registered, f"{registry.host}/team/again:1", "again", base=pinned)
    assert again.image.partition("@")[2] == by_tag.digest


def test_the_summary_says_what_was_made(run: Callable[..., Packaged], registered: Any) -> None:
    text = run(registered).markdown()
    assert f"{registered.name} version {registered.version}" in text
    assert "ONNX Runtime" in text
    assert "A probability differs by at most" in text
