"""The record of the image that a version was packaged in, signed by who packaged it.

An image is named by the digest of its manifest, which covers its configuration (what starts, as whom, in what
environment) and every layer, the base's too. So an image with the recorded digest is, as a whole, what was packaged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.bundle.keys import VERIFYING_KEY, key_file
from modelway.components.core.bundle.signing import sign_text, verify_text
from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError, SetupError
from modelway.components.core.parsing import parse_json
from modelway.components.core.storage.uri import join, read_uri, write_uri

_SIGNATURE = "signature"


def record_package(version: ModelVersion, record: Mapping[str, object], *, signing_key: Path) -> None:
    """Writes a version's package record, with its signature, into the store.

    Args:
        version: The version.
        record: ``image``, its reference by digest, and further fields.
        signing_key: The private key's file.
    """
    signature = sign_text(_text(version, record), private_key=signing_key)
    content = json.dumps({**record, _SIGNATURE: signature}, indent=2, sort_keys=True)
    write_uri(_file(version), content.encode())


def recorded_image(version: ModelVersion) -> str:
    """The image that a version was packaged in, by digest.

    Raises:
        NotFoundError: it has not been packaged.
        DamagedError: the record is damaged, or no trusted key signed it.
        SetupError: there is no key to verify it with.
    """
    file = _file(version)
    try:
        record = dict(parse_json(read_uri(file)))
        signature, image = str(record.pop(_SIGNATURE, "")), str(record["image"])
    except NotFoundError as error:
        raise NotFoundError(
            f"{version} has not been packaged: no image of it is recorded",
            file=file,
            remedy="run `package_model` on it first",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(
            f"{file} is damaged: it is not a package record",
            file=file,
            remedy="package the version again, which records the same image",
        ) from error
    key = key_file(VERIFYING_KEY)
    try:
        verify_text(_text(version, record), signature, public_key=key)
    except SetupError:
        raise
    except ModelwayError as error:
        problem = f"no trusted key signed it: {error.message}" if signature else "it is not signed"
        raise DamagedError(
            f"the record of the image of {version} does not count: {problem}",
            file=file,
            remedy="see who can write to the store, and package the version again",
        ) from error
    return image


def _file(version: ModelVersion) -> str:
    return join(version.store, "packages", version.name, f"{version.number}.json")


def _text(version: ModelVersion, record: Mapping[str, object]) -> str:
    """What is signed: the record, and of which version it is, so that it is none of another."""
    return json.dumps({"of": str(version), "record": dict(record)}, sort_keys=True)
