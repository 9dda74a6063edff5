"""Reading of models that were encrypted before the age format, in the release's file ``model.sealed``.

The file is::

    MODELWAY1 | SHA-256 of the plain content | nonce of the wrapped key | data key, wrapped | chunks
        9     |              32              |            12            |     32 + 16       | <= 1 MiB + 16 each

A key of 32 bytes wraps the data key by AES-256-GCM, which encrypts the chunks by the STREAM construction (Hoang,
Reyhanitabar, Rogaway and Vizár, Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BufferedIOBase

from modelway.components.core.bundle.keys import ENCRYPTION_KEY
from modelway.components.core.errors import ModelwayError

SEALED_FILE = "model.sealed"
KEY_BYTES = 32

_MAGIC = b"MODELWAY1"
_CHUNK, _TAG = 1 << 20, 16
_HEADER = len(_MAGIC) + 32 + 12 + 32 + _TAG


def unseal(source: BufferedIOBase, target: BufferedIOBase, *, keys: Sequence[bytes], name: str = SEALED_FILE) -> None:
    """Decrypts a sealed file by one of several keys, chunk by chunk; each chunk is authentic when it is written.

    Raises:
        ModelwayError: it was sealed by another key, or was changed or cut off.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = source.read(_HEADER)
    data_key = next((unwrapped for key in keys if (unwrapped := _unwrapped(header, key)) is not None), None)
    if data_key is None:
        raise ModelwayError(
            f"{name} cannot be decrypted with this key",
            file=name,
            key=ENCRYPTION_KEY,
            remedy="name a file in which a line is the key, 32 bytes in base64, that the release was packaged with; or "
            "package the version again",
        )
    cipher, number, chunk = AESGCM(data_key), 0, source.read(_CHUNK + _TAG)
    while True:
        following = source.read(_CHUNK + _TAG)
        nonce = number.to_bytes(11, "big") + bytes([not following])
        try:
            target.write(cipher.decrypt(nonce, chunk, None))
        except InvalidTag as error:
            raise changed_or_cut_off(name) from error
        if not following:
            return
        number, chunk = number + 1, following


def changed_or_cut_off(name: str) -> ModelwayError:
    """The error of an encrypted file that is not as it was written."""
    return ModelwayError(
        f"{name} was changed or cut off after it was encrypted",
        file=name,
        remedy="fetch it again from where it was released; none of it was used",
    )


def _unwrapped(header: bytes, key: bytes) -> bytes | None:
    """The data key in a header; None if another key wrapped it or the header was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    content_end, nonce_end = len(_MAGIC) + 32, len(_MAGIC) + 44
    if len(header) != _HEADER or not header.startswith(_MAGIC):
        return None
    try:
        return AESGCM(key).decrypt(header[content_end:nonce_end], header[nonce_end:], header[:content_end])
    except InvalidTag:
        return None
