"""Encryption of a release bundle's model: an envelope of AES-256-GCM.

A random data key encrypts the model's files, once and nothing else; it travels in the file's header, itself encrypted
by the key that ``MODELWAY_ENCRYPTION_KEY`` names (a file with 32 bytes in base64, such as a mounted Secret's). The
content is encrypted in chunks by the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, Online
Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015), so that neither side holds a large model twice,
and a chunk that is changed, moved, dropped or added is refused.

The sealed file is::

    MODELWAY1 | SHA-256 of the plain content | nonce of the wrapped key | data key, wrapped | chunks
        9     |              32              |            12            |     32 + 16       | <= 1 MiB + 16 each
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import shutil
import tarfile
from collections.abc import Iterator
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import BinaryIO

from modelway.components.core.archives import extract_tar
from modelway.components.core.errors import ModelwayError
from modelway.components.core.signing import ENCRYPTION_KEY, key_file, write_secret

SEALED_FILE = "model.sealed"

_MAGIC = b"MODELWAY1"
_CHUNK, _TAG = 1 << 20, 16
_HEADER = len(_MAGIC) + 32 + 12 + 32 + _TAG


def new_key(path: Path) -> None:
    """Makes a random key, as a new file that only its owner can read."""
    write_secret(path, base64.b64encode(secrets.token_bytes(32)) + b"\n")


def read_key(path: Path | None = None) -> bytes:
    """The key of 32 bytes in a file, by default the one that ``MODELWAY_ENCRYPTION_KEY`` names.

    Raises:
        ModelwayError: no file is named, it is not there, or it holds no 32 bytes in base64.
    """
    path = path or key_file(ENCRYPTION_KEY)
    try:
        key = base64.b64decode(path.read_bytes().strip(), validate=True)
    except (OSError, binascii.Error):
        key = b""
    if len(key) != 32:
        raise ModelwayError(
            "the encryption key cannot be read",
            file=str(path),
            key=ENCRYPTION_KEY,
            remedy="name a file that holds 32 bytes in base64; `encryption.new_key` makes one",
        )
    return key


def new_header(source: Path, key: bytes) -> bytes:
    """The header to seal a file under: a new data key, bound to the file's content and wrapped by the key."""
    return _wrapped(secrets.token_bytes(32), key, _sha256(source))


def is_header_of(header: bytes, source: Path, key: bytes) -> bool:
    """Whether a file can be sealed under a header: it was made for the same content, with the same key."""
    return _unwrapped(header, key) is not None and _content_of(header) == _sha256(source)


def seal(source: Path, target: Path, key: bytes, header: bytes | None = None) -> None:
    """Encrypts a file; under the same header into the same bytes.

    Args:
        source: The plain file.
        target: Where the sealed file goes.
        key: The key that wraps the data key, 32 bytes.
        header: A header that was made for this content with this key, by default a new one.

    Raises:
        ValueError: the header is of another content or key; a data key never encrypts two contents.
    """
    header = header or new_header(source, key)
    data_key = _unwrapped(header, key)
    if data_key is None or _content_of(header) != _sha256(source):
        raise ValueError("the header was made for another content or with another key")
    with source.open("rb") as plain, target.open("wb") as sealed:
        sealed.write(header)
        for chunk in _encrypted(plain, data_key):
            sealed.write(chunk)


def unseal(source: BinaryIO, key: bytes, name: str = SEALED_FILE) -> Iterator[bytes]:
    """Decrypts a sealed file, chunk by chunk; each chunk is authentic when it is given.

    Raises:
        ModelwayError: it was sealed by another key, or was changed or cut off.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = source.read(_HEADER)
    data_key = _unwrapped(header, key)
    if data_key is None:
        raise ModelwayError(
            f"{name} cannot be decrypted with this key",
            file=name,
            key=ENCRYPTION_KEY,
            remedy="name the key that the release was packaged with; or fetch the file again, if it was changed",
        )
    cipher, number, chunk = AESGCM(data_key), 0, source.read(_CHUNK + _TAG)
    while True:
        following = source.read(_CHUNK + _TAG)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except InvalidTag as error:
            raise ModelwayError(
                f"{name} was changed or cut off after it was encrypted",
                file=name,
                remedy="fetch it again from where it was released; nothing of it was used",
            ) from error
        if not following:
            return
        number, chunk = number + 1, following


def decrypt_bundle(folder: Path, target: Path, key: bytes) -> Path:
    """Decrypts a sealed bundle into a folder, which should be in memory (``emptyDir`` with ``medium: Memory``).

    Args:
        folder: The bundle, with the model's files sealed.
        target: Where the whole bundle goes in plain; must not exist yet or be empty.
        key: The key, 32 bytes.

    Returns:
        The target.

    Raises:
        ModelwayError: the key is another, or the sealed file was changed.
    """
    shutil.copytree(folder, target, ignore=lambda _, names: {SEALED_FILE} & set(names), dirs_exist_ok=True)
    path = folder / SEALED_FILE
    with path.open("rb") as sealed:
        plain = BufferedReader(_Chunks(unseal(sealed, key, str(path))), _CHUNK)  # type: ignore[type-var]
        with tarfile.open(fileobj=plain, mode="r|") as archive:
            extract_tar(archive, target)
        while plain.read(_CHUNK):  # what follows the archive's end is authenticated too
            pass
    return target


class _Chunks(RawIOBase):
    """A stream of chunks as a file to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if not self._left:
            self._left = next(self._chunks, b"")
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


def _encrypted(plain: BinaryIO, data_key: bytes) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher, number, chunk = AESGCM(data_key), 0, plain.read(_CHUNK)
    while True:
        following = plain.read(_CHUNK)
        yield cipher.encrypt(_nonce(number, last=not following), chunk, None)
        if not following:
            return
        number, chunk = number + 1, following


def _nonce(number: int, *, last: bool) -> bytes:
    """The nonce of a chunk: distinct for each under a data key, which encrypts one content only."""
    return number.to_bytes(11, "big") + bytes([last])


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _content_of(header: bytes) -> bytes:
    return header[len(_MAGIC) : len(_MAGIC) + 32]


def _wrapped(data_key: bytes, key: bytes, content: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(12)
    return _MAGIC + content + nonce + AESGCM(key).encrypt(nonce, data_key, _MAGIC + content)


def _unwrapped(header: bytes, key: bytes) -> bytes | None:
    """The data key in a header; None if another key wrapped it or the header was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(header) != _HEADER or not header.startswith(_MAGIC):
        return None
    content, nonce = _content_of(header), header[len(_MAGIC) + 32 : len(_MAGIC) + 44]
    try:
        return AESGCM(key).decrypt(nonce, header[len(_MAGIC) + 44 :], _MAGIC + content)
    except InvalidTag:
        return None
