"""Keys: where they are, how a pair is made, and how their files are read.

Keys are PEM files on the curve P-256, which environment variables name; they are never parameters. A file of public
keys may hold several, one after the other: what any of them signed is trusted, so that a key is replaced by listing the
new one, signing with it, and taking the old one out once nothing that it signed is deployed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.components.core.errors import DamagedError, SetupError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    Keys = Mapping[str, ec.EllipticCurvePublicKey]

SIGNING_KEY, VERIFYING_KEY, ENCRYPTION_KEY = (f"MODELWAY_{use}_KEY" for use in ("SIGNING", "VERIFYING", "ENCRYPTION"))
ENCRYPTION_RECIPIENT = "MODELWAY_ENCRYPTION_RECIPIENT"
# Where pods have a key mounted, so that a pipeline's task needs no variable for it.
_MOUNTED = {
    SIGNING_KEY: "/var/run/modelway/signing/signing.pem",
    VERIFYING_KEY: "/var/run/modelway/verifying/verifying.pem",
    ENCRYPTION_KEY: "/var/run/modelway/encryption/key",
    ENCRYPTION_RECIPIENT: "/var/run/modelway/recipient/recipient",
}
_PUBLIC_PEM = re.compile(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", re.DOTALL)


def has_key(variable: str) -> bool:
    """Whether an environment variable names a key, or one is mounted where pods have it."""
    return bool(os.environ.get(variable)) or Path(_MOUNTED[variable]).is_file()


def key_file(variable: str) -> Path:
    """The key file that an environment variable names, else the one that is mounted where pods have it.

    Raises:
        SetupError: the variable is not set and nothing is mounted, or there is no such file.
    """
    if not has_key(variable):
        raise SetupError(
            f"{variable} is not set", key=variable, remedy="set it to the key's file, such as a mounted Secret's"
        )
    path = os.environ.get(variable) or _MOUNTED[variable]
    if not Path(path).is_file():
        raise SetupError(
            f"the file that {variable} names does not exist",
            key=variable,
            file=path,
            remedy="mount the key there, or correct the path",
        )
    return Path(path)


def new_keys(private: Path, public: Path) -> None:
    """Makes a pair of keys on the curve P-256, as PEM files of which only the owner can read the private one.

    Raises:
        ModelwayError: one of the files is there already.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_pair(private, public, secret=secret, public_content=_pem(key.public_key()))


def write_pair(private: Path, public: Path, *, secret: bytes, public_content: bytes) -> None:
    """Writes the two halves of a key to new files; only their owner can read the private one.

    Raises:
        ModelwayError: one of the files is there already.
    """
    for path in (private, public):
        if path.exists():
            raise DamagedError(
                f"{path} is there already", file=str(path), remedy="name other files; keys are never written over"
            )
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    public.write_bytes(public_content)


def key_id(private_key: Path) -> str:
    """What names a key in the signatures that it makes: the SHA-256 of its public half."""
    return next(iter(keys_by_id(signing_key(private_key).public_key())))


def signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Reads a private key.

    Raises:
        SetupError: it cannot be read or is of another kind.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: ec.EllipticCurvePrivateKey = _load_key(path, SIGNING_KEY, load=partial(load_pem_private_key, password=None))
    return key


def verifying_keys(path: Path) -> Keys:
    """Reads a file of one or several public keys; returns them by what names them in the signatures that they make.

    Raises:
        SetupError: one cannot be read or is of another kind.
    """
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    blocks: list[bytes | None] = list(_PUBLIC_PEM.findall(path.read_bytes())) if path.is_file() else []
    keys = [_load_key(path, VERIFYING_KEY, load=load_pem_public_key, content=block) for block in blocks or [None]]
    return keys_by_id(*keys)


def keys_by_id(*keys: ec.EllipticCurvePublicKey) -> Keys:
    """Keys by what names them in the signatures that they make."""
    return {hashlib.sha256(_pem(key)).hexdigest(): key for key in keys}


def _load_key(path: Path, variable: str, *, load: Callable[[bytes], object], content: bytes | None = None) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

    remedy = "name a PEM file of a key on the curve P-256; `modelway keys` makes a pair"
    try:
        key = load(path.read_bytes() if content is None else content)
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not a PEM file without a password"
        raise SetupError(f"the key cannot be read: {reason}", file=str(path), key=variable, remedy=remedy) from error
    if not isinstance(getattr(key, "curve", None), SECP256R1):
        raise SetupError("the key is of another kind", file=str(path), key=variable, remedy=remedy)
    return key


def _pem(key: ec.EllipticCurvePublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
