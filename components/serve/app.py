"""The ASGI application: routes, limits, and answers that are JSON whatever happens."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import Any

from modelway.components.serve.errors import RequestError, shown
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.protocol import datatype_of, decode_v1, decode_v2, encode_v1, encode_v2

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answer = dict[str, Any]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What the server takes at most.

    Attributes:
        request_bytes: The size of a request's body.
        requests: Predictions under way at a time, those that wait included; one more is answered 503.
        read_seconds: How long a body may take to arrive.
    """

    request_bytes: int = 4 * 1024 * 1024
    requests: int = 128
    read_seconds: float = 10.0


@dataclass(frozen=True)
class Response:
    """An answer to be sent."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


Work = Callable[[bytes], bytes]


class App:
    """Serves one model under the Open Inference Protocol V2 and V1's ``:predict``.

    Predictions run one after the other in a thread of their own, so that health is answered at once whatever the
    model does, and models that are not safe to share between threads are not shared.
    """

    def __init__(self, predictor: Predictor, name: str, version: str = "", limits: Limits | None = None) -> None:
        self.predictor = predictor
        self.name = name
        self.version = version
        self.limits = limits or Limits()
        self.draining = False
        self._under_way = 0
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._columns = [one.name for one in predictor.signature.columns]
        v1, v2 = f"/v1/models/{name}", f"/v2/models/{name}"
        named = (v2, f"{v2}/versions/{version or '1'}")
        self._reads: dict[str, Callable[[], Response]] = {
            "/v2": self._server,
            "/v2/health/live": lambda: Response(200, _json({"live": True})),
            "/v2/health/ready": lambda: self._ready({}),
            v1: lambda: self._ready({"name": name}),
            **dict.fromkeys(named, self._model),
            **{f"{path}/ready": lambda: self._ready({"name": name}) for path in named},
        }
        self._predictions: dict[str, Work] = {
            f"{v1}:predict": self._predict_v1,
            **{f"{path}/infer": self._predict_v2 for path in named},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        try:
            response = await self._answer(scope, receive)
        except RequestError as error:
            response = Response(error.status, _json({"error": error.message}), error.headers)
        except ConnectionError:
            return
        headers = {"content-type": "application/json", "content-length": str(len(response.body)), **response.headers}
        if self.draining:
            headers["connection"] = "close"
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": response.status, "headers": encoded})
        await send({"type": "http.response.body", "body": response.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        path, method = scope["path"], scope["method"]
        if path in self._reads:
            if method != "GET":
                raise RequestError(405, f"{path} takes GET only", {"allow": "GET"})
            return self._reads[path]()
        if path not in self._predictions:
            raise RequestError(404, f"nothing is served at {shown(path)}; the model's name is {self.name!r}")
        if method != "POST":
            raise RequestError(405, f"{path} takes POST only", {"allow": "POST"})
        return await self._predict(scope, receive, self._predictions[path])

    async def _predict(self, scope: Scope, receive: Receive, work: Work) -> Response:
        if self._under_way >= self.limits.requests:
            raise RequestError(503, "too many requests are under way; try again", {"retry-after": "1"})
        self._under_way += 1
        try:
            body = await self._body(scope, receive)
            return Response(200, await asyncio.get_running_loop().run_in_executor(self._worker, work, body))
        except (RequestError, ConnectionError, asyncio.CancelledError):
            raise
        except (Exception, SystemExit):  # whatever a model does; the client learns where to look, not what it said
            reference = uuid.uuid4().hex[:12]
            log.exception("prediction %s failed", reference)
            return Response(500, _json({"error": f"the prediction failed; the log says why under {reference}"}))
        finally:
            self._under_way -= 1

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        kind = headers.get(b"content-type", "application/json").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(415, f"the body must be application/json, not {shown(kind)}")
        most = self.limits.request_bytes
        too_large = RequestError(413, f"the body is larger than {most:,} bytes; send fewer rows at a time")
        stated = headers.get(b"content-length", "0")
        if stated.isdecimal() and int(stated) > most:
            raise too_large
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.read_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionResetError
                    part = message.get("body", b"")
                    parts.append(part)
                    size += len(part)
                    if size > most:
                        raise too_large
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError as error:
            late = f"the body did not arrive within {self.limits.read_seconds:g} seconds"
            raise RequestError(408, late, {"connection": "close"}) from error

    def _predict_v2(self, body: bytes) -> bytes:
        request = decode_v2(body)
        outputs = self.predictor.predict(self.predictor.signature.convert(request.columns), request.outputs)
        return _json(encode_v2(outputs, self.name, self.version, request.id))

    def _predict_v1(self, body: bytes) -> bytes:
        request = decode_v1(body, self._columns)
        return _json(encode_v1(self.predictor.predict(self.predictor.signature.convert(request.columns))))

    def _ready(self, body: Answer) -> Response:
        return Response(503 if self.draining else 200, _json({**body, "ready": not self.draining}))

    def _server(self) -> Response:
        return Response(200, _json({"name": "modelway", "version": installed_version("modelway"), "extensions": []}))

    def _model(self) -> Response:
        inputs = [
            {"name": one.name, "datatype": one.datatype, "shape": [-1]} for one in self.predictor.signature.columns
        ]
        dtypes = self.predictor.dtypes
        outputs = [
            {"name": name, "datatype": datatype_of(dtypes[name]), "shape": [-1] if name == "predict" else [-1, -1]}
            for name in self.predictor.outputs
        ]
        body = {
            "name": self.name,
            "versions": [self.version or "1"],
            "platform": "sklearn",
            "inputs": inputs,
            "outputs": outputs,
        }
        return Response(200, _json(body))


def _json(answer: Answer) -> bytes:
    return json.dumps(answer, separators=(",", ":"), allow_nan=False).encode()
