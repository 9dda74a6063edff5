"""The ASGI application: routes, limits, and responses that are JSON even for errors."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from modelway.components.serve.asgi import (
    JSON_LENGTH,
    OCTETS,
    Receive,
    RequestBody,
    Response,
    Scope,
    Send,
    read_body,
    send_response,
)
from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.json import encode_object
from modelway.components.serve.limits import Limits
from modelway.components.serve.metrics import Metrics
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.protocol_v1 import decode_v1, encode_v1
from modelway.components.serve.protocol_v2 import Request, datatype_of, decode_v2, encode_v2
from modelway.components.serve.recorder import Recorder
from modelway.components.serve.tensors import Array

log = logging.getLogger(__name__)

_INLINE_BYTES = 16 * 1024


class _Prediction(NamedTuple):
    """A response to a request for predictions, with what is recorded of it."""

    response: Response
    columns: Mapping[str, Array]
    outputs: Mapping[str, Array]
    request_id: str


_Work = Callable[[RequestBody], _Prediction]


class App:
    """Serves one model under the Open Inference Protocol V2, V1's ``:predict`` and MLflow's ``/invocations``.

    Small requests to a fast model are answered at once. All others run one after the other in a thread of their own,
    so that health requests are answered whatever the model does. Predictions run concurrently only in ONNX Runtime,
    which is thread-safe.

    Args:
        predictor: The loaded model.
        name: Its name in the paths.
        version: Its version.
        limits: The limits on requests.
        metrics: Counts the requests; None: new metrics.
        recorder: Records rows and predictions; None: nothing is recorded.
    """

    def __init__(
        self,
        predictor: Predictor,
        name: str,
        *,
        version: str = "",
        limits: Limits | None = None,
        metrics: Metrics | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self.predictor = predictor
        self.name = name
        self.version = version
        self.limits = limits or Limits()
        self.metrics = metrics or Metrics({"name": name, "version": version, "model_hash": ""})
        self.draining = False
        self._recorder = recorder or Recorder()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="predict")
        self._most_rows = max(1, self.limits.values // (len(predictor.signature.columns) + predictor.width))
        self._columns = [column.name for column in predictor.signature.columns]
        v1, v2 = f"/v1/models/{name}", f"/v2/models/{name}"
        model_paths = (v2, f"{v2}/versions/{version or '1'}")
        self._reads: dict[str, Callable[[], Response]] = {
            "/v2": self._server,
            "/v2/health/live": lambda: Response(200, encode_object({"live": True})),
            "/v2/health/ready": lambda: self._ready({}),
            "/metrics": self._exposition,
            v1: lambda: self._ready({"name": name}),
            **dict.fromkeys(model_paths, self._model),
            **{f"{path}/ready": lambda: self._ready({"name": name}) for path in model_paths},
        }
        self._predictions: dict[str, _Work] = {
            f"{v1}:predict": self._predict_v1,
            "/invocations": self._predict_v1,
            **{f"{path}/infer": self._predict_v2 for path in model_paths},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one HTTP request."""
        start = time.perf_counter()
        work = self._predictions.get(scope["path"])
        try:
            response = await self._predict(scope, receive, work=work) if work is not None else self._read(scope)
        except RequestError as error:
            response = Response(error.status, encode_object({"error": error.message}), error.headers)
        except ConnectionError:
            return
        await send_response(send, response, last=self.draining)
        if work is not None:
            self.metrics.observe(response.status, time.perf_counter() - start)

    def tick(self) -> None:
        """Passes on what was recorded; called periodically, for when few requests come."""
        self._recorder.flush()

    def close(self) -> None:
        """Writes what was recorded; called once no more requests come."""
        self._recorder.close()
        self._worker.shutdown(wait=False)

    def _read(self, scope: Scope) -> Response:
        path = scope["path"]
        if path not in self._reads:
            raise RequestError(404, f"nothing is served at {quote(path)}; the model's name is {self.name!r}")
        if scope["method"] != "GET":
            raise RequestError(405, f"{path} accepts only GET", headers={"allow": "GET"})
        return self._reads[path]()

    async def _predict(self, scope: Scope, receive: Receive, *, work: _Work) -> Response:
        if scope["method"] != "POST":
            raise RequestError(405, f"{scope['path']} accepts only POST", headers={"allow": "POST"})
        metrics = self.metrics
        if metrics.in_flight >= self.limits.requests:
            raise RequestError(503, "too many requests are in progress; try again", headers={"retry-after": "1"})
        metrics.in_flight += 1
        try:
            body = await read_body(scope, receive)
            if self.predictor.quick and len(body.content) <= _INLINE_BYTES:
                prediction = work(body)
            else:
                prediction = await asyncio.get_running_loop().run_in_executor(self._worker, _work_off, work, body)
        except (RequestError, ConnectionError, asyncio.CancelledError):
            raise
        except (Exception, SystemExit):  # a model's message may be confidential: the client gets a reference only
            reference = uuid.uuid4().hex[:12]
            log.exception("prediction %s failed", reference)
            error = f"the prediction failed; the log says why under {reference}"
            return Response(500, encode_object({"error": error}))
        finally:
            metrics.in_flight -= 1
        try:
            columns, outputs, size = prediction.columns, prediction.outputs, len(body.content)
            self._recorder.record(columns, outputs, request_id=prediction.request_id, size=size)
        except Exception:  # recording must not fail a request
            log.exception("a prediction could not be recorded")
        return prediction.response

    def _predict_v2(self, body: RequestBody) -> _Prediction:
        request = decode_v2(body.content, body.json_length)
        columns, outputs = self._predict_columns(request)
        content, json_length = encode_v2(outputs, self.name, version=self.version, request=request)
        headers = {} if json_length is None else {"content-type": OCTETS, JSON_LENGTH: str(json_length)}
        return _Prediction(Response(200, content, headers), columns, outputs, request.id)

    def _predict_v1(self, body: RequestBody) -> _Prediction:
        if body.json_length is not None:
            raise RequestError(415, "send binary tensors to /v2/models/…/infer")
        columns, outputs = self._predict_columns(decode_v1(body.content, self._columns))
        return _Prediction(Response(200, encode_object(encode_v1(outputs))), columns, outputs, "")

    def _predict_columns(self, request: Request) -> tuple[dict[str, Array], dict[str, Array]]:
        rows = len(next(iter(request.columns.values())).values) if request.columns else 0
        if rows > self._most_rows:
            raise RequestError(413, f"the request has {rows:,} rows; send at most {self._most_rows:,} at a time")
        columns = self.predictor.signature.convert(request.columns)
        return columns, self.predictor.predict(columns, request.outputs)

    def _ready(self, body: dict[str, Any]) -> Response:
        return Response(503 if self.draining else 200, encode_object({**body, "ready": not self.draining}))

    def _server(self) -> Response:
        from importlib.metadata import version as installed_version

        metadata = {"name": "modelway", "version": installed_version("modelway"), "extensions": ["binary_tensor_data"]}
        return Response(200, encode_object(metadata))

    def _exposition(self) -> Response:
        content, kind = self.metrics.exposition()
        return Response(200, content, {"content-type": kind})

    def _model(self) -> Response:
        body = {
            "name": self.name,
            "versions": [self.version or "1"],
            "platform": self.predictor.platform,
            "inputs": [
                {"name": column.name, "datatype": column.datatype, "shape": [-1]}
                for column in self.predictor.signature.columns
            ],
            "outputs": [
                {"name": name, "datatype": datatype_of(dtype), "shape": [-1] if name == "predict" else [-1, -1]}
                for name, dtype in self.predictor.outputs.items()
            ],
        }
        return Response(200, encode_object(body))


def _work_off(work: _Work, body: RequestBody) -> _Prediction:
    """Does the work in its thread; its error has no traceback, which would keep the decoded request in memory."""
    try:
        return work(body)
    except RequestError as error:
        refusal = RequestError(error.status, error.message, headers=error.headers)
    raise refusal
