"""The API server's way to pods, over real HTTP: what each pod answers is said by the test."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from modelway.components.deploy.cluster import Cluster

PATH = re.compile(r"/api/v1/namespaces/models/pods/([^/:]+)(?::(\d+)/proxy(/.*)|/log.*)")


def status(code: int, message: str, name: str = "") -> tuple[int, Any]:
    """What the API server says itself; of an object that is not there with its name among the details."""
    content = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return code, {**content, "details": {"name": name} if name else {}}


@dataclass
class ApiServer:
    """A namespace without objects but pods that can be sent to, of which nothing is known but their answers.

    Attributes:
        host: Where it listens.
        answers: Each pod's status and content.
        sent: Pod, port, path and body of each request to a pod.
        default: What is answered of other pods; without it, that they are not there.
    """

    host: str = ""
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    sent: list[tuple[str, str, str, Any]] = field(default_factory=list)
    default: tuple[int, Any] | None = None

    @property
    def count(self) -> Counter[str]:
        return Counter(pod for pod, *_ in self.sent)

    def cluster(self) -> Cluster:
        from kubernetes import client

        configuration = client.Configuration()
        configuration.host = self.host
        return Cluster(client.ApiClient(configuration), "models")


@contextmanager
def listening() -> Iterator[ApiServer]:
    """Serves until the end of the block."""
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            match = PATH.fullmatch(self.path)
            assert match is not None, self.path
            pod, port, path = match.groups()
            state.sent.append((pod, port, path, body))
            self.answer(*state.answers.get(pod, state.default or status(404, f'pods "{pod}" not found', pod)))

        def do_GET(self) -> None:
            match = PATH.fullmatch(self.path)
            answer = (
                (200, f"{match[1]} has no memory left\n")
                if match
                else status(404, "not found", self.path.rsplit("/", 1)[-1])
            )
            self.answer(*answer)

        def answer(self, code: int, content: Any) -> None:
            text = content if isinstance(content, str | bytes) else json.dumps(content)
            body = text if isinstance(text, bytes) else text.encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.host = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
