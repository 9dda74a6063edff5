"""A sealed model opens whole, with its key, or not at all."""

from __future__ import annotations

import io
import stat
import tarfile
from pathlib import Path

import numpy as np
import pytest

from modelway.components.core.encryption import (
    SEALED_FILE,
    decrypt_bundle,
    is_header_of,
    new_header,
    new_key,
    read_key,
    seal,
    unseal,
)
from modelway.components.core.errors import ModelwayError

CHUNK = (1 << 20) + 16
HEADER = 9 + 32 + 12 + 48
KEY, OTHER = b"k" * 32, b"o" * 32


def sealed(folder: Path, content: bytes, key: bytes = KEY, header: bytes | None = None) -> bytes:
    (folder / "plain").write_bytes(content)
    seal(folder / "plain", folder / "sealed", key, header)
    return (folder / "sealed").read_bytes()


def opened(content: bytes, key: bytes = KEY) -> bytes:
    return b"".join(unseal(io.BytesIO(content), key))


def random(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 1 << 20, (1 << 20) + 1, 3 << 20, (3 << 20) - 1])
def test_what_was_sealed_is_opened_again(tmp_path: Path, size: int) -> None:
    found = sealed(tmp_path, random(size))
    assert opened(found) == random(size)
    assert len(found) == HEADER + size + 16 * max(1, -(-size // (1 << 20)))
    assert size < 16 or random(size)[:16] not in found


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="cannot be decrypted with this key") as caught:
        opened(sealed(tmp_path, b"secret"), OTHER)
    assert caught.value.key == "MODELWAY_ENCRYPTION_KEY"


@pytest.mark.parametrize("position", [0, 9, 41, 53, HEADER - 1, HEADER, HEADER + CHUNK - 1, HEADER + CHUNK, -1])
def test_a_changed_byte_is_refused(tmp_path: Path, position: int) -> None:
    found = bytearray(sealed(tmp_path, random((2 << 20) + 5)))
    found[position] ^= 1
    with pytest.raises(ModelwayError, match=r"cannot be decrypted|was changed"):
        opened(bytes(found))


def test_chunks_cannot_be_dropped_moved_repeated_or_cut_off(tmp_path: Path) -> None:
    found = sealed(tmp_path, random(3 << 20))
    header, parts = found[:HEADER], [found[HEADER + CHUNK * n : HEADER + CHUNK * (n + 1)] for n in range(3)]
    assert opened(header + b"".join(parts)) == random(3 << 20)
    for wrong in ((), (0,), (0, 1), (1, 2), (0, 2), (1, 0, 2), (0, 1, 1, 2), (0, 1, 2, 2)):
        with pytest.raises(ModelwayError, match="changed or cut off"):
            opened(header + b"".join(parts[n] for n in wrong))
    for end in (0, 8, HEADER - 1):
        with pytest.raises(ModelwayError, match="cannot be decrypted"):
            opened(found[:end])


def test_the_same_content_under_its_header_gives_the_same_file(tmp_path: Path) -> None:
    first = sealed(tmp_path, b"content")
    assert sealed(tmp_path, b"content", header=first[:HEADER]) == first
    assert sealed(tmp_path, b"content") != first


def test_a_data_key_is_never_taken_for_another_content_or_key(tmp_path: Path) -> None:
    for name in ("content", "other"):
        (tmp_path / name).write_text(name)
    header, other = (new_header(tmp_path / name, KEY) for name in ("content", "other"))
    assert is_header_of(header, tmp_path / "content", KEY)
    claimed = header[:9] + other[9:41] + header[41:]
    for wrong, name, key in ((header, "other", KEY), (claimed, "other", KEY), (header, "content", OTHER)):
        assert not is_header_of(wrong, tmp_path / name, key)
        with pytest.raises(ValueError, match="another content or with another key"):
            seal(tmp_path / name, tmp_path / "sealed", key, wrong)
    assert not is_header_of(b"damaged", tmp_path / "content", KEY)
    assert not (tmp_path / "sealed").exists()


def test_a_key_file_is_the_owners_and_holds_32_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_key(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(tmp_path / "key"))
    assert read_key() == read_key(tmp_path / "key")
    assert len(read_key()) == 32


@pytest.mark.parametrize("text", ["", "short", "not base64 at all!", "aGVsbG8="])
def test_a_file_without_32_bytes_is_no_key(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(ModelwayError, match="cannot be read") as caught:
        read_key(tmp_path / "key")
    assert caught.value.file == str(tmp_path / "key")


def test_a_bundle_is_decrypted_beside_its_plain_files(tmp_path: Path) -> None:
    bundle, target = tmp_path / "bundle", tmp_path / "target"
    bundle.mkdir()
    (bundle / "blessing.json").write_text("{}")
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        for name in ("model/weights", "model.onnx"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"bytes"))
    seal(tmp_path / "model.tar", bundle / SEALED_FILE, KEY)
    assert decrypt_bundle(bundle, target, KEY) == target
    files = {path.relative_to(target).as_posix(): path.read_text() for path in target.rglob("*") if path.is_file()}
    assert files == {"blessing.json": "{}", "model/weights": "bytes", "model.onnx": "bytes"}


def test_a_sealed_archive_cannot_write_outside_of_its_folder(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    with tarfile.open(tmp_path / "model.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("../escaped"))
    seal(tmp_path / "model.tar", bundle / SEALED_FILE, KEY)
    with pytest.raises(ModelwayError, match="outside of its folder"):
        decrypt_bundle(bundle, tmp_path / "deep" / "target", KEY)
    assert not list(tmp_path.rglob("escaped"))
