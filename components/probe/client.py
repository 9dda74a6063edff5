"""An HTTP client of the server on this machine, over one connection; a failed connection is a reply, too."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

_TIMEOUT_SECONDS = 30.0
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """The reply to a request.

    Attributes:
        status: The HTTP status; 0 if no answer came.
        body: The answer's body.
        connection_error: Why no answer came.
    """

    status: int
    body: bytes = b""
    connection_error: str = ""

    @property
    def answer(self) -> Any:
        """The body's JSON; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None

    @property
    def error(self) -> str:
        """The error in the body, or why no answer came; empty if there is none."""
        answer = self.answer
        return self.connection_error or (str(answer.get("error", "")) if isinstance(answer, dict) else "")

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}{f' ({self.error})' if self.error else ''}"


class Client:
    """A connection to the server on a port of this machine."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def get(self, path: str) -> Reply:
        """Sends a GET request."""
        return self._send("GET", path)

    def post(self, path: str, body: bytes) -> Reply:
        """Sends a POST request with a JSON body."""
        return self._send("POST", path, body=body)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _send(self, method: str, path: str, *, body: bytes | None = None) -> Reply:
        try:
            self._connection.request(method, path, body, {} if body is None else _JSON)
            response = self._connection.getresponse()
            return Reply(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Reply(0, connection_error=str(error) or type(error).__name__)
