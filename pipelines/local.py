"""Runs the release pipeline here, through `kfp.local`, with its tasks forked from one warm process."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from modelway.components.core.errors import ModelwayError, explained
from modelway.components.core.records import OUTCOME, Outcome
from modelway.pipelines.workspace import Workspace, code_hash, tracking_uri


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: What it was.
        stage: The component's name.
        text: A line of the stage's log.
        seconds: How long the stage took.
    """

    kind: Literal["started", "log", "finished", "failed", "cached"]
    stage: str
    text: str = ""
    seconds: float = 0.0


@dataclass
class LocalResult:
    """How a local run went.

    Attributes:
        outcome: What `record_outcome` recorded; None if the run broke before.
        seconds: How long each stage took; 0 for one that was served from cache.
        cached: The stages that were served from cache.
        error: The error's fields, if a stage failed.
        log: The folder of the stages' logs.
    """

    outcome: Outcome | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None
    log: Path = Path()


class Worker:
    """The warm process, started at once and asked later.

    Args:
        folder: Where the logs and results go.
        environment: The variables of the process and of every task.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        ours, theirs = socket.socketpair()
        self._errors = folder / "worker.log"
        with self._errors.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "modelway.pipelines.worker", str(theirs.fileno()), str(folder)],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._lock = threading.Lock()
        self._count = 0

    def ask(self, request: dict[str, Any], on_line: Callable[[str], None] | None = None) -> tuple[int, dict[str, Any]]:
        """Has a request run in a fork; returns its exit code and what it left in its result file.

        Args:
            request: See `worker.main`.
            on_line: Called with each line of the log as it is written.
        """
        with self._lock:
            self._count += 1
            name = f"{self._count:02d}-{request.get('function', request['kind'])}"
            log, result = self.folder / f"{name}.log", self.folder / f"{name}.json"
            log.touch()
            asked = json.dumps({**request, "log": str(log), "result": str(result)})
            with log.open(encoding="utf-8", errors="replace") as lines:
                try:
                    self._connection.send_bytes(asked.encode())
                    while not self._connection.poll(0.05):
                        _drain(lines, on_line)
                    code = int(json.loads(self._connection.recv_bytes()))
                except (EOFError, OSError) as error:
                    raise self._ended() from error
                _drain(lines, on_line)
        try:
            content = json.loads(result.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # the fork ended before it could write all of it
            content = {}
        return code, content

    def _ended(self) -> ModelwayError:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return ModelwayError(
            "the process that runs the stages ended" + (f": {lines[-1][:300]}" if lines else ""),
            file=str(self._errors),
            remedy="see this log; where it says nothing, the machine may have run out of memory",
        )

    def close(self) -> None:
        """Ends the process and whatever it forked."""
        self._connection.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()


def _drain(lines: io.TextIOBase | Any, on_line: Callable[[str], None] | None) -> None:
    for line in lines:
        if on_line is not None:
            on_line(line.rstrip("\n"))


def run_release(
    workspace: Workspace, home: Path, store: str, on_event: Callable[[Event], None], **more: str
) -> LocalResult:
    """Runs the release pipeline and returns how it went.

    Args:
        workspace: The project.
        home: The folder for artifacts, cache and logs, and for MLflow where no server is set.
        store: The root of the project's store.
        on_event: Called as stages start, write, end, or are served from cache.
        more: The pipeline's other parameters: ``serving_base`` and ``image``, to package what is blessed.

    Raises:
        ModelwayError: something is wrong that can be told before the first stage.
    """
    home.mkdir(parents=True, exist_ok=True)
    logs = home / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    environment = {
        "MLFLOW_TRACKING_URI": tracking_uri(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(workspace.folder), os.environ.get("PYTHONPATH", "")])),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),  # idle threads leave a busy machine alone
    }
    worker = Worker(logs, environment)
    try:
        return _Run(worker, on_event).release(workspace, home, store, more)
    finally:
        worker.close()


class _Run:
    """One run: hands kfp.local's tasks to the worker and keeps what is seen on the way."""

    def __init__(self, worker: Worker, on_event: Callable[[Event], None]) -> None:
        self.worker = worker
        self.on_event = on_event
        self.result = LocalResult(log=worker.folder)
        self.run = ""

    def release(self, workspace: Workspace, home: Path, store: str, more: dict[str, str]) -> LocalResult:
        """Compiles and runs the pipeline; the worker imports meanwhile."""
        from kfp import local

        from modelway.pipelines.release import release

        parameters = workspace.parameters(store)
        arguments = {
            "project": workspace.project.canonical(),
            "contract": workspace.contract.canonical(),
            "policy": workspace.policy.canonical(),
            "names": workspace.names(),
            "folder": str(workspace.folder),
        }
        code, found = self.worker.ask({"kind": "preflight", "arguments": arguments})
        if code != 0:
            raise _as_error(found, self.worker.folder)
        local.init(
            local.SubprocessRunner(use_venv=False),
            pipeline_root=str(home / "artifacts"),
            raise_on_error=False,
            enable_caching=True,
            cache_root=str(home / "cache" / code_hash()),
        )
        kfp_log = self.worker.folder / "kfp.log"
        with self._instead_of_subprocesses(), kfp_log.open("w", encoding="utf-8") as log, redirect_stdout(log):
            release(**parameters, **found, store=store, **workspace.origin(), **more)
        self.result.outcome = Outcome.read(store, self.run, OUTCOME) if self.run else None
        return self.result

    @contextmanager
    def _instead_of_subprocesses(self) -> Iterator[None]:
        """Takes the place of the function by which kfp.local starts a task's command.

        kfp 2.17 has no public seam for a runner of one's own; its version is pinned, and a test holds this one.
        """
        from kfp.local import subprocess_task_handler

        handler = _CacheHits(self._cached)
        root = logging.getLogger()
        level, original = root.level, subprocess_task_handler.run_local_subprocess
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        complains, logging.raiseExceptions = logging.raiseExceptions, False  # as on a full disk, which is said once
        subprocess_task_handler.run_local_subprocess = self._run_task
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", category=RuntimeWarning, module="kfp")
                yield
        finally:
            subprocess_task_handler.run_local_subprocess = original
            root.setLevel(level)
            root.removeHandler(handler)
            logging.raiseExceptions = complains

    def _run_task(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        source, arguments = full_command[3], full_command[4:]
        stage = arguments[arguments.index("--function_to_execute") + 1]
        inputs = json.loads(arguments[arguments.index("--executor_input") + 1])["inputs"]
        self.run = inputs.get("parameterValues", {}).get("run", self.run)
        self.on_event(Event("started", stage))
        started = time.perf_counter()
        request = {
            "kind": "task",
            "function": stage,
            "source": source,
            "arguments": arguments,
            "env": env_vars or {},
        }
        code, left = self.worker.ask(request, lambda line: self.on_event(Event("log", stage, line)))
        seconds = time.perf_counter() - started
        self.result.seconds[stage] = round(seconds, 3)
        self.on_event(Event("finished" if code == 0 else "failed", stage, seconds=seconds))
        if code != 0 and self.result.error is None and left.get("kind") != "RejectedError":
            self.result.error = {"stage": stage, **_as_error(left, self.worker.folder).fields()}
        return code

    def _cached(self, task: str) -> None:
        stage = task.replace("-", "_")
        self.result.cached.append(stage)
        self.result.seconds[stage] = 0.0
        self.on_event(Event("cached", stage))


class _CacheHits(logging.Handler):
    """Hears from kfp.local's log which tasks were served from cache."""

    def __init__(self, on_hit: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.on_hit = on_hit

    def emit(self, record: logging.LogRecord) -> None:
        found = re.match(r"Task (\S+) cache hit", record.getMessage())
        if found:
            self.on_hit(found[1])


def _as_error(left: dict[str, Any], logs: Path) -> ModelwayError:
    """The error that a fork left behind; one that points to the log where it left none."""
    fields = dict(left.get("error") or {})
    if not fields:
        full = _full_disk(logs)
        if full is not None:
            return full
        kind = left.get("kind", "a crash")
        return ModelwayError(
            f"a stage ended by {kind}", file=str(logs), remedy="run again with --debug, and see the log in this folder"
        )
    return ModelwayError(fields.pop("message"), remedy=fields.pop("remedy"), **fields)


def _full_disk(folder: Path) -> ModelwayError | None:
    """The error to show if nothing can be written to a folder, which a fork that could not write left unsaid."""
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(2**16))
    except OSError as error:
        return explained(error)
    finally:
        probe.unlink(missing_ok=True)
    return None
