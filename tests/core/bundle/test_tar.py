"""An archive goes into its folder, or is refused."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from modelway.components.core.bundle.tar import extract_tar
from modelway.components.core.errors import ModelwayError


def member(name: str, size: int = 3, **changes: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in changes.items():
        setattr(member, key, value)
    return member


def archived(*members: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for item in members:
            archive.addfile(item, io.BytesIO(b"x" * item.size))
    return buffer.getvalue()


def extract(content: bytes, target: Path, mode: str = "r|", **bounds: int) -> None:
    with tarfile.open(fileobj=io.BytesIO(content), mode=mode) as archive:  # type: ignore[call-overload]
        extract_tar(archive, target, **bounds)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


@pytest.mark.parametrize("mode", ["r|", "r:"])
def test_files_and_folders_are_extracted(tmp_path: Path, mode: str) -> None:
    long = "/".join(["long" * 20] * 3)
    content = archived(
        member("./", 0, type=tarfile.DIRTYPE),
        member("empty", 0, type=tarfile.DIRTYPE),
        member("model/MLmodel", 3, mode=0o4777, uid=0),
        member("./model/nothing", 0),
        member(long, 5),
    )
    extract(content, tmp_path, mode)
    assert contents(tmp_path) == {"model/MLmodel": b"xxx", "model/nothing": b"", long: b"xxxxx"}
    assert (tmp_path / "empty").is_dir()
    assert (tmp_path / "model" / "MLmodel").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    ("hostile", "reason"),
    [
        (member("/etc/passwd"), "outside of its folder"),
        (member("../passwd"), "outside of its folder"),
        (member("model/../../passwd"), "outside of its folder"),
        (member("..", 0, type=tarfile.DIRTYPE), "outside of its folder"),
        (member("link", 0, type=tarfile.SYMTYPE, linkname="/etc"), "neither a regular file nor a folder"),
        (member("link", 0, type=tarfile.LNKTYPE, linkname="good"), "neither a regular file nor a folder"),
        (member("device", 0, type=tarfile.CHRTYPE), "neither a regular file nor a folder"),
        (member("device", 0, type=tarfile.BLKTYPE), "neither a regular file nor a folder"),
        (member("pipe", 0, type=tarfile.FIFOTYPE), "neither a regular file nor a folder"),
        (
            member("sparse", 0, pax_headers={"GNU.sparse.size": "9999999", "GNU.sparse.map": "0,0"}),
            "neither a regular file nor a folder",
        ),
        (member("good"), "is there already"),
        (member("good/below"), "is there already"),
        (member("good", 0, type=tarfile.DIRTYPE), "is there already"),
        (member(".", 3), "is there already"),
    ],
    ids=lambda value: value.name if isinstance(value, tarfile.TarInfo) else "",
)
def test_what_is_hostile_is_refused(tmp_path: Path, hostile: tarfile.TarInfo, reason: str) -> None:
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(ModelwayError, match=reason):
        extract(archived(member("good"), hostile), target)
    assert contents(tmp_path) == {"deep/target/good": b"xxx"}
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_more_than_the_bounds_is_refused_before_it_is_written(tmp_path: Path) -> None:
    content = archived(member("one", 600), member("two", 600))
    with pytest.raises(ModelwayError, match="1,000 bytes"):
        extract(content, tmp_path, max_bytes=1000)
    assert list(contents(tmp_path)) == ["one"]
    with pytest.raises(ModelwayError, match="1 files"):
        extract(content, tmp_path / "again", max_members=1)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    content = archived(member("one", 5000))
    with pytest.raises(ModelwayError, match="the archive is damaged"):
        extract(content[:3000], tmp_path)
