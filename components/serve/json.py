"""JSON in and out: a request's body as an object, and an answer as bytes."""

from __future__ import annotations

import json
from typing import Any

from modelway.components.serve.errors import RequestError


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds.

    Raises:
        RequestError: 400; it holds none, or NaN and Infinity, which JSON does not know.
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


def _refuse_constant(text: str) -> None:
    raise ValueError(f"{text} is no JSON number; write null for a missing value")


# `json.loads` and `json.dumps` would make these anew for each request.
_decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def write_object(answer: dict[str, Any]) -> bytes:
    """An object as JSON."""
    return _encode(answer).encode()
