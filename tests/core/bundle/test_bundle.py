"""A release bundle is verified in all its parts, in plain and encrypted."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.bundle.bundle import Bundle, Release, verify_bundle
from modelway.components.core.bundle.encryption import ENCRYPTED_FILE, encrypt, new_identity
from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.bundle.signing import sign
from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import GATES, Blessing, Hashes, bless
from modelway.components.core.storage.models import folder_sha256


def write_bundle(folder: Path, *, blessed: bool = True, onnx: bool = True) -> Path:
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "MLmodel").write_text("flavors: {}")
    (folder / "model" / "weights").write_bytes(b"weights")
    if onnx:
        (folder / "model.onnx").write_bytes(b"graph")
    hashes = Hashes(model=folder_sha256(folder / "model"), project="p", contract="c", policy="q")
    gates = [Gate(name=name, checks=(passed_or_failed("rows", blessed, message="few rows."),)) for name in GATES]
    blessing = bless(gates, hashes, project="loans", run="r", git_commit="", requested_by="ada", compared_with="")
    (folder / "blessing.json").write_bytes(blessing.content())
    (folder / "policy.json").write_text('{"model": {"metrics": {"roc_auc": {"min": 0.7}}}}')
    (folder / "sbom.cdx.json").write_text("{}")
    release = Release("loans", "3", blessing.sha256(), hashes.model, onnx, "modelway")
    (folder / "release.json").write_text(json.dumps(vars(release)))
    return folder


def encrypt_model(folder: Path, recipient: Path) -> None:
    """Puts the encrypted file in place of the model's."""
    plain = folder.parent / "model.tar"
    with tarfile.open(plain, "w") as archive:
        for path in (*sorted((folder / "model").iterdir()), folder / "model.onnx"):
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            entry.size = path.stat().st_size
            archive.addfile(entry, io.BytesIO(path.read_bytes()))
    encrypt(plain, folder / ENCRYPTED_FILE, recipient=recipient.read_text().strip())
    shutil.rmtree(folder / "model")
    (folder / "model.onnx").unlink()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    new_keys(folder / "key", folder / "key.pub")
    new_identity(folder / "encryption", folder / "recipient")
    for name in ("plain", "sealed"):
        write_bundle(folder / name)
    encrypt_model(folder / "sealed", folder / "recipient")
    for name in ("plain", "sealed"):
        sign(folder / name, folder / name / "release.sig", private_key=folder / "key")
    return folder


@pytest.fixture
def plain(root: Path, tmp_path: Path) -> Path:
    return shutil.copytree(root / "plain", tmp_path / "release")


@pytest.fixture
def encrypted(root: Path, tmp_path: Path) -> Path:
    return shutil.copytree(root / "sealed", tmp_path / "release")


def test_a_whole_bundle_is_taken(plain: Path, root: Path) -> None:
    bundle = verify_bundle(plain, root / "key.pub")
    assert (bundle.encrypted, bundle.onnx, bundle.baseline) == (False, plain / "model.onnx", None)
    assert bundle.release().name == "loans"
    assert Blessing.model_validate_json((plain / "blessing.json").read_bytes()).sha256() == bundle.blessing_sha256()
    assert bundle.blessing_sha256() == bundle.release().blessing_sha256
    assert Policy.load(plain / "policy.json").model.metrics["roc_auc"].min == 0.7


@pytest.mark.parametrize(
    "file", ["model/weights", "model.onnx", "blessing.json", "policy.json", "sbom.cdx.json", "release.json"]
)
def test_a_changed_file_breaks_the_signature_and_is_named(plain: Path, root: Path, file: str) -> None:
    with (plain / file).open("ab") as content:
        content.write(b" ")
    with pytest.raises(ModelwayError, match=f"{file} is not as it was signed") as error:
        verify_bundle(plain, root / "key.pub")
    assert error.value.file == str(plain / file)


def test_an_unsigned_bundle_is_refused_where_a_key_is_trusted(plain: Path, root: Path) -> None:
    (plain / "release.sig").unlink()
    with pytest.raises(ModelwayError, match="is not signed"):
        verify_bundle(plain, root / "key.pub")
    verify_bundle(plain, None)


