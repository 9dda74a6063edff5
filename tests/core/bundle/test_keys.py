"""Keys: only their owner reads them, and one that cannot be used is named."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from modelway.components.core.bundle.keys import key_file, new_keys
from modelway.components.core.bundle.signing import sign
from modelway.components.core.errors import ModelwayError


def test_only_the_owner_reads_a_new_private_key_and_no_key_is_written_over(tmp_path: Path) -> None:
    new_keys(tmp_path / "key", tmp_path / "key.pub")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    with pytest.raises(ModelwayError, match="is there already"):
        new_keys(tmp_path / "new", tmp_path / "key.pub")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", ["nothing", "text", "the other half", "another curve", "a password"])
def test_a_key_that_cannot_be_used_is_named(tmp_path: Path, kind: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    key = tmp_path / "key"
    if kind == "text":
        key.write_text("no key")
    elif kind == "the other half":
        new_keys(tmp_path / "private", key)
    elif kind in {"another curve", "a password"}:
        wrong_key = ec.generate_private_key(ec.SECP384R1() if kind == "another curve" else ec.SECP256R1())
        key.write_bytes(wrong_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelwayError) as error:
        sign(tmp_path / "folder", tmp_path / "folder.sig", private_key=key)
    assert (error.value.file, error.value.key) == (str(key), "MODELWAY_SIGNING_KEY")
    assert not (tmp_path / "folder.sig").exists()


def test_a_key_is_named_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELWAY_SIGNING_KEY", raising=False)
    with pytest.raises(ModelwayError, match="MODELWAY_SIGNING_KEY is not set"):
        key_file("MODELWAY_SIGNING_KEY")
    monkeypatch.setenv("MODELWAY_SIGNING_KEY", str(tmp_path / "key"))
    with pytest.raises(ModelwayError, match="does not exist"):
        key_file("MODELWAY_SIGNING_KEY")
    (tmp_path / "key").write_text("")
    assert key_file("MODELWAY_SIGNING_KEY") == tmp_path / "key"
