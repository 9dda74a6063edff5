"""One kept-open HTTP connection to the server on this machine; an answer that does not come is an answer too."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any

_TIMEOUT_SECONDS = 30.0
_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: The HTTP status; 0 if no answer came.
        body: The answer's body.
        trouble: Why no answer came.
    """

    status: int
    body: bytes = b""
    trouble: str = ""

    @property
    def answer(self) -> Any:
        """The body's JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """The error that the body states, or why no answer came; empty of a right answer."""
        answer = self.answer
        return self.trouble or (str(answer.get("error", "")) if isinstance(answer, dict) else "")

    def __str__(self) -> str:
        return f"{self.status or 'no answer'}{f' ({self.said})' if self.said else ''}"


class Client:
    """Asks the server on a port of this machine, over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)

    def get(self, path: str) -> Reply:
        """Asks for what is at a path."""
        return self._ask("GET", path, body=None, headers={})

    def post(self, path: str, body: bytes) -> Reply:
        """Sends JSON to a path."""
        return self._ask("POST", path, body=body, headers=_JSON)

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, *, body: bytes | None, headers: dict[str, str]) -> Reply:
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Reply(response.status, response.read())
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Reply(0, trouble=str(error) or type(error).__name__)