def changed_release(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        document = json.loads((folder / "release.json").read_text())
        (folder / "release.json").write_text(json.dumps(document | changes))

    return change


def unblessed(folder: Path) -> None:
    document = json.loads((folder / "blessing.json").read_text()) | {"blessed": False}
    (folder / "blessing.json").write_text(json.dumps(document))
    sha256 = hashlib.sha256((folder / "blessing.json").read_bytes()).hexdigest()
    changed_release(blessing_sha256=sha256)(folder)


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model": (lambda folder: (folder / "model" / "weights").write_bytes(b"x"), "not those that were blessed"),
    "another file in the model": (lambda folder: (folder / "model" / "x").touch(), "not those that were blessed"),
    "no model": (lambda folder: shutil.rmtree(folder / "model"), "model is missing or cannot be read"),
    "another blessing": (changed_release(blessing_sha256="0" * 64), "the blessing is not the one of loans 3"),
    "a release of another model": (changed_release(model_hash="0" * 64), "names another model than was blessed"),
    "no blessing": (lambda folder: (folder / "blessing.json").unlink(), "blessing.json is missing"),
    "a model that is not blessed": (unblessed, "loans 3 is not blessed"),
    "no converted model": (lambda folder: (folder / "model.onnx").unlink(), "the converted model is missing"),
    "no release": (lambda folder: (folder / "release.json").unlink(), "release.json is missing"),
    "a release that says more": (changed_release(more=1), "release.json is missing or cannot be read"),
    "a release that is no JSON": (lambda folder: (folder / "release.json").write_text("x"), "release.json is missing"),
    "a blessing that is no mapping": (
        lambda folder: (
            (folder / "blessing.json").write_text("[]"),
            changed_release(blessing_sha256=hashlib.sha256(b"[]").hexdigest())(folder),
        ),
        "blessing.json is missing or cannot be read",
    ),
}


@pytest.mark.parametrize(("change", "says"), WRONG.values(), ids=WRONG)
def test_parts_that_do_not_belong_together_are_refused(
    plain: Path, root: Path, change: Callable[[Path], object], says: str
) -> None:
    change(plain)
    with pytest.raises(ModelwayError, match=says):
        verify_bundle(plain, None)
    (plain / "release.sig").unlink()
    sign(plain, plain / "release.sig", private_key=root / "key")
    with pytest.raises(ModelwayError, match=says):
        verify_bundle(plain, root / "key.pub")


def test_what_is_no_folder_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="is not a release bundle"):
        verify_bundle(tmp_path / "nothing", None)


def test_a_sealed_bundle_is_verified_sealed_and_opened_where_it_may_be(
    encrypted: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = verify_bundle(encrypted, root / "key.pub")
    assert (bundle.encrypted, bundle.onnx, bundle.folder) == (True, None, encrypted)
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(root / "encryption"))
    decrypted = verify_bundle(encrypted, root / "key.pub", work=tmp_path / "memory")
    assert (decrypted.encrypted, decrypted.onnx) == (False, tmp_path / "memory" / "model.onnx")
    assert folder_sha256(decrypted.model) == decrypted.release().model_hash


def test_a_sealed_model_of_another_release_is_refused(
    encrypted: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_bundle = write_bundle(tmp_path / "other")
    (other_bundle / "model" / "weights").write_bytes(b"stolen")
    encrypt_model(other_bundle, root / "recipient")
    (encrypted / "release.sig").unlink()
    shutil.copy(other_bundle / ENCRYPTED_FILE, encrypted / ENCRYPTED_FILE)
    sign(encrypted, encrypted / "release.sig", private_key=root / "key")
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(root / "encryption"))
    with pytest.raises(ModelwayError, match="not those that were blessed"):
        verify_bundle(encrypted, root / "key.pub", work=tmp_path / "memory")


def test_another_ciphertext_to_the_same_recipient_is_refused_before_it_is_decrypted(
    encrypted: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = write_bundle(tmp_path / "again")  # the same model, by somebody who has the public recipient alone
    encrypt_model(again, root / "recipient")
    shutil.copy(again / ENCRYPTED_FILE, encrypted / ENCRYPTED_FILE)
    monkeypatch.delenv("MODELWAY_ENCRYPTION_KEY", raising=False)
    with pytest.raises(ModelwayError, match=r"model\.tar\.age is not as it was signed"):  # not: the key is not set
        verify_bundle(encrypted, root / "key.pub", work=tmp_path / "memory")
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(root / "encryption"))
    with pytest.raises(ModelwayError, match=r"model\.tar\.age is not as it was signed"):
        verify_bundle(encrypted, root / "key.pub", work=tmp_path / "memory")
    with pytest.raises(ModelwayError, match="its signature was not verified") as error:
        verify_bundle(encrypted, None, work=tmp_path / "memory")
    assert error.value.key == "MODELWAY_VERIFYING_KEY"
    assert not (tmp_path / "memory").exists()


def test_a_sealed_model_does_not_open_with_another_key(
    encrypted: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_identity(tmp_path / "other", tmp_path / "other.recipient")
    monkeypatch.setenv("MODELWAY_ENCRYPTION_KEY", str(tmp_path / "other"))
    with pytest.raises(ModelwayError, match="cannot be decrypted with this key"):
        verify_bundle(encrypted, root / "key.pub", work=tmp_path / "memory")


def test_verifying_loads_nothing_that_a_server_does_not_need(plain: Path, root: Path) -> None:
    code = """
import sys
from pathlib import Path
from modelway.components.core.bundle.bundle import verify_bundle
verify_bundle(Path(sys.argv[1]), Path(sys.argv[2]))
print(*{"pydantic", "model_signing", "sigstore", "sklearn", "pandas", "mlflow", "polars"} & set(sys.modules))
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, plain, root / "key.pub"], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == ""


def test_a_bundle_knows_its_baseline(plain: Path) -> None:
    (plain / "baseline.json").write_text("{}")
    assert Bundle(plain).baseline == plain / "baseline.json"
