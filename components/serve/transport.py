"""The transport of a connection's responses."""

from __future__ import annotations

import asyncio
from typing import Any


class HeadBuffer:
    """A transport that sends a response's head together with its body: one system call and packet instead of two."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Writes data, or keeps it until the next if it is a response's head."""
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Writes a head that was kept, of a response without a body."""
        if self._head:
            self.write(b"")

    def close(self) -> None:
        """Closes the transport once all is written."""
        self.flush()
        self._transport.close()
