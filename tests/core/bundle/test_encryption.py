"""A model is encrypted by a public recipient alone, and opens whole, with its identity, or not at all."""

from __future__ import annotations

import base64
import io
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from modelway.components.core.bundle.encryption import (
    ENCRYPTED_FILE,
    decrypt_bundle,
    encrypt,
    new_identity,
    read_keys,
    read_recipient,
)
from modelway.components.core.errors import ModelwayError

OLD_KEY = base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder with two identities and their recipients."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("own", "other"):
        new_identity(folder / f"{name}.key", folder / f"{name}.recipient")
    return folder


def write_tar(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def encrypted(folder: Path, files: dict[str, bytes], recipient: Path) -> Path:
    """A bundle with the files in one that is encrypted to the recipient of a file, and one that is not."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "blessing.json").write_text("{}")
    plain = write_tar(folder / "model.tar", files)
    encrypt(plain, bundle / ENCRYPTED_FILE, recipient=recipient.read_text().strip())
    return bundle


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


MODEL = {"model/weights": b"bytes", "model.onnx": b"graph"}


def test_a_bundle_is_decrypted_beside_its_plain_files(tmp_path: Path, keys: Path) -> None:
    bundle = encrypted(tmp_path, MODEL, keys / "own.recipient")
    assert b"weights" not in (bundle / ENCRYPTED_FILE).read_bytes()
    assert decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "own.key")) == tmp_path / "target"
    assert texts(tmp_path / "target") == {"blessing.json": "{}", "model/weights": "bytes", "model.onnx": "graph"}


def test_age_opens_it_and_it_opens_what_age_encrypts(tmp_path: Path, keys: Path, age_command: str) -> None:
    bundle = encrypted(tmp_path, MODEL, keys / "own.recipient")
    path = bundle / ENCRYPTED_FILE
    opened = subprocess.run([age_command, "-d", "-i", keys / "own.key", path], capture_output=True, check=True)
    assert opened.stdout == (tmp_path / "model.tar").read_bytes()
    plain = write_tar(tmp_path / "other.tar", {"model/weights": b"by age"})
    subprocess.run([age_command, "-R", keys / "own.recipient", "-o", path, plain], check=True)
    decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "own.key"))
    assert texts(tmp_path / "target") == {"blessing.json": "{}", "model/weights": "by age"}


def test_another_identity_does_not_open_it(tmp_path: Path, keys: Path) -> None:
    bundle = encrypted(tmp_path, MODEL, keys / "own.recipient")
    with pytest.raises(ModelwayError, match="cannot be decrypted with this key: No matching keys") as caught:
        decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "other.key"))
    assert caught.value.key == "MODELWAY_ENCRYPTION_KEY"
    assert caught.value.file == str(bundle / ENCRYPTED_FILE)


def test_a_key_of_before_does_not_open_it_and_beside_an_identity_does_no_harm(tmp_path: Path, keys: Path) -> None:
    bundle = encrypted(tmp_path, MODEL, keys / "own.recipient")
    (keys / "old.key").write_text(f"{OLD_KEY}\n")
    with pytest.raises(ModelwayError, match="holds no identity of age") as caught:
        decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "old.key"))
    assert "AGE-SECRET-KEY-1" in caught.value.remedy
    several = "".join((keys / f"{name}.key").read_text() for name in ("old", "other", "own"))
    (keys / "several.key").write_text(several)
    decrypt_bundle(bundle, tmp_path / "later", keys=read_keys(keys / "several.key"))
    assert texts(tmp_path / "later")["model.onnx"] == "graph"


@pytest.mark.parametrize("cut", [0, 10, 100, -200_000, -(1 << 16), -16, -1])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, keys: Path, cut: int) -> None:
    content = {"model/weights": np.random.default_rng(1).bytes(1 << 20)}
    bundle = encrypted(tmp_path, content, keys / "own.recipient")
    path = bundle / ENCRYPTED_FILE
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelwayError, match=r"cannot be decrypted|changed or cut off") as caught:
        decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "own.key"))
    assert caught.value.file == str(path)


@pytest.mark.parametrize("position", [0, 60, 200, 70_000, -70_000, -1])
def test_a_changed_byte_is_refused_even_after_the_archives_end(tmp_path: Path, keys: Path, position: int) -> None:
    bundle = encrypted(tmp_path, MODEL, keys / "own.recipient")
    plain = tmp_path / "model.tar"
    plain.write_bytes(plain.read_bytes() + bytes(1 << 18))
    encrypt(plain, bundle / ENCRYPTED_FILE, recipient=(keys / "own.recipient").read_text().strip())
    content = bytearray((bundle / ENCRYPTED_FILE).read_bytes())
    content[position] ^= 1
    (bundle / ENCRYPTED_FILE).write_bytes(content)
    with pytest.raises(ModelwayError, match=r"cannot be decrypted|changed or cut off"):
        decrypt_bundle(bundle, tmp_path / "target", keys=read_keys(keys / "own.key"))


def test_an_archive_cannot_write_outside_of_its_folder(tmp_path: Path, keys: Path) -> None:
    files = {"../escaped": b"", "model/weights": bytes(4 << 20)}  # more than is read ahead: the writer is left behind
    bundle = encrypted(tmp_path, files, keys / "own.recipient")
    with pytest.raises(ModelwayError, match="outside of its folder"):
        decrypt_bundle(bundle, tmp_path / "deep" / "target", keys=read_keys(keys / "own.key"))
    assert not list(tmp_path.rglob("escaped"))


def test_a_large_model_is_held_neither_encrypting_nor_decrypting(tmp_path: Path, keys: Path) -> None:
    write_tar(tmp_path / "model.tar", {"model/weights": bytes(200 << 20)})
    (tmp_path / "bundle").mkdir()
    code = f"""
from pathlib import Path
from modelway.components.core.bundle.encryption import ENCRYPTED_FILE, decrypt_bundle, encrypt, read_keys
folder, keys = Path({str(tmp_path)!r}), Path({str(keys)!r})
recipient = (keys / "own.recipient").read_text().strip()
encrypt(folder / "model.tar", folder / "bundle" / ENCRYPTED_FILE, recipient=recipient)
decrypt_bundle(folder / "bundle", folder / "target", read_keys(keys / "own.key"))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 100_000  # KiB, of the whole process
    assert (tmp_path / "target" / "model" / "weights").stat().st_size == 200 << 20


def test_an_identity_is_the_owners_and_its_recipient_anyones(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stat.S_IMODE((keys / "own.key").stat().st_mode) == 0o600
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(keys / "own.key"))
    (identity,) = read_keys().identities
    text = str(identity.to_public())
    for named in (str(keys / "own.recipient"), text, f" {text}\n"):
        monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", named)
        assert read_recipient() == text
    with pytest.raises(ModelwayError, match="is there already"):
        new_identity(keys / "own.key", keys / "new.recipient")


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("", "the file is empty", None),
        ("# a comment\n\n", "the file is empty", None),
        ("# a comment\nshort", "it is no key", 2),
        ("not base64 at all!", "it is no key", 1),
        ("aGVsbG8=", "it is no key", 1),
        (f"{OLD_KEY}\nAGE-SECRET-KEY-1QQQ", "it is no key", 2),
        ("age1qqq", "it is a recipient, which only encrypts", 1),
    ],
)
def test_a_file_without_a_key_is_refused_with_its_line(tmp_path: Path, text: str, reason: str, line: int) -> None:
    (tmp_path / "key").write_text(text)
    with pytest.raises(ModelwayError, match="cannot be read") as caught:
        read_keys(tmp_path / "key")
    assert reason in caught.value.message
    assert (caught.value.file, caught.value.line) == (str(tmp_path / "key"), line)


def test_what_is_no_recipient_is_refused_and_a_secret_not_repeated(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = (keys / "own.key").read_text().splitlines()[-1]
    (tmp_path / "two").write_text((keys / "own.recipient").read_text() + (keys / "other.recipient").read_text())
    (tmp_path / "ssh").write_text("ssh-ed25519 AAAA")
    (tmp_path / "bytes").write_bytes(b"\xff")
    for named, reason in {
        "age1notone": "invalid Bech32",
        str(tmp_path / "two"): "names 2 in place of one",
        str(tmp_path / "ssh"): "invalid Bech32",
        str(tmp_path / "bytes"): "it is no text",
        str(tmp_path / "none"): "names no file",
        secret: "it is a secret identity",
        str(keys / "own.key"): "it is a secret identity",
    }.items():
        monkeypatch.setenv("MODELWAY_ENCRYPTION_RECIPIENT", named)
        with pytest.raises(ModelwayError, match=reason) as caught:
            read_recipient()
        assert caught.value.key == "MODELWAY_ENCRYPTION_RECIPIENT"
        assert secret not in str(caught.value)
