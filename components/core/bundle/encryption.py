"""Encryption of a release bundle's model, in the age format (age-encryption.org/v1), with X25519 keys.

Whoever packages has the public recipient alone (``MODELWAY_ENCRYPTION_RECIPIENT``); a server has the identity
(``MODELWAY_ENCRYPTION_KEY``). The files are as ``age-keygen`` makes them, and ``age --decrypt`` opens what is encrypted
here. Anyone can encrypt to a recipient, so that what decrypts is not thereby authentic: verify the bundle's signature
first, as `bundle.verify_bundle` does.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedIOBase, BufferedReader, BufferedWriter, FileIO
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.components.core.bundle.keys import ENCRYPTION_KEY, ENCRYPTION_RECIPIENT, key_file, write_pair
from modelway.components.core.bundle.sealed_v1 import KEY_BYTES, SEALED_FILE, changed_or_cut_off, unseal
from modelway.components.core.bundle.tar import extract_tar
from modelway.components.core.errors import ModelwayError, SetupError, first_line

if TYPE_CHECKING:
    from pyrage.x25519 import Identity

ENCRYPTED_FILE = "model.tar.age"

_RECIPIENT, _IDENTITY = "age1", "AGE-SECRET-KEY-"
_BUFFER = 1 << 20
_NAMES = {
    ENCRYPTION_KEY: ("key", "name a file with an identity of age (AGE-SECRET-KEY-1…)"),
    ENCRYPTION_RECIPIENT: ("recipient", "name an X25519 recipient of age (age1…), or the file of one"),
}


@dataclass(frozen=True)
class DecryptionKeys:
    """What decrypts models.

    Attributes:
        identities: The identities of age.
        sealing_keys: The keys of 32 bytes that models were encrypted with before the age format.
    """

    identities: tuple[Identity, ...] = ()
    sealing_keys: tuple[bytes, ...] = field(default=(), repr=False)


def new_identity(identity: Path, recipient: Path) -> None:
    """Makes a random identity, as a file that only its owner can read, and the file of its public recipient.

    Raises:
        ModelwayError: one of the files is there already.
    """
    from pyrage import x25519

    secret = x25519.Identity.generate()
    public = f"{secret.to_public()}\n"
    write_pair(identity, recipient, secret=f"# public key: {public}{secret}\n".encode(), public_content=public.encode())


def read_recipient() -> str:
    """The recipient that ``MODELWAY_ENCRYPTION_RECIPIENT`` is, or names a file of.

    Raises:
        ModelwayError: none is named, the file is not there, or it is no recipient of age with an X25519 key.
    """
    from pyrage import RecipientError, x25519

    text, path = os.environ.get(ENCRYPTION_RECIPIENT, "").strip(), None
    if not text.lower().startswith((_RECIPIENT, _IDENTITY.lower())):
        path = key_file(ENCRYPTION_RECIPIENT)
        lines = _lines(path, ENCRYPTION_RECIPIENT)
        if len(lines) != 1:
            raise _unreadable(ENCRYPTION_RECIPIENT, f"the file names {len(lines)} in place of one", path=path)
        text = next(iter(lines.values()))
    try:
        return str(x25519.Recipient.from_str(text))
    except RecipientError as error:
        reason = "it is a secret identity" if text.upper().startswith(_IDENTITY) else first_line(error)
        raise _unreadable(ENCRYPTION_RECIPIENT, reason, path=path) from error


def read_keys(path: Path | None = None) -> DecryptionKeys:
    """The keys in a file, one a line, by default the one that ``MODELWAY_ENCRYPTION_KEY`` names.

    Raises:
        ModelwayError: no file is named, it is not there, or a line of it is neither an identity of age with an X25519
            key nor 32 bytes in base64.
    """
    from pyrage import IdentityError, x25519

    path = path or key_file(ENCRYPTION_KEY)
    identities, sealing_keys = [], []
    for number, line in _lines(path, ENCRYPTION_KEY).items():
        try:
            if line.startswith(_IDENTITY):
                identities.append(x25519.Identity.from_str(line))
                continue
            key = base64.b64decode(line, validate=True)
        except (IdentityError, binascii.Error):
            key = b""
        if len(key) != KEY_BYTES:
            reason = "it is a recipient, which only encrypts" if line.startswith(_RECIPIENT) else "it is not a key"
            raise _unreadable(ENCRYPTION_KEY, reason, path=path, line=number)
        sealing_keys.append(key)
    if not identities and not sealing_keys:
        raise _unreadable(ENCRYPTION_KEY, "the file is empty", path=path)
    return DecryptionKeys(tuple(identities), tuple(sealing_keys))


def encrypt(source: Path, target: Path, *, recipient: str) -> None:
    """Encrypts a file to a recipient of age, each time into other bytes; neither file is held in memory."""
    import pyrage

    with source.open("rb") as plain, target.open("wb") as encrypted:
        pyrage.encrypt_io(plain, encrypted, [pyrage.x25519.Recipient.from_str(recipient)])


def encrypted_file(folder: Path) -> Path | None:
    """The file that holds a bundle's model encrypted; None where the model is plain."""
    paths = (folder / ENCRYPTED_FILE, folder / SEALED_FILE)
    return next((path for path in paths if path.exists()), None)


