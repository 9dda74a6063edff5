"""The ASGI messages: request bodies and responses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from modelway.components.serve.errors import RequestError, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, OCTETS = "application/json", "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"
_JSON, _JSON_LENGTH, _IDENTITY = JSON.encode(), JSON_LENGTH.encode(), b"identity"
_LONGEST_NUMBER = 18  # digits; more than a body's size has


class Response(NamedTuple):
    """A response; JSON unless its headers say otherwise."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class RequestBody(NamedTuple):
    """The body of a request.

    Attributes:
        content: Its bytes.
        json_length: How many of them are JSON, where binary tensors follow; None: all of them.
    """

    content: bytes
    json_length: int | None = None


async def read_body(scope: Scope, receive: Receive) -> RequestBody:
    """Reads a request's body.

    Raises:
        RequestError: it is of another content type or encoded, or its headers are wrong.
        ConnectionError: the client has gone.
    """
    headers: dict[bytes, bytes] = dict(scope["headers"])
    content_type, json_length = headers.get(b"content-type", _JSON), headers.get(_JSON_LENGTH)
    if content_type != _JSON:
        _check_content_type(content_type.decode("latin-1"), json_length is not None)
    encoding = headers.get(b"content-encoding", _IDENTITY)
    if encoding.lower() != _IDENTITY:
        raise RequestError(415, f"the body must not be encoded, but is {quote(encoding.decode('latin-1'))}")
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    content = parts[0] if len(parts) == 1 else b"".join(parts)
    if json_length is None:
        return RequestBody(content)
    if not json_length.isdigit() or len(json_length) > _LONGEST_NUMBER:
        raise RequestError(400, "the header Inference-Header-Content-Length must be a whole number of bytes")
    return RequestBody(content, int(json_length))


async def send_response(send: Send, response: Response, *, last: bool) -> None:
    """Sends a response; `last` closes the connection after it."""
    headers = [(b"content-length", b"%d" % len(response.body))]
    if "content-type" not in response.headers:
        headers.append((b"content-type", _JSON))
    headers += [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _check_content_type(content_type: str, is_binary: bool) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON or (is_binary and kind == OCTETS):
        return
    hint = " without the header Inference-Header-Content-Length" if kind == OCTETS else ""
    raise RequestError(415, f"the body must be application/json, not {quote(kind)}{hint}")
