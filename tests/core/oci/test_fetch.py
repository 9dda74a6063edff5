"""The release in an image is its topmost layer, checked against its digest and unpacked to where it was asked for."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.oci.fetch import fetch_release
from modelway.components.core.oci.image import LAYER, Descriptor, append_layer, write_layer
from modelway.components.core.oci.layout import Layout, Reference, pull, push
from modelway.components.core.oci.registry import Registry


def archive(*entries: tuple[str, bytes | None] | tarfile.TarInfo) -> bytes:
    """A tar file with files, folders (no content) and whatever else."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for item in entries:
            if isinstance(item, tarfile.TarInfo):
                tar.addfile(item)
                continue
            entry = tarfile.TarInfo(item[0])
            if item[1] is None:
                entry.type = tarfile.DIRTYPE
            else:
                entry.size = len(item[1])
            tar.addfile(entry, io.BytesIO(item[1] or b""))
    return buffer.getvalue()


@pytest.fixture
def put_image(base: Path, tmp_path: Path) -> Callable[..., str]:
    """Stores an image whose topmost layer is some bytes; returns its reference by digest."""

    def store(layer: bytes, kind: str = LAYER) -> str:
        file = tmp_path / "layer.tar"
        file.write_bytes(layer)
        below = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
        image = append_layer(below, Descriptor.of(layer, kind), labels={}, annotations={}, created_by="a test")
        return push(Layout(tmp_path / "images"), image, layer=file, base=Layout(base), tag="")

    return store


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


RELEASE = archive(
    ("release", None), ("release/model", None), ("release/model/MLmodel", b"m"), ("release/a.json", b"{}")
)


def test_a_release_is_fetched_from_a_layout_by_digest_and_without(put_image: Callable[..., str], work: Path) -> None:
    image = put_image(RELEASE)
    for number, reference in enumerate((image, image.partition("@")[0])):
        folder = work / str(number)
        folder.mkdir()
        folder_ = fetch_release(reference, folder)
        assert folder_ == folder / "release"
        files = {path.relative_to(folder_).as_posix(): path for path in folder_.rglob("*") if path.is_file()}
        assert {name: path.read_bytes() for name, path in files.items()} == {"model/MLmodel": b"m", "a.json": b"{}"}


def test_a_release_is_fetched_from_a_registry_and_a_tag_is_refused(
    registry: Any, base: Path, work: Path, tmp_path: Path
) -> None:
    bundle, layer = tmp_path / "bundle", tmp_path / "layer.tar"
    (bundle / "model").mkdir(parents=True)
    (bundle / "model" / "MLmodel").write_bytes(b"m")
    below = pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")
    image = append_layer(
        below, write_layer(bundle, "release", target=layer), labels={}, annotations={}, created_by="a test"
    )
    reference = push(Registry(registry.host, "loans"), image, layer=layer, base=Layout(base), tag="1")
    assert (fetch_release(reference, work) / "model" / "MLmodel").read_bytes() == b"m"
    with pytest.raises(ModelwayError, match="is not pinned by a digest") as error:
        fetch_release(f"{registry.host}/loans:1", work)
    assert error.value.key == "image"
    with pytest.raises(ModelwayError, match="has no manifests/sha256:0000"):
        fetch_release(f"{registry.host}/loans@sha256:{'0' * 64}", work)
    with pytest.raises(UnavailableError, match="cannot be reached"):
        fetch_release(f"127.0.0.1:1/loans@{image.digest}", work)


LINK = tarfile.TarInfo("release/link")
LINK.type, LINK.linkname = tarfile.SYMTYPE, "/etc/passwd"
HARD = tarfile.TarInfo("release/hard")
HARD.type, HARD.linkname = tarfile.LNKTYPE, "../../etc/passwd"
DEVICE = tarfile.TarInfo("release/device")
DEVICE.type = tarfile.CHRTYPE


@pytest.mark.parametrize(
    ("layer", "problem"),
    [
        (archive(("opt/modelway/extra.py", b"import os")), "holds opt/modelway/extra.py"),
        (archive(("release/a", b"a"), ("etc/passwd", b"root")), "holds etc/passwd"),
        (archive(("release/../outside", b"a")), "cannot be extracted"),
        (archive(("/release/a", b"a")), "holds /release/a"),
        (archive(("../release/a", b"a")), r"holds \.\./release/a"),
        (archive(LINK), "cannot be extracted.*release/link"),
        (archive(HARD), "cannot be extracted.*release/hard"),
        (archive(DEVICE), "cannot be extracted.*release/device"),
        (archive(("release/.wh.blessing.json", b"")), "holds release/.wh.blessing.json"),
        (archive(("release/a", b"a"), ("release/a", b"b")), "cannot be extracted"),
        (archive(("release/a", b"a"), ("release/a/b", b"b")), "cannot be extracted"),
        (archive(), "is empty"),
        (b"no archive", "cannot be extracted"),
    ],
)
def test_a_layer_that_is_no_release_is_refused_and_nothing_lands_outside(
    put_image: Callable[..., str], work: Path, tmp_path: Path, layer: bytes, problem: str
) -> None:
    image = put_image(layer)
    before = set(tmp_path.iterdir())
    with pytest.raises(ModelwayError, match=rf"is not a release: it {problem}"):
        fetch_release(image, work)
    assert set(tmp_path.iterdir()) == before


def test_a_serving_base_by_itself_is_no_release(base: Path, work: Path) -> None:
    with pytest.raises(ModelwayError, match="is not a release: it is of another kind"):
        fetch_release(str(base), work)


@pytest.mark.parametrize("change", ["layer", "manifest"])
def test_what_is_not_what_its_digest_names_is_refused(
    put_image: Callable[..., str], work: Path, tmp_path: Path, change: str
) -> None:
    image = put_image(RELEASE)
    digests = {"layer": Descriptor.of(RELEASE, LAYER).digest, "manifest": image.partition("@")[2]}
    blob = tmp_path / "images" / "blobs" / "sha256" / digests[change].removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"{}", b"[]") if change == "layer" else blob.read_bytes() + b" ")
    with pytest.raises(ModelwayError, match="returned other content than sha256:"):
        fetch_release(image, work)
    assert not list(work.iterdir())
