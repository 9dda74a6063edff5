"""What is relied on of other libraries beyond what they promise: an upgrade past a bound shows here what it breaks."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from packaging.requirements import Requirement
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from modelway.components.core.oci.registry import Registry
from modelway.components.core.storage.s3 import S3
from modelway.components.serve.server import _TICKS_PER_SECOND

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [file for folder in ("components", "pipelines", "examples") for file in (ROOT / folder).rglob("*.py")]
# Public by name, and yet inner parts: formats, what is subclassed or replaced, what other libraries are to call.
INNER = (
    *("evidently", "httptools", "kfp", "kfp-kubernetes", "kubernetes", "mlflow-skinny"),
    *("oras", "skl2onnx", "skops", "uvicorn"),
)
PRIVATE_ATTRIBUTES = {
    "components/core/storage/s3.py": "minio",
    "components/package/onnx/estimators.py": "scikit-learn",
    "components/package/onnx/trees.py": "scikit-learn",
}
DISTRIBUTIONS = {"sklearn": "scikit-learn", "scipy": "scipy"}  # of modules with private parts that are named


def private_attributes(file: Path) -> set[str]:
    """The private attributes that a module uses of what it has not defined itself."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    own |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)}
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and re.match("_[^_]", node.attr)
        and node.attr not in own
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls", "os"})
    }


def private_modules(file: Path) -> set[str]:
    """The top-level packages of private modules that a module imports, or names in a text."""
    nodes = [*ast.walk(ast.parse(file.read_text(encoding="utf-8")))]
    names = [
        f"{node.module}.{alias.name}" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
    ]
    names += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    matches = (re.fullmatch(r"([a-z]\w*)(?:\.\w+)*?\._[^_.]\w*(?:\.\w+)*", name) for name in names)
    return {match[1] for match in matches if match}


def test_whose_private_parts_are_relied_on_is_known() -> None:
    names = {str(file.relative_to(ROOT)): private_attributes(file) for file in SOURCES}
    assert {name for name, attributes in names.items() if attributes} == set(PRIVATE_ATTRIBUTES)
    assert set.union(*map(private_modules, SOURCES)) == set(DISTRIBUTIONS)


@pytest.mark.parametrize("name", sorted({*INNER, *PRIVATE_ATTRIBUTES.values(), *DISTRIBUTIONS.values()}))
def test_a_library_whose_inner_parts_are_relied_on_has_an_upper_bound(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [*project["dependencies"], *project["optional-dependencies"]["evidently"]]
    (requirement,) = (found for text in texts if (found := Requirement(text)).name == name)
    assert {specifier.operator for specifier in requirement.specifier} & {"<", "=="}
    assert not requirement.specifier.contains("1000")


class Recorder(BaseHTTPRequestHandler):
    """Keeps the headers of what is written, and asks readers for a password."""

    headers_of_puts: list[dict[str, str]]

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).headers_of_puts.append({key.lower(): value for key, value in self.headers.items()})
        self.answer(200)

    def do_GET(self) -> None:
        self.answer(401)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("WWW-Authenticate", "Basic")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def recorder() -> Iterator[str]:
    Recorder.headers_of_puts = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_minio_sends_a_condition_as_it_is(recorder: str) -> None:
    S3(recorder, "key", secret_key="secret").create("s3://bucket/entry.json", b"{}")
    (headers,) = Recorder.headers_of_puts
    assert headers["if-none-match"] == "*"
    assert headers["content-md5"]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 ")


def test_oras_answers_a_request_for_basic_authentication_with_dockers_credentials(
    recorder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"auths": {recorder: {"auth": "YWRhOnNlY3JldA=="}}}))
    auth = Registry(recorder, "team/loans")._auth
    assert auth.authenticate_request(None, {"Accept": "any"}, refresh=True) == (
        {"Accept": "any", "Authorization": "Basic YWRhOnNlY3JldA=="},
        True,
    )


def test_oras_keeps_a_token_where_it_is_looked_for() -> None:
    from oras.auth import get_auth_backend

    auth = get_auth_backend("token")
    assert auth.token is None
    auth.set_token_auth("t")
    assert (auth.token, auth.get_auth_header()) == ("t", {"Authorization": "Bearer t"})


