"""A server that answers as it is told, and what a look at the surroundings says of one part of them."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from modelway.components.core.surroundings.findings import Finding
from modelway.components.core.surroundings.services import inspect_surroundings

Answer = tuple[int, str, str]  # status, content type, content
SEARCH = "/api/2.0/mlflow/experiments/search"
EMPTY: Answer = (200, "application/json", "{}")


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[str]:
    """A server on this machine that gives an answer by path; ada with the password `se/cret` is let in."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            requests.append(path)
            status, kind, content = answers.get(path, (404, "text/plain", "nothing"))
            welcome = f"Basic {base64.b64encode(b'ada:se/cret').decode()}"
            if status == 401 and self.headers.get("Authorization") == welcome:
                status, kind, content = EMPTY
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert requests


def about(subject: str, store: str | Path, *sources: str | Path) -> Finding:
    """The one finding about a subject."""
    (finding,) = [
        finding
        for finding in inspect_surroundings(store=str(store), sources=[str(source) for source in sources])
        if finding.subject == subject
    ]
    return finding
