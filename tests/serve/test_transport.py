from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from modelway.components.serve.transport import HeadBuffer

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def received(write: Callable[[HeadBuffer], Any]) -> bytes:
    """What comes of what is written on a real connection, until it is closed."""

    async def story() -> bytes:
        ours, theirs = socket.socketpair()
        _, writer = await asyncio.open_connection(sock=ours)
        reader, other = await asyncio.open_connection(sock=theirs)
        write(HeadBuffer(writer.transport))  # type: ignore[arg-type]
        writer.transport.close()
        content = await asyncio.wait_for(reader.read(), 5)
        other.close()
        return content

    return asyncio.run(story())


def test_a_head_waits_for_its_body() -> None:
    assert received(lambda transport: transport.write(HEAD)) == b""
    assert received(lambda transport: [transport.write(HEAD), transport.write(b"{}")]) == HEAD + b"{}"


def test_a_head_without_a_body_leaves_when_it_is_flushed_or_the_transport_closed() -> None:
    assert received(lambda transport: [transport.write(HEAD), transport.flush(), transport.flush()]) == HEAD
    assert received(lambda transport: [transport.write(HEAD), transport.close()]) == HEAD


def test_a_request_to_go_on_leaves_at_once() -> None:
    go_on = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert received(lambda transport: transport.write(go_on)) == go_on