def decrypt_bundle(folder: Path, target: Path, *, keys: DecryptionKeys) -> Path:
    """Decrypts an encrypted bundle into a folder, which should be in memory (``emptyDir`` with ``medium: Memory``).

    The folder, which is returned, must not exist yet or be empty.

    Raises:
        ModelwayError: the keys are others, or the encrypted file was changed or cut off.
    """
    encrypted = encrypted_file(folder)
    if encrypted is None:
        raise ValueError(f"{folder} is not encrypted")
    shutil.copytree(folder, target, ignore=lambda *_: {ENCRYPTED_FILE, SEALED_FILE}, dirs_exist_ok=True)
    write = partial(_decrypt, encrypted, keys=keys)
    with _written_by(write) as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        extract_tar(archive, target)
    return target


def _decrypt(path: Path, target: BufferedIOBase, *, keys: DecryptionKeys) -> None:
    """Decrypts a file; each chunk is authentic when it is written."""
    import pyrage

    with path.open("rb") as source:
        if path.name == SEALED_FILE:
            unseal(source, target, keys=keys.sealing_keys, name=str(path))
            return
        if not keys.identities:
            raise _not_decrypted(path, "the key's file holds no identity of age")
        try:
            pyrage.decrypt_io(source, target, keys.identities)
        except pyrage.DecryptError as error:
            raise _not_decrypted(path, first_line(error)) from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise changed_or_cut_off(str(path)) from error


@contextmanager
def _written_by(write: Callable[[BufferedIOBase], None]) -> Iterator[BufferedIOBase]:
    """What a function writes, to be read while it is written, so that it is never held whole.

    All of it is read in the end, since what follows an archive's end must be authentic too. An error of the function
    comes before the reader's, whom it left with a part.
    """
    reader, writer = os.pipe()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with BufferedWriter(FileIO(writer, "w"), _BUFFER) as target:
                write(target)
        except BrokenPipeError:
            pass  # whoever reads has refused what came
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="decrypt")
    thread.start()
    try:
        with BufferedReader(FileIO(reader), _BUFFER) as source:
            yield source
            while source.read(_BUFFER):
                pass
    finally:
        thread.join()
        if errors:
            raise errors[0]


def _lines(path: Path, variable: str) -> dict[int, str]:
    """The lines of a key's file by their numbers, but for empty ones and comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise _unreadable(variable, str(reason), path=path) from error
    stripped_lines = ((number, line.strip()) for number, line in enumerate(lines, 1))
    return {number: line for number, line in stripped_lines if line and not line.startswith("#")}


def _unreadable(variable: str, reason: str, *, path: Path | None, line: int | None = None) -> SetupError:
    name, remedy = _NAMES[variable]
    return SetupError(
        f"the encryption {name} cannot be read: {reason}",
        file=None if path is None else str(path),
        line=line,
        key=variable,
        remedy=f"{remedy}; `modelway keys` makes one",
    )


def _not_decrypted(path: Path, reason: str) -> ModelwayError:
    return ModelwayError(
        f"{path} cannot be decrypted with this key: {reason}",
        file=str(path),
        key=ENCRYPTION_KEY,
        remedy="name the identity (AGE-SECRET-KEY-1…) of the recipient that the release was packaged for",
    )
