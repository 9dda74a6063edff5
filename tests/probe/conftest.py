"""A test split, and models light enough that a server of one starts in a second."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import cloudpickle
import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml
from light_models import write_light_model
from user_files import minimal_project_text

from modelway.components.core.checks import Gate
from modelway.components.core.storage.models import folder_sha256
from modelway.components.probe.stage import probe

PROJECT = minimal_project_text(
    task="regression",
    label="score",
    features={"numeric": ["income"], "categorical": ["region"]},
    model={"estimator": "sklearn.linear_model.Ridge"},
)


class Light:
    """Doubles the income; pickled by value, so that the server needs nothing but NumPy and pandas."""

    def predict(self, rows: pd.DataFrame) -> Any:
        return rows["income"].to_numpy() * 2


def _table(count: int = 30) -> pl.DataFrame:
    dice = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "income": dice.normal(size=count),
            "region": [str(name) for name in dice.choice(["north", "south"], count)],
            "score": dice.normal(size=count),
        }
    )


@dataclass(frozen=True)
class Prober:
    """A folder to write a model and a test split into, and the call that probes the one with the other."""

    folder: Path
    table = staticmethod(_table)

    def __call__(
        self,
        model: type = Light,
        *,
        test: pl.DataFrame | None = None,
        model_hash: str | None = None,
        more: dict[str, Any] | None = None,
        **serving: Any,
    ) -> Gate:
        self.write(model)
        (self.table() if test is None else test).write_parquet(self.folder / "test")
        settings = {"requests": 40, "warm_up": 4, "connections": 2, "rows": 12, "timeout_seconds": 30, **serving}
        policy = {"model": {"metrics": {"r2": {"min": 0}}}, "serving": settings, **(more or {})}
        return probe(
            str(self.model),
            str(self.folder / "test"),
            project_text=PROJECT,
            policy_text=yaml.safe_dump(policy),
            model_hash=folder_sha256(self.model) if model_hash is None else model_hash,
            as_of="2026-01-15",
            report_path=str(self.folder / "report.html"),
        )

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")

    def write(self, model: type) -> None:
        """Pickles an instance by value, and states its columns as MLflow does."""
        write_light_model(self.model, _by_value(model)(), {"income": "double", "region": "string"})


def _by_value(model: type) -> type:
    """The class as one that cloudpickle writes out whole, since the server cannot import the tests."""
    cloudpickle.register_pickle_by_value(sys.modules[model.__module__])
    return type(model.__name__, (), {**{n: v for n, v in vars(model).items() if callable(v)}, "__module__": "__main__"})


@pytest.fixture
def prober(tmp_path: Path) -> Prober:
    return Prober(tmp_path)


@pytest.fixture
def servers() -> Callable[[], list[str]]:
    """The model servers that run on this machine and were started by this process."""

    def running() -> list[str]:
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_text().split("\0")
                parent = (folder / "stat").read_text().rpartition(") ")[2].split()[1]
            except OSError:
                continue
            if "modelway.components.serve" in command and int(parent) == os.getpid():
                processes.append(folder.name)
        return processes

    return running


@pytest.fixture
def spy(tmp_path: Path) -> tuple[type, Path]:
    """A model that writes a file when it is loaded, and the file."""
    trace = tmp_path / "loaded"

    class Spy:
        def __reduce__(self) -> Any:
            return Path.touch, (trace,)

    return Spy, trace


class _Echo(BaseHTTPRequestHandler):
    """Answers with the request itself: 500 at `/fail`, else 200."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = f"{self.command} {self.path} ".encode() + content
        self.send_response(500 if self.path == "/fail" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def http_port() -> Iterator[int]:
    """The port of an HTTP server that answers with the request."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_port
        server.shutdown()
