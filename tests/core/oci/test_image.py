"""Layers and images depend on their contents alone."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import (
    CONFIG,
    LAYER,
    MANIFEST,
    Descriptor,
    Image,
    append_layer,
    select_platform,
    write_layer,
)

BASE = Image(
    b"{}",
    json.dumps(
        {"architecture": "amd64", "os": "linux", "config": {"User": "1"}, "rootfs": {"diff_ids": ["sha256:0"]}}
    ).encode(),
    (Descriptor(f"{LAYER}+gzip", "sha256:1", 5),),
)


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def test_a_layer_does_not_tell_when_by_whom_or_in_which_order_its_files_were_made(tmp_path: Path) -> None:
    names = ["b/two", "a", "b/one", "b-c", f"long/{'x' * 120}"]
    first, second = fill(tmp_path / "first", names), fill(tmp_path / "second", names[::-1])
    for path in second.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    layers = [write_layer(folder, "release", target=tmp_path / f"{folder.name}.tar") for folder in (first, second)]
    assert layers[0] == layers[1]
    assert layers[0].digest == f"sha256:{hashlib.sha256((tmp_path / 'first.tar').read_bytes()).hexdigest()}"
    assert layers[0].size == (tmp_path / "first.tar").stat().st_size
    (second / "a").write_text("changed")
    assert write_layer(second, "release", target=tmp_path / "third.tar").digest != layers[0].digest


def test_a_layers_files_are_below_its_root_and_read_only(tmp_path: Path) -> None:
    write_layer(fill(tmp_path / "files", ["b/two", "a"]), "release", target=tmp_path / "layer.tar")
    with tarfile.open(tmp_path / "layer.tar") as archive:
        members = [(entry.name, entry.isdir(), oct(entry.mode), entry.uid, entry.mtime) for entry in archive]
    assert members == [
        ("release", True, "0o755", 0, 0),
        ("release/a", False, "0o444", 0, 0),
        ("release/b", True, "0o755", 0, 0),
        ("release/b/two", False, "0o444", 0, 0),
    ]


def test_an_image_on_top_keeps_the_base_and_adds_its_layer_and_labels() -> None:
    layer = Descriptor(LAYER, "sha256:2", 7)
    image = append_layer(BASE, layer, labels={"title": "loans"}, annotations={"base": "b"}, created_by="package_model")
    manifest = json.loads(image.manifest)
    assert manifest["mediaType"] == MANIFEST
    assert manifest["config"] == Descriptor.of(image.config, CONFIG).as_json()
    assert [entry["digest"] for entry in manifest["layers"]] == ["sha256:1", "sha256:2"]
    assert manifest["annotations"] == {"base": "b"}
    assert image.config_json["config"] == {"User": "1", "Labels": {"title": "loans"}}
    assert image.config_json["rootfs"]["diff_ids"] == ["sha256:0", "sha256:2"]
    assert image.config_json["history"] == [{"created": "1970-01-01T00:00:00Z", "created_by": "package_model"}]
    assert (
        append_layer(
            BASE, layer, labels={"title": "loans"}, annotations={"base": "b"}, created_by="package_model"
        ).digest
        == image.digest
    )


def entry(platform: str | None, digest: str = "sha256:a") -> dict[str, Any]:
    members: dict[str, Any] = {"mediaType": MANIFEST, "digest": digest, "size": 1}
    if platform:
        system, architecture = platform.split("/")
        members["platform"] = {"os": system, "architecture": architecture}
    return members


def test_an_index_gives_the_platforms_manifest() -> None:
    index = {"manifests": [entry("linux/arm64"), entry("linux/amd64", "sha256:b"), {"mediaType": "other"}]}
    assert select_platform(index, "linux/amd64", source="base").digest == "sha256:b"


@pytest.mark.parametrize("manifests", [[], [entry("linux/arm64")], [entry("linux/amd64"), entry("linux/amd64")]])
def test_an_index_without_one_manifest_for_the_platform_is_refused(manifests: list[Any]) -> None:
    with pytest.raises(ModelwayError, match=f"has {max(0, len(manifests) - 1) and 2} images for linux/amd64") as error:
        select_platform({"manifests": manifests}, "linux/amd64", source="base")
    assert error.value.key == "platform"
