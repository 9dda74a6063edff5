"""Encrypts a bundle's model if there is a recipient, and signs the bundle; the same contents give the same bytes.

An elliptic-curve signature and an age file differ each time that they are made. So both are kept in the store, and
reused for the same content as long as they are valid::

    packages/<SHA-256 of the content>/<key id>.sig                             the signature of the bundle in plain
    packages/<SHA-256 of the content>/<recipient>/<key id>.sig                 the signature of the encrypted bundle
    packages/<SHA-256 of the content>/<recipient>/<key id>.record              the ciphertext's record
    packages/<SHA-256 of the content>/<recipient>/<SHA-256 of the ciphertext>.age

Anyone can encrypt to a recipient, and others may write to the store. The record is therefore signed too: it is a
signature over the plain file, the ciphertext and the recipient, and lists their hashes.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from modelway.components.core.bundle.bundle import MODEL_FOLDER, ONNX_FILE, SIGNATURE_FILE
from modelway.components.core.bundle.encryption import ENCRYPTED_FILE, encrypt
from modelway.components.core.bundle.keys import key_id
from modelway.components.core.bundle.signing import is_signed_by, sign, signed_hashes
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.core.storage.models import folder_sha256
from modelway.components.core.storage.uri import create_uri, fetch, join, read_uri, sha256_of, upload, write_uri


def encrypt_and_sign(folder: Path, store: str, *, signing_key: Path, recipient: str | None) -> None:
    """Encrypts the model, if there is a recipient for it, and signs the bundle.

    Args:
        folder: The bundle's files; with a recipient, one encrypted file replaces the model's.
        store: The root of the project's store.
        signing_key: The private key's file.
        recipient: The age recipient that the model is encrypted to; None: it is not encrypted.
    """
    home = join(store, "packages", folder_sha256(folder))
    if recipient is not None:
        home = join(home, recipient)
        _encrypt_model(folder, home, signing_key=signing_key, recipient=recipient)
    signature = folder / SIGNATURE_FILE

    def is_valid(content: bytes) -> bool:
        signature.write_bytes(content)
        return is_signed_by(folder, signature, private_key=signing_key)

    create = partial(_signature, folder, signature, signing_key=signing_key)
    signature.write_bytes(_reuse_or_create(join(home, f"{_short_id(signing_key)}.sig"), is_valid, create=create))


def _encrypt_model(folder: Path, home: str, *, signing_key: Path, recipient: str) -> None:
    """Replaces the model's files by their ciphertext: the one recorded in the store if it is valid, or a new one."""
    work = folder.parent / "encryption"
    work.mkdir()
    plain, ciphertext, record = work / "model.tar", work / ENCRYPTED_FILE, folder.parent / "record"
    _write_tar(folder, plain)
    (work / "recipient").write_text(recipient, encoding="utf-8")
    expected = {path.name: sha256_of(path) for path in work.iterdir()}

    def is_valid(content: bytes) -> bool:
        record.write_bytes(content)
        try:
            hashes = signed_hashes(record, signing_key)
        except ModelwayError:
            return False
        sha256 = hashes.pop(ENCRYPTED_FILE, "")
        if hashes != expected:
            return False
        try:
            fetched = fetch(join(home, f"{sha256}.age"), folder.parent)
        except NotFoundError:
            return False
        copy = Path(shutil.copyfile(fetched, folder.parent / "copy"))
        if sha256_of(copy) != sha256:
            return False
        copy.replace(ciphertext)
        return True

    def create() -> bytes:
        encrypt(plain, ciphertext, recipient=recipient)
        upload(ciphertext, join(home, f"{sha256_of(ciphertext)}.age"))
        return _signature(work, record, signing_key=signing_key)

    _reuse_or_create(join(home, f"{_short_id(signing_key)}.record"), is_valid, create=create)
    shutil.rmtree(folder / MODEL_FOLDER)
    (folder / ONNX_FILE).unlink(missing_ok=True)
    ciphertext.replace(folder / ENCRYPTED_FILE)
    shutil.rmtree(work)


def _write_tar(folder: Path, target: Path) -> None:
    """Archives the model's files; the same files give the same bytes."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in [*sorted((folder / MODEL_FOLDER).rglob("*")), folder / ONNX_FILE]:
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                entry.size, entry.mode = path.stat().st_size, 0o444
                with path.open("rb") as file:
                    archive.addfile(entry, file)


def _signature(folder: Path, target: Path, *, signing_key: Path) -> bytes:
    """Signs a folder anew; the target's old signature is left out."""
    target.unlink(missing_ok=True)
    sign(folder, target, private_key=signing_key)
    return target.read_bytes()


def _short_id(signing_key: Path) -> str:
    return key_id(signing_key)[:16]


def _reuse_or_create(target: str, is_valid: Callable[[bytes], bool], *, create: Callable[[], bytes]) -> bytes:
    """Returns the content of a URI if it is valid, else creates it; two callers at once get the same content."""
    try:
        existing = read_uri(target)
    except NotFoundError:
        existing = None
    if existing is not None and is_valid(existing):
        return existing
    content = create()
    if existing is None:
        if create_uri(target, content):
            return content
        concurrent = read_uri(target)
        if is_valid(concurrent):
            return concurrent
    write_uri(target, content)
    return content
