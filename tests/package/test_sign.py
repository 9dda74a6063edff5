"""The same content is encrypted and signed into the same bytes, as long as what is kept of it in the store holds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelway.components.core.bundle.encryption import ENCRYPTED_FILE, decrypt_bundle, encrypt, new_identity, read_keys
from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.bundle.signing import verify
from modelway.components.package.sign import encrypt_and_sign

FILES = {"model/MLmodel": "flavors: {}", "model/data/weights": "weights", "model.onnx": "graph", "release.json": "{}"}


@pytest.fixture
def seal(tmp_path: Path, keys: Path) -> Callable[..., Path]:
    """Encrypts and signs a content; returns the bundle's folder."""

    def encrypt_bundle(name: str, recipient: str = "recipient", key: str = "key", **files: str) -> Path:
        folder = tmp_path / name / "release"
        for file, text in (FILES | files).items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text)
        address = (keys / recipient).read_text().strip() if recipient else None
        encrypt_and_sign(folder, str(tmp_path / "store"), signing_key=keys / key, recipient=address)
        return folder

    return encrypt_bundle


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stored_file(tmp_path: Path, suffix: str) -> Path:
    (path,) = (tmp_path / "store").rglob(f"*{suffix}")
    return path


def test_it_needs_no_secret_but_the_signing_key_and_leaves_no_plain_copy(
    seal: Callable[..., Path], tmp_path: Path, keys: Path
) -> None:
    secret = (keys / "encryption").rename(tmp_path / "elsewhere")
    folder = seal("one")
    assert {path.name for path in folder.iterdir()} == {ENCRYPTED_FILE, "release.json", "release.sig"}
    verify(folder, folder / "release.sig", public_key=keys / "key.pub")
    files = contents(decrypt_bundle(folder, tmp_path / "opened", keys=read_keys(secret)))
    assert {name: files[name].decode() for name in FILES} == FILES
    store_content = b"".join(contents(tmp_path / "store").values())
    assert b"weights" not in store_content
    assert b"flavors" not in b"".join(contents(tmp_path / "one").values()) + store_content


def test_the_same_content_gives_the_same_bytes_for_each_recipient_and_key(
    seal: Callable[..., Path], keys: Path
) -> None:
    new_identity(keys / "another", keys / "another.recipient")
    new_keys(keys / "second", keys / "second.pub")
    variants = [("recipient", "key"), ("another.recipient", "key"), ("recipient", "second"), ("", "key")]
    first = [contents(seal(f"first-{n}", *variant)) for n, variant in enumerate(variants)]
    again = [contents(seal(f"again-{n}", *variant)) for n, variant in enumerate(variants)]
    assert again == first
    assert len({files.get(ENCRYPTED_FILE) for files in first}) == len(variants)


def test_of_two_at_once_both_take_the_same(seal: Callable[..., Path]) -> None:
    with ThreadPoolExecutor(4) as pool:
        bundles = [contents(folder) for folder in pool.map(seal, "abcd")]
    assert bundles == bundles[:1] * 4


@pytest.mark.parametrize("lacking", [False, True])
def test_a_ciphertext_that_is_not_the_recorded_one_is_not_taken(
    seal: Callable[..., Path], tmp_path: Path, keys: Path, lacking: bool
) -> None:
    first = contents(seal("first"))
    path = stored_file(tmp_path, ".age")
    recipient = (keys / "recipient").read_text().strip()
    (tmp_path / "else").write_text("another model, to the same recipient")
    path.unlink() if lacking else encrypt(tmp_path / "else", path, recipient=recipient)
    folder = seal("again")
    assert contents(folder)[ENCRYPTED_FILE] != first[ENCRYPTED_FILE]
    decrypt_bundle(folder, tmp_path / "opened", keys=read_keys(keys / "encryption"))
    assert (tmp_path / "opened" / "model.onnx").read_text() == "graph"
    verify(folder, folder / "release.sig", public_key=keys / "key.pub")
    assert contents(seal("third")) == contents(folder)


def of_another_model(record: Path, other_bundle: Path) -> None:
    """The record that the same key signed for another model, with its ciphertext."""
    shutil.copy(other_bundle, record)
    (ciphertext,) = other_bundle.parent.glob("*.age")
    shutil.copy(ciphertext, record.parent)


def with_another_signature(record: Path, other_bundle: Path) -> None:
    document, other_document = json.loads(record.read_bytes()), json.loads(other_bundle.read_bytes())
    document["dsseEnvelope"]["signatures"] = other_document["dsseEnvelope"]["signatures"]
    record.write_text(json.dumps(document))


@pytest.mark.parametrize("forge", [of_another_model, with_another_signature, lambda record, _: record.write_text("{}")])
def test_a_record_of_another_model_or_with_a_false_signature_is_not_taken(
    seal: Callable[..., Path], tmp_path: Path, keys: Path, forge: Callable[[Path, Path], object]
) -> None:
    first = contents(seal("first"))
    record = stored_file(tmp_path, ".record")
    record.chmod(0o644)
    other_bundle = contents(seal("other", **{"model.onnx": "another graph"}))
    (other_record,) = set((tmp_path / "store").rglob("*.record")) - {record}
    forge(record, other_record)
    folder = seal("again")
    assert contents(folder)[ENCRYPTED_FILE] not in {first[ENCRYPTED_FILE], other_bundle[ENCRYPTED_FILE]}
    decrypt_bundle(folder, tmp_path / "opened", keys=read_keys(keys / "encryption"))
    assert (tmp_path / "opened" / "model.onnx").read_text() == "graph"
    assert contents(seal("third")) == contents(folder)
