"""The uvicorn server of the application: its socket, and a graceful shutdown."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import time
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.app import App

log = logging.getLogger(__name__)

_FINISH_SECONDS = 30  # for requests in progress when the server stops; Kubernetes kills after 30 by default
_TICKS_PER_SECOND = 10  # uvicorn's
_KEEP_ALIVE_SECONDS = 75  # longer than load balancers keep idle connections, so that they close first


def bind(host: str, port: int) -> socket.socket:
    """Opens the socket to listen on; port 0 chooses a free one.

    Raises:
        ModelwayError: the address is in use or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ModelwayError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            value=port,
            remedy="choose another port with --port, or stop what listens there",
        ) from error
    return listener


class _HeadBuffer:
    """A transport that sends a response's head together with its body: one system call and packet instead of two."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if self._head:
            data, self._head = self._head + data, b""
        elif data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 100 "):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        if self._head:
            self.write(b"")

    def close(self) -> None:
        self.flush()
        self._transport.close()


class _Protocol(HttpToolsProtocol):
    transport: _HeadBuffer  # type: ignore[assignment]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(cast(asyncio.Transport, _HeadBuffer(transport)))

    def on_response_complete(self) -> None:
        self.transport.flush()  # of a response without a body, to HEAD
        super().on_response_complete()


class DrainingServer(uvicorn.Server):
    """On SIGTERM reports not ready, keeps answering while traffic is redirected, then finishes and exits with 0.

    A second signal ends the wait.
    """

    def __init__(self, app: App, drain_seconds: float) -> None:
        settings = uvicorn.Config(
            app,
            loop="uvloop",
            http=_Protocol,
            lifespan="off",
            ws="none",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_FINISH_SECONDS,
        )
        super().__init__(settings)
        self._app = app
        self._drain_seconds = drain_seconds
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and then logs the address."""
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            log.info("serving %s on http://%s:%d", self._app.name, f"[{host}]" if ":" in host else host, port)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Begins to drain; uvicorn would raise the signal again at the end."""
        if self._stop_at is None and sig == signal.SIGTERM and self._drain_seconds > 0:
            self._app.draining = True
            self._stop_at = time.monotonic() + self._drain_seconds
        elif self.should_exit:
            self.force_exit = True
        else:
            self._app.draining = True
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop accepting connections now; called ten times a second."""
        if counter % _TICKS_PER_SECOND == 0:
            self._app.tick()
        return await super().on_tick(counter) or (self._stop_at is not None and time.monotonic() >= self._stop_at)
