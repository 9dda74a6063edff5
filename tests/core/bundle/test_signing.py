"""Signatures hold for exactly the files that were signed, and the format is model-signing's own."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.bundle.signing import is_signed_by, sign, verify
from modelway.components.core.errors import ModelwayError


@pytest.fixture(scope="module")
def signed_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("signed")
    new_keys(root / "key", root / "key.pub")
    folder = root / "release"
    (folder / "model" / "nested").mkdir(parents=True)
    (folder / "blessing.json").write_text("{}")
    (folder / "model" / "weights").write_bytes(bytes(range(256)) * 9000)
    (folder / "model" / "nested" / "empty").write_bytes(b"")
    (folder / ".gitignore").write_text("signed like any other")
    sign(folder, folder / "release.sig", private_key=root / "key")
    return root


@pytest.fixture
def signed_folder(signed_once: Path, tmp_path: Path) -> Path:
    return shutil.copytree(signed_once, tmp_path / "copy") / "release"


def check(folder: Path, public: Path | None = None) -> None:
    verify(folder, folder / "release.sig", public_key=public or folder.parent / "key.pub")


def rewritten(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Changes the statement inside of the signature, as somebody without the key could."""
    bundle = json.loads((folder / "release.sig").read_text())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(statement).encode()).decode()
    (folder / "release.sig").write_text(json.dumps(bundle))


def test_a_signed_folder_verifies_wherever_it_lies(signed_folder: Path) -> None:
    check(signed_folder)
    new_place = signed_folder.rename(signed_folder.with_name("elsewhere"))
    check(new_place)


def test_model_signing_itself_verifies_it_too(signed_folder: Path) -> None:
    from model_signing import hashing, verifying

    verifier = verifying.Config().use_elliptic_key_verifier(public_key=signed_folder.parent / "key.pub")
    verifier.set_hashing_config(hashing.Config().set_ignored_paths(paths=["release.sig"], ignore_git_paths=False))
    verifier.verify(signed_folder, signed_folder / "release.sig")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (lambda folder: (folder / "blessing.json").write_text("{ }"), "blessing.json is not as it was"),
    "a changed file in a folder": (
        lambda folder: (folder / "model" / "weights").write_bytes(b"other"),
        "model/weights is not as it was signed",
    ),
    "a missing file": (lambda folder: (folder / "model" / "weights").unlink(), "weights was signed and is missing"),
    "an added file": (lambda folder: (folder / "model" / "evil.py").write_text("1"), "evil.py is not among the files"),
    "an added git file": (lambda folder: (folder / ".gitattributes").write_text("1"), ".gitattributes is not among"),
    "a changed git file": (lambda folder: (folder / ".gitignore").write_text("1"), ".gitignore is not as it was"),
    "a renamed file": (
        lambda folder: (folder / "blessing.json").rename(folder / "blessed.json"),
        "blessed.json is not among the files that were signed",
    ),
    "a link to a file": (lambda folder: (folder / "link").symlink_to(folder / "blessing.json"), "no.* plain file"),
    "no signature": (lambda folder: (folder / "release.sig").unlink(), "is not signed: there is no release.sig"),
    "an empty signature": (lambda folder: (folder / "release.sig").write_text(""), "it is not a model signature"),
    "another document": (lambda folder: (folder / "release.sig").write_text("[]"), "it is not a model signature"),
    "another statement": (
        lambda folder: rewritten(folder, lambda signed_statement: signed_statement.update(subject=[])),
        "does not belong to what it lists",
    ),
}


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES)
def test_whatever_differs_from_what_was_signed_is_refused_by_name(
    signed_folder: Path, change: Callable[[Path], object], problem: str
) -> None:
    change(signed_folder)
    with pytest.raises(ModelwayError, match=problem):
        check(signed_folder)
    assert not is_signed_by(signed_folder, signed_folder / "release.sig", private_key=signed_folder.parent / "key")


def test_a_signature_of_another_key_is_refused(signed_folder: Path) -> None:
    new_keys(signed_folder.parent / "other", signed_folder.parent / "other.pub")
    with pytest.raises(ModelwayError, match="made with another key"):
        check(signed_folder, signed_folder.parent / "other.pub")
    assert not is_signed_by(signed_folder, signed_folder / "release.sig", private_key=signed_folder.parent / "other")
    assert is_signed_by(signed_folder, signed_folder / "release.sig", private_key=signed_folder.parent / "key")


def test_a_signature_that_only_claims_the_key_is_refused(signed_folder: Path) -> None:
    hint = json.loads((signed_folder / "release.sig").read_text())["verificationMaterial"]
    new_keys(signed_folder.parent / "other", signed_folder.parent / "other.pub")
    sign(signed_folder, signed_folder / "release.sig", private_key=signed_folder.parent / "other")
    forged = json.loads((signed_folder / "release.sig").read_text()) | {"verificationMaterial": hint}
    (signed_folder / "release.sig").write_text(json.dumps(forged))
    with pytest.raises(ModelwayError, match="does not belong to what it lists"):
        check(signed_folder)


def test_a_signature_elsewhere_covers_every_file(signed_folder: Path) -> None:
    elsewhere = signed_folder.parent / "detached.sig"
    sign(signed_folder, elsewhere, private_key=signed_folder.parent / "key")
    verify(signed_folder, elsewhere, public_key=signed_folder.parent / "key.pub")
    (signed_folder / "release.sig").write_text("a file like any other")
    with pytest.raises(ModelwayError, match=r"release\.sig is not as it was signed"):
        verify(signed_folder, elsewhere, public_key=signed_folder.parent / "key.pub")


def test_a_link_is_not_signed(signed_folder: Path) -> None:
    (signed_folder / "link").symlink_to(signed_folder / "blessing.json")
    with pytest.raises(ModelwayError, match="cannot be signed"):
        sign(signed_folder, signed_folder / "release.sig", private_key=signed_folder.parent / "key")
