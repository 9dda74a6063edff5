"""HTTP as the application sees it: limits, bodies that are read within them, and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from modelway.components.serve.errors import RequestError, shown

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON, OCTETS = "application/json", "application/octet-stream"
JSON_LENGTH = "inference-header-content-length"
_JSON_TYPE = (b"content-type", JSON.encode())
_JSON_LENGTH = JSON_LENGTH.encode()


@dataclass(frozen=True)
class Limits:
    """What the server takes at most.

    Attributes:
        request_bytes: The size of a request's body.
        requests: Predictions under way at a time, those that wait included; one more is answered 503.
        read_seconds: How long a body may take to arrive.
    """

    request_bytes: int = 4 * 1024 * 1024
    requests: int = 128
    read_seconds: float = 10.0


class Response(NamedTuple):
    """An answer to be sent; JSON unless its headers say otherwise."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


class Body(NamedTuple):
    """What was sent.

    Attributes:
        content: The bytes.
        json_length: How many of them are JSON, where binary tensors follow; None: all of them.
    """

    content: bytes
    json_length: int | None = None


async def read_body(scope: Scope, receive: Receive, *, limits: Limits) -> Body:
    """Reads a request's body.

    Raises:
        RequestError: it is too large, too slow, or of another kind.
        ConnectionError: the client has gone.
    """
    kind, stated, json_length = b"application/json", b"", None
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value
        elif name == b"content-length":
            stated = value
        elif name == _JSON_LENGTH:
            json_length = value
    if kind != b"application/json":
        _check_kind(kind.decode("latin-1"), json_length is not None)
    if stated.isdigit() and int(stated) > limits.request_bytes:
        raise _too_large(limits)
    receiving = receive().__await__()
    try:
        waiting = next(receiving)
    except StopIteration as arrived:  # as nearly always: a small body comes with its head
        message: Message = arrived.value
        content = _part(message)
        if message.get("more_body", False):
            content = await _in_time(_rest(receive, content, limits=limits), limits)
    else:
        content = await _in_time(_rest(receive, b"", limits=limits, begun=_Begun(waiting, receiving)), limits)
    if len(content) > limits.request_bytes:
        raise _too_large(limits)
    return Body(content, None if json_length is None else _length(json_length))


async def send_response(send: Send, response: Response, *, last: bool) -> None:
    """Sends an answer; a last one says that the connection is closed after it."""
    headers = [(b"content-length", b"%d" % len(response.body))]
    if "content-type" not in response.headers:
        headers.append(_JSON_TYPE)
    headers += [(name.encode(), value.encode()) for name, value in response.headers.items()]
    if last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class _Begun:
    """An await that was begun by hand, to be awaited to its end."""

    def __init__(self, waiting: Any, rest: Generator[Any, Any, Message]) -> None:
        self._waiting, self._rest = waiting, rest

    def __await__(self) -> Generator[Any, Any, Message]:
        sent = yield self._waiting
        while True:
            try:
                waiting = self._rest.send(sent)
            except StopIteration as arrived:
                message: Message = arrived.value
                return message
            sent = yield waiting


async def _in_time(reading: Awaitable[bytes], limits: Limits) -> bytes:
    try:
        async with asyncio.timeout(limits.read_seconds):
            return await reading
    except TimeoutError as error:
        late = f"the body did not arrive within {limits.read_seconds:g} seconds"
        raise RequestError(408, late, headers={"connection": "close"}) from error


async def _rest(receive: Receive, first: bytes, *, limits: Limits, begun: Awaitable[Message] | None = None) -> bytes:
    parts, size = [first], len(first)
    while size <= limits.request_bytes:
        message = await (begun or receive())
        begun = None
        parts.append(_part(message))
        size += len(parts[-1])
        if not message.get("more_body", False):
            break
    return b"".join(parts)


def _part(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ConnectionResetError
    part: bytes = message.get("body", b"")
    return part


def _check_kind(stated: str, is_binary: bool) -> None:
    kind = stated.partition(";")[0].strip().lower()
    if kind == JSON or (is_binary and kind == OCTETS):
        return
    hint = " without the header Inference-Header-Content-Length" if kind == OCTETS else ""
    raise RequestError(415, f"the body must be application/json, not {shown(kind)}{hint}")


def _length(stated: bytes) -> int:
    if not stated.isdigit():
        raise RequestError(400, "the header Inference-Header-Content-Length must be a whole number of bytes")
    return int(stated)


def _too_large(limits: Limits) -> RequestError:
    return RequestError(413, f"the body is larger than {limits.request_bytes:,} bytes; send fewer rows at a time")
