"""Models that were encrypted before the age format still open, with their key, or not at all."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modelway.components.core.bundle.encryption import decrypt_bundle, read_keys
from modelway.components.core.bundle.sealed_v1 import unseal
from modelway.components.core.errors import ModelwayError

DATA = Path(__file__).parent / "sealed_v1"  # by the last version that wrote this format
CHUNK = (1 << 20) + 16
HEADER = 9 + 32 + 12 + 48
KEY, OTHER = b"k" * 32, b"o" * 32


def seal(content: bytes, key: bytes = KEY) -> bytes:
    """The format, as it is documented."""
    data_key, head = b"d" * 32, b"MODELWAY1" + b"h" * 32
    chunks = [content[at : at + (1 << 20)] for at in range(0, len(content), 1 << 20)] or [b""]
    nonces = [number.to_bytes(11, "big") + bytes([number == len(chunks) - 1]) for number in range(len(chunks))]
    pairs = zip(nonces, chunks, strict=True)
    wrapped_key = b"n" * 12 + AESGCM(key).encrypt(b"n" * 12, data_key, head)
    return head + wrapped_key + b"".join(AESGCM(data_key).encrypt(nonce, chunk, None) for nonce, chunk in pairs)


def unseal_bytes(content: bytes, *keys: bytes) -> bytes:
    plain = io.BytesIO()
    unseal(io.BytesIO(content), plain, keys=keys or (KEY,))
    return plain.getvalue()


def random(size: int) -> bytes:
    return np.random.default_rng(size).bytes(size)


def test_a_file_of_the_last_version_that_wrote_them_opens_with_its_key(tmp_path: Path) -> None:
    decrypt_bundle(DATA, tmp_path / "target", keys=read_keys(DATA / "key"))
    files = {path.relative_to(tmp_path / "target").as_posix(): path for path in (tmp_path / "target").rglob("*")}
    texts = {name: path.read_text() for name, path in files.items() if path.is_file()}
    assert texts.pop("key")
    assert texts == {"model/MLmodel": "flavors: {}", "model/weights": "weights", "model.onnx": "graph"}


def test_it_does_not_open_with_an_identity(tmp_path: Path) -> None:
    keys = read_keys(DATA / "key")
    with pytest.raises(ModelwayError, match="cannot be decrypted with this key") as error:
        decrypt_bundle(DATA, tmp_path / "target", keys=type(keys)())
    assert "32 bytes in base64" in error.value.remedy
    assert error.value.file == str(DATA / "model.sealed")


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_what_was_sealed_is_opened_by_whichever_key_fits(size: int) -> None:
    assert unseal_bytes(seal(random(size))) == random(size)
    assert unseal_bytes(seal(random(size)), OTHER, KEY) == random(size)


def test_another_key_does_not_open_it() -> None:
    with pytest.raises(ModelwayError, match="cannot be decrypted with this key") as error:
        unseal_bytes(seal(b"secret"), OTHER)
    assert error.value.key == "MODELWAY_ENCRYPTION_KEY"


@pytest.mark.parametrize("position", [0, 9, 41, 53, HEADER - 1, HEADER, HEADER + CHUNK - 1, HEADER + CHUNK, -1])
def test_a_changed_byte_is_refused(position: int) -> None:
    content = bytearray(seal(random((2 << 20) + 5)))
    content[position] ^= 1
    with pytest.raises(ModelwayError, match=r"cannot be decrypted|was changed"):
        unseal_bytes(bytes(content))


def test_chunks_cannot_be_dropped_moved_repeated_or_cut_off() -> None:
    content = seal(random(3 << 20))
    header, parts = content[:HEADER], [content[HEADER + CHUNK * n : HEADER + CHUNK * (n + 1)] for n in range(3)]
    for wrong in ((), (0,), (0, 1), (1, 2), (0, 2), (1, 0, 2), (0, 1, 1, 2), (0, 1, 2, 2)):
        with pytest.raises(ModelwayError, match="changed or cut off"):
            unseal_bytes(header + b"".join(parts[n] for n in wrong))
    for end in (0, 8, HEADER - 1):
        with pytest.raises(ModelwayError, match="cannot be decrypted"):
            unseal_bytes(content[:end])
