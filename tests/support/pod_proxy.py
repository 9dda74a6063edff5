"""An API server over real HTTP, with the objects and the pods' answers that a test gives it."""

from __future__ import annotations

import copy
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


class Untouchable(Cluster):
    """A cluster that must not be asked anything."""

    def __init__(self) -> None:
        super().__init__(None, "nowhere")


def patched(obj: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    """An object after a JSON patch, by RFC 6902."""
    result = copy.deepcopy(obj)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = result
        for part in parents:
            place = place[int(part) if isinstance(place, list) else part]
        if operation["op"] == "test":
            assert place[last] == operation["value"]
            continue
        assert operation["op"] == "add" or last in place, operation["path"]
        if operation["op"] == "remove":
            del place[last]
        else:
            place[last] = operation["value"]
    return result


@dataclass
class ApiServer:
    """A namespace.

    Attributes:
        host: Where it listens.
        objects: Its objects, by resource and name.
        answers: Each pod's status and content.
        sent: Pod, port, path and body of each request to a pod.
        default: What is answered of other pods; without it, that they are not there.
        refusals: What is answered of a resource instead; a list: one call each.
        status: The status of each object that is created.
    """

    host: str = ""
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, tuple[int, Any]] = field(default_factory=dict)
    sent: list[tuple[str, str, str, Any]] = field(default_factory=list)
    default: tuple[int, Any] | None = None
    refusals: dict[str, tuple[int, Any] | list[tuple[int, Any]]] = field(default_factory=dict)

    status: dict[str, Any] = field(default_factory=dict)

    @property
    def count(self) -> Counter[str]:
        return Counter(pod for pod, *_ in self.sent)

    def refusal(self, path: str) -> tuple[int, Any] | None:
        """What a call of a path is refused with."""
        for resource, answer in self.refusals.items():
            if resource in path.partition("?")[0].split("/"):
                return answer if isinstance(answer, tuple) else answer.pop(0) if answer else None
        return None

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
            if refusal := state.refusal(self.path):
                self.answer(*refusal)
                return
            if match is None:
                resource, name = self.path.rpartition("/")[2], body["metadata"]["name"]
                assert (resource, name) not in state.objects
                state.objects[resource, name] = body | ({"status": state.status} if state.status else {})
                self.answer(201, body)
                return
            pod, port, path = match.groups()
            state.sent.append((pod, port, path, body))
            self.answer(*state.answers.get(pod, state.default or status(404, f'pods "{pod}" not found', pod)))

        def do_PATCH(self) -> None:
            operations = json.loads(self.rfile.read(int(self.headers["content-length"])))
            resource, name = self.path.split("/")[-2:]
            state.objects[resource, name] = patched(state.objects[resource, name], operations)
            self.answer(200, state.objects[resource, name])

        def do_DELETE(self) -> None:
            resource, name = self.path.partition("?")[0].split("/")[-2:]
            obj = state.objects.pop((resource, name), None)
            self.answer(*(status(404, "not found", name) if obj is None else (200, obj)))

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            resource, name = path.split("/")[-2:]
            if refusal := state.refusal(self.path):
                self.answer(*refusal)
            elif match := PATH.fullmatch(self.path):
                self.answer(200, f"{match[1]} has no memory left\n")
            elif query or resource == "v1":
                self.answer(200, {"items": [obj for (kind, _), obj in state.objects.items() if kind == name]})
            elif obj := state.objects.get((resource, name)):
                self.answer(200, obj)
            else:
                self.answer(*status(404, "not found", name))

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
