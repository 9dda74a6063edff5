"""JSON objects of requests and responses."""

from __future__ import annotations

import json
from typing import Any

from modelway.components.serve.errors import RequestError, quote


def decode_object(body: bytes) -> dict[str, Any]:
    """Decodes a body that is a JSON object.

    Raises:
        RequestError: 400; it is not one, has a key twice, or holds NaN or Infinity, which JSON does not have.
    """
    if not body.strip():
        raise RequestError(400, "the body is empty")
    try:
        document = _decode(body.decode(json.detect_encoding(body)))
    except RecursionError as error:
        raise RequestError(400, "the body is nested too deeply") from error
    except ValueError as error:
        raise RequestError(400, f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise RequestError(400, "the body must be a JSON object")
    return document


def _reject_constant(text: str) -> None:
    raise ValueError(f"{text} is not a JSON number; write null for a missing value")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        keys: set[str] = set()
        twice = next(key for key, _ in pairs if key in keys or keys.add(key))  # type: ignore[func-returns-value]
        raise RequestError(400, f"the key {quote(twice)} stands twice in one object of the body")
    return document


# `json.loads` and `json.dumps` would construct these for each request.
_decode = json.JSONDecoder(parse_constant=_reject_constant, object_pairs_hook=_object).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def encode_object(answer: dict[str, Any]) -> bytes:
    """Encodes an object as JSON."""
    return _encode(answer).encode()
