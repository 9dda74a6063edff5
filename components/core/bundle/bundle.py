"""The release bundle: the folder that `package_model` makes and the server runs from, and its verification.

In it are ``model/`` (MLflow's folder), ``model.onnx`` (where the conversion agrees with the model), ``blessing.json``,
``policy.json``, ``baseline.json`` (where the version has one), ``requirements.txt``, ``sbom.cdx.json``,
``release.json`` and ``release.sig``, the signature over all the others. Where the model is encrypted, ``model.tar.age``
(before the age format: ``model.sealed``) stands for ``model/`` and ``model.onnx``, and is what was signed. Nothing here
imports pydantic before it is asked for, since a server verifies its bundle before it can answer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelway.components.core.bundle.encryption import decrypt_bundle, encrypted_file, read_keys
from modelway.components.core.bundle.keys import VERIFYING_KEY
from modelway.components.core.bundle.signing import verify
from modelway.components.core.errors import DamagedError, ModelwayError, RejectedError
from modelway.components.core.evidence.files import BASELINE_FILE, BLESSING_FILE
from modelway.components.core.storage.models import folder_sha256

MODEL_FOLDER, ONNX_FILE = "model", "model.onnx"
REQUIREMENTS_FILE, SBOM_FILE = "requirements.txt", "sbom.cdx.json"
RELEASE_FILE, SIGNATURE_FILE = "release.json", "release.sig"

# What stands for a missing value among the inputs of ``model.onnx``, whose columns are tensors of shape (rows, 1):
# numbers double (missing: NaN), text string, dates and times int64 microseconds since 1970.
MISSING_TEXT = "\ufdd0"  # a code point that Unicode keeps for internal use
MISSING_TIME = -(1 << 63)  # NumPy's NaT

_AGAIN = "fetch the release again, or package the version again; it was not loaded"


@dataclass(frozen=True)
class Release:
    """The content of a bundle's ``release.json``.

    Attributes:
        name: The registered model's name.
        version: Its version.
        blessing_sha256: The SHA-256 of the blessing's file, to which approvals are bound.
        model_hash: The hash of the model's folder.
        onnx: Whether the model was converted to ONNX.
        created_by: The software that packaged it.
    """

    name: str
    version: str
    blessing_sha256: str
    model_hash: str
    onnx: bool
    created_by: str


@dataclass(frozen=True)
class Bundle:
    """A release bundle on disk.

    Attributes:
        folder: Where it lies.
    """

    folder: Path

    @property
    def encrypted(self) -> bool:
        """Whether the model is encrypted here."""
        return encrypted_file(self.folder) is not None

    @property
    def model(self) -> Path:
        """The model's folder, in MLflow's format; missing if the bundle is encrypted."""
        return self.folder / MODEL_FOLDER

    @property
    def onnx(self) -> Path | None:
        """The converted model; None if it was not converted or the bundle is encrypted."""
        path = self.folder / ONNX_FILE
        return path if path.exists() else None

    @property
    def baseline(self) -> Path | None:
        """The statistics of the training split, to measure drift against; None if the version has none."""
        path = self.folder / BASELINE_FILE
        return path if path.exists() else None

    def release(self) -> Release:
        """The bundle's ``release.json``.

        Raises:
            DamagedError: it is missing or malformed.
        """
        try:
            return Release(**self._json(RELEASE_FILE))
        except TypeError as error:
            raise self._damaged(RELEASE_FILE) from error

    def blessing_sha256(self) -> str:
        """The SHA-256 of the blessing's file."""
        return hashlib.sha256(self._read(BLESSING_FILE)).hexdigest()

    def check(self) -> None:
        """Checks that blessing, release and, unless it is encrypted, model belong together.

        Raises:
            ModelwayError: the model is not blessed, or one of them belongs to another release; says which.
        """
        release, blessing = self.release(), self._json(BLESSING_FILE)
        sha256 = self.blessing_sha256()
        if sha256 != release.blessing_sha256:
            problem = f"the blessing is not the one of {release.name} {release.version}"
            raise self._mismatch(BLESSING_FILE, problem, value=sha256)
        if blessing.get("blessed") is not True:
            raise RejectedError(
                f"{release.name} {release.version} is not blessed",
                file=str(self.folder / BLESSING_FILE),
                value=blessing.get("verdict"),
                remedy="release a model that passes every gate; `modelway explain` says why this one does not",
            )
        blessed = blessing.get("hashes", {}).get("model")
        if release.model_hash != blessed:
            problem = "the release names another model than was blessed"
            raise self._mismatch(RELEASE_FILE, problem, value=release.model_hash)
        if self.encrypted:
            return
        if not self.model.is_dir():
            raise self._damaged(MODEL_FOLDER)
        sha256 = folder_sha256(self.model)
        if sha256 != blessed:
            raise self._mismatch(MODEL_FOLDER, "the model's files are not those that were blessed", value=sha256)
        if release.onnx != (self.onnx is not None):
            raise self._mismatch(ONNX_FILE, "the converted model is missing, or belongs to another release")

    def _json(self, name: str) -> dict[str, Any]:
        try:
            document = json.loads(self._read(name))
        except (ValueError, RecursionError) as error:
            raise self._damaged(name) from error
        if not isinstance(document, dict):
            raise self._damaged(name)
        return document

    def _read(self, name: str) -> bytes:
        try:
            return (self.folder / name).read_bytes()
        except OSError as error:
            raise self._damaged(name) from error

    def _damaged(self, name: str) -> DamagedError:
        return DamagedError(
            f"{self.folder} is not a release bundle: {name} is missing or cannot be read",
            file=str(self.folder / name),
            remedy=_AGAIN,
        )

    def _mismatch(self, name: str, problem: str, *, value: str | None = None) -> DamagedError:
        return DamagedError(problem, file=str(self.folder / name), value=value, remedy=_AGAIN)


def verify_bundle(folder: Path, public_key: Path | None, *, work: Path | None = None) -> Bundle:
    """Verifies a bundle: its signature, its blessing, and that its model is the one that was blessed.

    Args:
        folder: The bundle.
        public_key: The key that must have signed it; None: the signature is not verified, and nothing is decrypted.
        work: An empty folder, in memory, to which an encrypted bundle is decrypted once its signature is verified, with
            the key that ``MODELWAY_ENCRYPTION_KEY`` names. Without it, the model stays encrypted, and only its
            signature is verified.

    Returns:
        The bundle; in `work` if it was decrypted.

    Raises:
        ModelwayError: the signature does not match, the model is not blessed, or a file belongs to another release;
            names the file. Or the model is to be decrypted and no signature was verified.
    """
    bundle = Bundle(folder)
    if not folder.is_dir():
        raise bundle._damaged(RELEASE_FILE)  # noqa: SLF001 - this module's own
    if public_key is not None:
        verify(folder, folder / SIGNATURE_FILE, public_key=public_key)
    bundle.check()
    if bundle.encrypted and work is not None:
        if public_key is None:
            raise ModelwayError(
                f"{folder} is encrypted by an unknown party: its signature was not verified",
                file=str(folder),
                key=VERIFYING_KEY,
                remedy="name the public key that signed the release; anyone can encrypt to a public recipient",
            )
        bundle = Bundle(decrypt_bundle(folder, work, keys=read_keys()))
        bundle.check()
    return bundle