def test_uvicorn_ticks_as_often_as_is_counted_on() -> None:
    class Ticking(uvicorn.Server):
        counters: list[int]

        async def on_tick(self, counter: int) -> bool:
            self.counters.append(counter)
            return await super().on_tick(counter)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Is never asked."""

    async def count() -> list[int]:
        server = Ticking(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
        server.counters = []
        task = asyncio.create_task(server.serve())
        await asyncio.sleep(1)
        server.should_exit = True
        await task
        return server.counters

    counters = asyncio.run(count())
    assert counters == list(range(len(counters)))
    assert 0.5 * _TICKS_PER_SECOND <= len(counters) <= 1.5 * _TICKS_PER_SECOND


@pytest.mark.parametrize(
    ("kind", "link"), [(HistGradientBoostingRegressor, "IdentityLink"), (HistGradientBoostingClassifier, "LogitLink")]
)
def test_scikit_learns_boosted_trees_are_as_they_are_read(kind: type, link: str) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 2))
    estimator: Any = kind(max_iter=3).fit(rows, (rows[:, 0] > 0).astype(int))
    assert estimator._preprocessor is None
    assert type(estimator._loss.link).__name__ == link
    fields = {"feature_idx", "is_categorical", "is_leaf", "left", "missing_go_to_left", "num_threshold", "right"}
    total = np.asarray(estimator._baseline_prediction).item()
    for (tree,) in estimator._predictors:
        assert fields | {"value"} <= set(tree.nodes.dtype.names)
        node = tree.nodes[0]
        while not node["is_leaf"]:
            is_left = rows[0][node["feature_idx"]] <= node["num_threshold"]
            node = tree.nodes[node["left" if is_left else "right"]]
        total += node["value"]
    raw = estimator.predict(rows[:1]) if link == "IdentityLink" else estimator.decision_function(rows[:1])
    assert raw.tolist() == pytest.approx([total])


def test_uvicorn_reads_a_request_as_its_protocol_is_changed() -> None:
    """`serve/connection.py` starts the application later, keeps the parser's parts, and answers refusals itself."""
    from inspect import signature

    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
    from uvicorn.server import ServerState

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Is never asked."""

    async def started() -> list[bool]:
        beginnings: list[bool] = []

        class Seen(HttpToolsProtocol):
            def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:  # noqa: ARG002
                beginnings.append(cycle.more_body)

        protocol = Seen(config=Config(app, log_config=None), server_state=ServerState(), app_state={})
        protocol.parser.feed_data(b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n")
        assert (protocol.url, len(protocol.headers), bytes(protocol.cycle.body)) == (b"/a", 2, b"")
        assert protocol.cycle.waiting_for_100_continue
        assert not protocol.cycle.response_complete
        assert not protocol.pipeline
        return beginnings

    assert asyncio.run(started()) == [True]
    assert list(signature(HttpToolsProtocol.__init__).parameters)[1:] == [
        "config",
        "server_state",
        "app_state",
        "_loop",
    ]
    assert STATUS_LINE[431].startswith(b"HTTP/1.1 431 ")
    own = {"_unset_keepalive_if_required", "on_message_begin", "on_header", "on_headers_complete", "on_body"}
    own |= {"on_message_complete", "on_response_complete", "pause_writing", "resume_writing", "shutdown"}
    assert own <= set(vars(HttpToolsProtocol))


def test_httptools_names_what_a_callback_raised_and_where_an_upgrade_ends() -> None:
    import httptools

    class Protocol:
        def on_header(self, name: bytes, _: bytes) -> None:
            if name == b"A":
                raise KeyError(name)

    with pytest.raises(httptools.HttpParserCallbackError) as error:
        httptools.HttpRequestParser(Protocol()).feed_data(b"GET / HTTP/1.1\r\nA: b\r\nB: c\r\n\r\n")
    assert isinstance(error.value.__context__, KeyError)
    head = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        httptools.HttpRequestParser(Protocol()).feed_data(head + b"rest")
    assert upgrade.value.args == (len(head),)
