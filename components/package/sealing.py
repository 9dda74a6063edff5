"""Encrypts a bundle's model if it is asked for, and signs the bundle; the same contents come out the same.

A signature by an elliptic curve and a random data key differ each time that they are made. So those made for a content
are kept in the store, below ``packages/<SHA-256 of the content>/``, and taken again where they hold.
"""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

from modelway.components.core.bundle import MODEL_FOLDER, ONNX_FILE, SIGNATURE_FILE
from modelway.components.core.encryption import SEALED_FILE, is_header_of, new_header, seal
from modelway.components.core.errors import NotFoundError
from modelway.components.core.models import folder_sha256
from modelway.components.core.signing import is_signed_by, key_id, sign
from modelway.components.core.storage import create_uri, join, read_uri, write_uri


def seal_and_sign(folder: Path, store: str, signing_key: Path, encryption_key: bytes | None) -> None:
    """Encrypts the model, if there is a key for that, and signs the bundle.

    Args:
        folder: The bundle's files; the model's are replaced by one sealed file, if they are encrypted.
        store: The root of the project's store.
        signing_key: The private key's file.
        encryption_key: The key that wraps the model's data key, 32 bytes; None: the model stays plain.
    """
    kept = join(store, "packages", folder_sha256(folder))
    if encryption_key is not None:
        _seal_model(folder, kept, encryption_key)
    signature = folder / SIGNATURE_FILE

    def is_valid(content: bytes) -> bool:
        signature.write_bytes(content)
        return is_signed_by(folder, signature, signing_key)

    def make() -> bytes:
        signature.unlink(missing_ok=True)
        sign(folder, signature, signing_key)
        return signature.read_bytes()

    sealed = "sealed-" if encryption_key is not None else ""
    name = f"{sealed}{key_id(signing_key)[:16]}.sig"
    signature.write_bytes(_taken_or_made(join(kept, name), is_valid, make))


def _seal_model(folder: Path, kept: str, key: bytes) -> None:
    plain = folder.parent / "model.tar"
    with tarfile.open(plain, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in [*sorted((folder / MODEL_FOLDER).rglob("*")), folder / ONNX_FILE]:
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                entry.size, entry.mode = path.stat().st_size, 0o444
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    header = _taken_or_made(
        join(kept, "model.header"), lambda found: is_header_of(found, plain, key), lambda: new_header(plain, key)
    )
    seal(plain, folder / SEALED_FILE, key, header)
    plain.unlink()
    shutil.rmtree(folder / MODEL_FOLDER)
    (folder / ONNX_FILE).unlink(missing_ok=True)


def _taken_or_made(target: str, is_valid: Callable[[bytes], bool], make: Callable[[], bytes]) -> bytes:
    """What is kept at a URI if it is valid, else what is made and kept there now; of two at once, both take one."""
    found = _read(target)
    if found is not None and is_valid(found):
        return found
    made = make()
    if found is None:
        if create_uri(target, made):
            return made
        other = read_uri(target)
        if is_valid(other):
            return other
    write_uri(target, made)
    return made


def _read(source: str) -> bytes | None:
    try:
        return read_uri(source)
    except NotFoundError:
        return None
