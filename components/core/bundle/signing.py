"""Signatures over a folder of files, in the format of OpenSSF model signing, with an elliptic-curve key.

Signing is model-signing's. Verifying is done here, by the documented format (a DSSE envelope around an in-toto
statement that lists each file's SHA-256, in a Sigstore bundle): importing model-signing takes over a second and 60 MiB,
which a server that verifies what it serves cannot spend.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from modelway.components.core.bundle.keys import VERIFYING_KEY, keys_by_id, signing_key, verifying_keys
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError, first_line
from modelway.components.core.parsing import parse_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from modelway.components.core.bundle.keys import Keys

_MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_PREDICATE_TYPE = "https://model_signing/signature/v1.0"
_REMEDY = "do not use these files; fetch them again from where they were released, or package the version again"


def sign(folder: Path, signature: Path, *, private_key: Path) -> None:
    """Signs every file of a folder without symbolic links, but for the signature itself where that lies in it.

    Raises:
        ModelwayError: the key cannot be read or is of another kind, or the folder cannot be signed.
    """
    signing_key(private_key)
    from model_signing import hashing, signing

    ignored_paths = [signature.relative_to(folder)] if signature.is_relative_to(folder) else []
    hashing_config = hashing.Config().set_ignored_paths(paths=ignored_paths, ignore_git_paths=False)  # type: ignore[no-untyped-call]
    signer = signing.Config().use_elliptic_key_signer(private_key=private_key)  # type: ignore[no-untyped-call]
    signer.set_hashing_config(hashing_config)
    try:
        signer.sign(folder, signature)
    except ValueError as error:
        raise ModelwayError(
            f"{folder} cannot be signed: {first_line(error)}",
            file=str(folder),
            remedy="a signed folder holds plain files and folders only",
        ) from error


def verify(folder: Path, signature: Path, *, public_key: Path) -> None:
    """Verifies that a folder holds exactly the files that were signed; the signature may lie in it.

    Args:
        folder: The folder.
        signature: The signature.
        public_key: The file of the key that must have signed it, or of several, one of which must.

    Raises:
        ModelwayError: there is no signature, it is of another key or not valid, or a file differs, is missing or was
            added; names the file.
    """
    _verify(folder, signature, keys=verifying_keys(public_key))


def sign_text(text: str, *, private_key: Path) -> str:
    """Signs a text; returns the signature, which is text too.

    Raises:
        ModelwayError: the key cannot be read or is of another kind.
    """
    with TemporaryDirectory() as work:
        folder, signature = _text_folder(work, text), Path(work, "signature")
        sign(folder, signature, private_key=private_key)
        return signature.read_text(encoding="utf-8")


def verify_text(text: str, signature: str, *, public_key: Path) -> None:
    """Verifies the signature of a text, as `verify` does of a folder.

    Raises:
        ModelwayError: it is of another key or not valid, or the text differs.
    """
    with TemporaryDirectory() as work:
        file = Path(work, "signature")
        file.write_text(signature, encoding="utf-8")
        verify(_text_folder(work, text), file, public_key=public_key)


def _text_folder(work: str, text: str) -> Path:
    folder = Path(work, "signed")
    folder.mkdir()
    (folder / "text").write_text(text, encoding="utf-8")
    return folder


def is_signed_by(folder: Path, signature: Path, *, private_key: Path) -> bool:
    """Whether a signature is one that the private key made for exactly this folder."""
    keys = keys_by_id(signing_key(private_key).public_key())
    with suppress(ModelwayError):
        _verify(folder, signature, keys=keys)
        return True
    return False


def signed_hashes(signature: Path, private_key: Path) -> dict[str, str]:
    """The SHA-256 of each file by its name, as a signature lists them.

    Raises:
        ModelwayError: the signature is not one that the private key made.
    """
    return _signed_hashes(signature, keys_by_id(signing_key(private_key).public_key()))


def _verify(folder: Path, signature: Path, *, keys: Keys) -> None:
    expected = _signed_hashes(signature, keys)
    actual = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise _mismatch(folder / name, f"{name} is not a plain file")
        if path.is_file() and path != signature:
            with path.open("rb") as file:
                actual[name] = hashlib.file_digest(file, "sha256").hexdigest()
    for name in sorted(expected.keys() | actual.keys()):
        if name not in actual:
            raise _mismatch(folder / name, f"{name} was signed and is missing")
        if name not in expected:
            raise _mismatch(folder / name, f"{name} is not among the files that were signed")
        if expected[name] != actual[name]:
            raise _mismatch(folder / name, f"{name} is not as it was signed")


def _signed_hashes(signature: Path, keys: Keys) -> dict[str, str]:
    """The SHA-256 of each file by its name, as a signature that is valid under one of the keys lists them."""
    try:
        bundle = parse_json(signature.read_bytes())
        material, envelope = bundle["verificationMaterial"]["publicKey"]["hint"], bundle["dsseEnvelope"]
        (entry,) = envelope["signatures"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature_bytes = base64.b64decode(entry["sig"], validate=True)
        kinds = bundle["mediaType"], envelope["payloadType"]
    except FileNotFoundError as error:
        raise NotFoundError(
            f"{signature.parent} is not signed: there is no {signature.name}",
            file=str(signature),
            remedy="use a release that `package_model` made, which signs it",
        ) from error
    except (KeyError, TypeError, ValueError, RecursionError, binascii.Error) as error:
        raise _invalid(signature, "it is not a model signature") from error
    if kinds != (_MEDIA_TYPE, _PAYLOAD_TYPE):
        raise _invalid(signature, f"it is of another format, {' with '.join(map(str, kinds))}")
    if material not in keys:
        raise DamagedError(
            f"{signature.name} was made with another key than is trusted here",
            file=str(signature),
            key=VERIFYING_KEY,
            value=material,
            remedy="take a release that the trusted key signed, or name the public key of whoever signs here",
        )
    _check_ecdsa(signature, keys[material], signature_bytes=signature_bytes, payload=payload)
    return _statement(signature, payload)


def _check_ecdsa(signature: Path, key: ec.EllipticCurvePublicKey, *, signature_bytes: bytes, payload: bytes) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    # DSSE's pre-authentication encoding, version 1
    message = f"DSSEv1 {len(_PAYLOAD_TYPE)} {_PAYLOAD_TYPE} {len(payload)} ".encode() + payload
    try:
        key.verify(signature_bytes, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as error:
        raise _invalid(signature, "it does not belong to what it lists") from error


def _statement(signature: Path, payload: bytes) -> dict[str, str]:
    statement = parse_json(payload)
    predicate = statement["predicate"]
    if (statement["_type"], statement["predicateType"]) != (_STATEMENT_TYPE, _PREDICATE_TYPE):
        raise _invalid(signature, f"it states something else, {statement['predicateType']}")
    methods = {predicate["serialization"]["method"], *(resource["algorithm"] for resource in predicate["resources"])}
    if methods - {"files", "sha256"}:
        raise _invalid(signature, "it lists something else than files by their SHA-256")
    return {resource["name"]: resource["digest"] for resource in predicate["resources"]}


def _invalid(signature: Path, problem: str) -> ModelwayError:
    return DamagedError(f"{signature.name} is not valid: {problem}", file=str(signature), remedy=_REMEDY)


def _mismatch(path: Path, problem: str) -> ModelwayError:
    return DamagedError(f"the signature does not match the files: {problem}", file=str(path), remedy=_REMEDY)
