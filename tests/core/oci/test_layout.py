"""Images are found where they are said to be, and are what their digests name."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError
from modelway.components.core.oci.image import MANIFEST, Descriptor
from modelway.components.core.oci.layout import Layout, Reference, pull

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("registry.example/team/loans:1.0", Reference("registry.example", "team/loans", "1.0", "")),
        (f"registry.example:5000/loans@{DIGEST}", Reference("registry.example:5000", "loans", "", DIGEST)),
        (f"localhost/loans:1@{DIGEST}", Reference("localhost", "loans", "1", DIGEST)),
        ("registry:5000/a/b/c-d", Reference("registry:5000", "a/b/c-d", "", "")),
        ("127.0.0.1:5000/a:b", Reference("127.0.0.1:5000", "a", "b", "")),
        ("/data/base", Reference("", "/data/base", "", "")),
        (f"./base@{DIGEST}", Reference("", "./base", "", DIGEST)),
    ],
)
def test_a_reference_is_read_and_written_again(text: str, expected: Reference) -> None:
    assert Reference.parse(text, "base") == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["", "loans", "team/loans:1", "https://registry.example/a", "registry.example/A:1", "a b"]
)
def test_what_names_no_image_is_refused(text: str) -> None:
    with pytest.raises(ModelwayError, match="is not an image reference") as error:
        Reference.parse(text, "target")
    assert error.value.key == "target"


def test_a_layouts_only_image_needs_no_digest(base: Path) -> None:
    image = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    assert image.config_json["config"]["User"] == "10001:10001"
    assert [layer.media_type for layer in image.layers] == ["application/vnd.oci.image.layer.v1.tar+gzip"] * 2
    assert pull(Layout(base), Reference.parse(f"{base}@{image.digest}", "base"), platform="linux/amd64") == image


def test_an_index_within_an_index_is_followed(base: Path) -> None:
    image = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    inner = (base / "index.json").read_bytes()
    descriptor = Descriptor.of(inner, "application/vnd.oci.image.index.v1+json")
    Layout(base).put(descriptor, io.BytesIO(inner))
    (base / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor.as_json()]}))
    assert pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64") == image


def test_another_platform_is_refused(base: Path) -> None:
    digest = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64").digest
    for reference in (str(base), f"{base}@{digest}"):
        with pytest.raises(ModelwayError, match=r"linux/amd64") as error:
            pull(Layout(base), Reference.parse(reference, "base"), platform="linux/arm64")
        assert error.value.key == "platform"


@pytest.mark.parametrize("part", ["manifest", "config"])
def test_a_changed_document_is_refused(base: Path, part: str) -> None:
    image = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    digest = image.digest if part == "manifest" else json.loads(image.manifest)["config"]["digest"]
    path = base / "blobs" / "sha256" / digest.removeprefix("sha256:")
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelwayError, match="returned other content than sha256:"):
        pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")


def test_a_blob_that_is_not_what_it_is_called_is_not_stored(tmp_path: Path) -> None:
    layout, blob = Layout(tmp_path), Descriptor.of(b"content", "any")
    with pytest.raises(ModelwayError, match="returned other content"):
        layout.put(blob, io.BytesIO(b"another"))
    assert not layout.has(blob)
    layout.put(blob, io.BytesIO(b"content"))
    assert layout.has(blob)


def test_a_layout_lists_each_image_once_and_a_tag_moves(base: Path) -> None:
    layout = Layout(base)
    image = pull(layout, Reference.parse(str(base), "base"), platform="linux/amd64")
    for tag in ("latest", "latest"):
        layout.put_manifest(image, tag)
    (only,) = json.loads((base / "index.json").read_text())["manifests"]
    assert (only["mediaType"], only["digest"]) == (MANIFEST, image.digest)


def test_a_folder_without_an_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="is not an OCI layout"):
        pull(Layout(tmp_path), Reference.parse(str(tmp_path), "base"), platform="linux/amd64")


@pytest.mark.parametrize("content", [b"", b"[1]", b"3", b"{}", b'{"manifests": 3}', b'{"manifests": [1]}', b"\xff\xfe"])
def test_an_index_that_is_damaged_is_named(base: Path, content: bytes) -> None:
    (base / "index.json").write_bytes(content)
    with pytest.raises(DamagedError, match="is not an image: its documents cannot be read") as error:
        pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    assert error.value.file == str(base)


def test_an_image_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is missing"):
        pull(Layout(tmp_path), Reference.parse(str(tmp_path), "base"), platform="linux/amd64")
