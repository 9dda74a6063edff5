"""HTTP on plain sockets: what no client library would send, and every byte that comes back."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Address = tuple[str, int]


class Answer(NamedTuple):
    """A response; status 0 if the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The message of a refusal, which is JSON with nothing else."""
        assert self.headers["content-type"] == "application/json", self
        (message,) = [json.loads(self.body)[key] for key in ("error",)]
        assert list(json.loads(self.body)) == ["error"]
        return str(message)


def address_of(url: str) -> Address:
    """The host and port of an address."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def connect(address: Address, seconds: float = 10.0) -> socket.socket:
    """A connection whose reads end after some seconds."""
    return socket.create_connection(address, timeout=seconds)


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A request with a body of JSON."""
    lines = [f"POST {path} HTTP/1.1", "Host: here", f"Content-Length: {len(body)}", *headers]
    if not any(header.lower().startswith("content-type:") for header in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + body


def get(path: str) -> bytes:
    """A request without a body."""
    return f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode()


def receive(connection: socket.socket) -> Answer:
    """The next response."""
    content = b""
    with contextlib.suppress(ConnectionError):
        while b"\r\n\r\n" not in content:
            part = connection.recv(65_536)
            if not part:
                break
            content += part
    head, separator, body = content.partition(b"\r\n\r\n")
    if not separator:
        return Answer(0, {}, content)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        part = connection.recv(65_536)
        assert part, "the response's body was cut"
        body += part
    return Answer(int(first.split()[1]), headers, body)


def ask(address: Address, data: bytes, seconds: float = 10.0) -> Answer:
    """The response to what is sent on a connection of its own; what the server does not take is not sent."""
    with connect(address, seconds) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        return receive(connection)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection after what it sent."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def values_of(answer: Answer) -> Any:
    """The JSON of a response."""
    return json.loads(answer.body)
