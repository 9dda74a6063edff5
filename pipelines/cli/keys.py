"""`modelway keys`: new keys to sign, verify, encrypt and decrypt with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelway.pipelines.cli.output import Answer, written


def keys(folder: Annotated[Path, typer.Argument(help="Where the keys go.")] = Path("keys")) -> Answer:
    """Makes the keys that releases are signed and verified with, and a pair to encrypt and decrypt models with."""
    from modelway.components.core.bundle.encryption import new_identity
    from modelway.components.core.bundle.keys import new_keys
    from modelway.components.core.storage.uri import make_folder

    files = [folder / name for name in ("signing.pem", "verifying.pem", "encryption.key", "encryption.recipient")]
    signing, verifying, identity, recipient = files
    make_folder(folder)
    new_keys(signing, verifying)
    new_identity(identity, recipient)
    return written(
        files,
        "keep signing.pem and encryption.key secret. Packaging needs signing.pem as MODELWAY_SIGNING_KEY and, to "
        "encrypt, encryption.recipient as MODELWAY_ENCRYPTION_RECIPIENT; a server needs verifying.pem as "
        "MODELWAY_VERIFYING_KEY and, to decrypt, encryption.key as MODELWAY_ENCRYPTION_KEY",
    )
