"""One connection: reads requests within limits, and gives them to the application once they have arrived.

Everything that is refused before is answered in JSON, and the connection closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelway.components.serve.connections import Connections, Queue
from modelway.components.serve.errors import quote
from modelway.components.serve.refusals import Refusal, RefusedError, encode_refusal, parser_refusal
from modelway.components.serve.transport import HeadBuffer

_LINGER_SECONDS = 2.0  # how long what follows a refused request is read and dropped, so that the client gets the answer
_LINGER_BYTES = 4 * 1024 * 1024
_UNSENT_BYTES = 16 * 1024
_BODY = frozenset({b"content-length", b"transfer-encoding"})
_VERSIONS = frozenset({"1.1", "1.0"})
_CHUNK_OVERHEAD = 2  # how many times its size a body in chunks may take


class Connection(HttpToolsProtocol):
    """A connection of a client.

    uvicorn starts the application at the end of a request's head. Here it starts at the end of its body, so a slow
    client occupies nothing but its connection.

    Args:
        connections: All open ones.
    """

    transport: HeadBuffer  # type: ignore[assignment]

    def __init__(self, connections: Connections, **settings: Any) -> None:
        super().__init__(**settings)
        self.queue: Queue | None = None
        self._connections = connections
        self._limits = connections.limits
        self._part = ""  # of the request that arrives: "head" or "body"
        self._received = 0  # of it, in bytes
        self._complete: deque[int] = deque()  # the sizes of the requests that arrived and are not answered
        self._waiting_app: Any = None  # until the body has arrived
        self._refusal: Refusal | None = None
        self._is_refused = False
        self._dropped = 0  # what followed the refused request, in bytes

    @property
    def buffered_bytes(self) -> int:
        """What it holds of a request that is incomplete."""
        return self._received

    @property
    def unsent_bytes(self) -> int:
        """What it holds of responses that the client has not received."""
        return int(self.transport.get_write_buffer_size())

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begins to wait for a request."""
        transport.set_write_buffer_limits(high=_UNSENT_BYTES)
        super().connection_made(cast(asyncio.Transport, HeadBuffer(transport)))
        if not self._connections.add(self):
            self._refuse(Refusal(503, "connections", "the server has too many connections; try again"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        self._connections.buffered_bytes -= self._received + sum(self._complete)
        self._received = 0
        self._complete.clear()
        self._connections.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads requests, or parts of them."""
        if self._is_refused:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self.flow.pause_reading()
            return
        self._unset_keepalive_if_required()
        size = self._limits.head_bytes
        if len(data) <= size:
            self._read(data)
            return
        for start in range(0, len(data), size):
            self._read(data[start : start + size])

    def pause_writing(self) -> None:
        """Waits until the client receives its response."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Goes on once it has."""
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        """Closes the connection, after a request whose head has arrived."""
        if self._complete or self._waiting_app is not None:
            super().shutdown()
        else:
            self.transport.close()

    def expire(self) -> None:
        """Ends what took too long."""
        if self.queue is self._connections.arriving and self._part:
            seconds = self._limits.read_seconds
            self._refuse(Refusal(408, "slow", f"the request's {self._part} did not arrive within {seconds:g} seconds"))
        elif self.queue is self._connections.arriving or self.queue is self._connections.idle:
            self._close()
        else:
            self.transport.abort()

    def give_way(self, refusal: Refusal) -> None:
        """Ends, to make room for another."""
        if self.queue is self._connections.arriving and self._part:
            self._refuse(refusal)
            return
        self._connections.count(refusal)
        if self.queue is self._connections.leaving:
            self.transport.abort()
        else:
            self._close()

    def on_message_begin(self) -> None:
        """Begins a request's head."""
        if len(self._complete) > self._limits.pipelined:
            raise RefusedError(429, "pipelined", "too many requests were sent before the first was answered")
        self._part = "head"
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Takes a header; those after the body are dropped."""
        if self._part != "head":
            return
        if len(self.headers) >= self._limits.headers:
            raise RefusedError(431, "head", f"the request has more than {self._limits.headers} headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Checks a request's head."""
        self._check_head()
        try:
            super().on_headers_complete()
        except (httptools.HttpParserInvalidURLError, AttributeError, UnicodeDecodeError) as error:
            raise RefusedError(400, "malformed", f"the request's target {quote(self.url)} is not a path") from error
        self._part = "body"

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body."""
        if len(self.cycle.body) + len(body) > self._limits.request_bytes:
            raise self._too_large()
        self.cycle.body += body

    def on_message_complete(self) -> None:
        """Gives a request to the application."""
        super().on_message_complete()
        self._part = ""
        self._complete.append(self._received)
        self._received = 0
        if not self.flow.write_paused:
            self._connections.place(self, None)
        if self._waiting_app is not None:
            app, self._waiting_app = self._waiting_app, None
            super()._start_asgi_task(self.cycle, app)

    def on_response_complete(self) -> None:
        """Waits for the next request."""
        if self._complete:  # none is left of a connection that was lost
            self._connections.buffered_bytes -= self._complete.popleft()
        self.transport.flush()  # of a response without a body, to HEAD
        super().on_response_complete()
        if self._refusal is not None and not self._complete and not self.transport.is_closing():
            self._send_refusal(self._refusal)
        else:
            self._settle()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.more_body:
            super()._start_asgi_task(cycle, app)
            return
        self._waiting_app = app
        if cycle.waiting_for_100_continue and cycle.scope["http_version"] == "1.1":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        cycle.waiting_for_100_continue = False

    def _read(self, data: bytes) -> None:
        """Parses data of at most a head's size."""
        if self._is_refused:
            return
        self._received += len(data)
        self._connections.buffered_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # which a server may ignore (RFC 9110, 7.8)
            rest = data[upgrade.args[0] :]
            if rest:
                self._complete[-1] -= len(rest)
                self._connections.buffered_bytes -= len(rest)
                self._read(rest)
                return
        except httptools.HttpParserError as error:
            self._refuse(parser_refusal(error, data))
            return
        if self._part:
            self._check_size()
        else:
            self._connections.buffered_bytes -= self._received  # empty lines before a request
            self._received = 0

    def _check_head(self) -> None:
        """Refuses what the parser accepts, but this server does not."""
        limits, version, size = self._limits, self.parser.get_http_version(), len(self.url)
        if version not in _VERSIONS:
            raise RefusedError(400, "malformed", f"the request is HTTP/{version}; use HTTP/1.1")
        for name, value in self.headers:
            size += len(name) + len(value)
            if name == b"content-length" and int(value) > limits.request_bytes:
                raise self._too_large()
            if name in _BODY and value != b"0" and self.parser.should_upgrade():  # the parser would not see the body
                message = "a request with a body cannot ask for another protocol (the header Upgrade)"
                raise RefusedError(400, "malformed", message)
            if name == b"transfer-encoding" and (value.lower() != b"chunked" or version == "1.0"):
                message = f"the transfer encoding {quote(value.decode('latin-1'))} is not supported; use chunked"
                raise RefusedError(400, "malformed", message)
        if size > limits.head_bytes or len(self.url) > limits.target_bytes:
            raise self._head_too_large()

    def _check_size(self) -> None:
        """Checks what has arrived of an incomplete request."""
        if self._part == "head" and self._received > self._limits.head_bytes:
            self._refuse(self._head_too_large().refusal)
            return
        limit = _CHUNK_OVERHEAD * self._limits.request_bytes + self._limits.head_bytes
        if self._received > limit:
            self._refuse(self._too_large().refusal)
            return
        if self.queue is self._connections.idle:
            self._connections.place(self, self._connections.arriving, self._limits.read_seconds)
        self._connections.limit_memory()

    def _settle(self) -> None:
        """Puts the connection where its state belongs."""
        connections, limits = self._connections, self._limits
        if self.transport.is_closing() or self.flow.write_paused or (self._is_refused and not self._complete):
            connections.place(self, connections.leaving, limits.write_seconds)
        elif self._complete:
            connections.place(self, None)
        elif self._part:
            connections.place(self, connections.arriving, limits.read_seconds)
        else:
            connections.place(self, connections.idle, limits.idle_seconds)

    def _refuse(self, refusal: Refusal) -> None:
        """Ends the request that arrives; its refusal is sent once those before are answered."""
        self._connections.count(refusal)
        self._connections.buffered_bytes -= self._received
        self._is_refused, self._received = True, 0
        if self._part == "body":
            if self._waiting_app is None:
                self.pipeline.popleft()
            self._waiting_app = None
            self.cycle.body = bytearray()
        self._part = ""
        if self._complete:
            self._refusal = refusal
        else:
            self._send_refusal(refusal)

    def _send_refusal(self, refusal: Refusal) -> None:
        self.transport.write(encode_refusal(refusal, self.server_state.default_headers))
        self.transport.flush()
        if refusal.reason in {"slow", "connections"}:  # the client sends nothing that would have to be read first
            self._close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._connections.place(self, self._connections.leaving, _LINGER_SECONDS)

    def _close(self) -> None:
        self.transport.close()
        self._connections.place(self, self._connections.leaving, self._limits.write_seconds)

    def _head_too_large(self) -> RefusedError:
        if len(self.url) > self._limits.target_bytes:
            return RefusedError(414, "head", f"the path is larger than {self._limits.target_bytes:,} bytes")
        return RefusedError(431, "head", f"the request's head is larger than {self._limits.head_bytes:,} bytes")

    def _too_large(self) -> RefusedError:
        size = self._limits.request_bytes
        return RefusedError(413, "body", f"the body is larger than {size:,} bytes; send fewer rows at a time")
