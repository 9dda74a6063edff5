"""The uvicorn server of the application: its socket, and a graceful shutdown."""

from __future__ import annotations

import logging
import math
import signal
import socket
import time
from functools import partial
from types import FrameType
from typing import Any, cast

import uvicorn

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.app import App
from modelway.components.serve.connection import Connection
from modelway.components.serve.connections import Connections

log = logging.getLogger(__name__)

_FINISH_SECONDS = 30  # for requests in progress when the server stops; Kubernetes kills after 30 by default
_TICKS_PER_SECOND = 10  # uvicorn's


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


class DrainingServer(uvicorn.Server):
    """On SIGTERM reports not ready, keeps answering while traffic is redirected, then finishes and exits with 0.

    A second signal ends the wait.
    """

    def __init__(self, app: App, drain_seconds: float) -> None:
        self._connections = Connections(app.limits, app.metrics)
        settings = uvicorn.Config(
            app,
            loop="uvloop",
            http=cast(Any, partial(Connection, self._connections)),
            lifespan="off",
            ws="none",
            access_log=False,
            proxy_headers=False,
            log_config=None,
            server_header=False,
            timeout_keep_alive=math.ceil(app.limits.idle_seconds),
            timeout_graceful_shutdown=_FINISH_SECONDS,
        )
        super().__init__(settings)
        self._app = app
        self._drain_seconds = drain_seconds
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to listen, and then logs the address."""
        self._connections.start()
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
