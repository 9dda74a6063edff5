"""Runs the release pipeline on this machine, through `kfp.local`, with its tasks forked from one warm process."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import tempfile
import time
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from modelway.components.core.addresses import stream_without_secrets, without_secrets
from modelway.components.core.code.version import MANIFEST_VARIABLE, base_version
from modelway.components.core.errors import InterruptionError, ModelwayError, RejectedError
from modelway.components.core.evidence.runs import DECISION, OUTCOME, Outcome, State
from modelway.components.core.evidence.stop_record import StopRecord
from modelway.components.core.parsing import parse_json
from modelway.components.core.storage.mlflow import RUN_VARIABLE
from modelway.components.core.storage.uri import is_uri, make_folder
from modelway.components.core.termination import on_first_signal
from modelway.pipelines.local.worker import RECORDING
from modelway.pipelines.local.worker_client import Worker, error_of
from modelway.pipelines.project.workspace import Workspace, tracking_uri

CODE_MANIFEST = "project-code.json"


@dataclass(frozen=True)
class Event:
    """Something that happened in a run.

    Attributes:
        kind: What happened.
        stage: The component's name.
        text: A line of the stage's log, or a sentence about a damaged cache entry or the run.
        seconds: How long the stage took.
    """

    kind: Literal["started", "log", "finished", "failed", "cached", "damaged", "note"]
    stage: str
    text: str = ""
    seconds: float = 0.0


@dataclass
class LocalResult:
    """How a local run went.

    Attributes:
        outcome: What `record_outcome` recorded, or what was decided where it could not; None if the run broke before.
        seconds: How long each stage took; 0 for one that was served from cache.
        cached: The stages that were served from cache.
        error: Why a stage failed, if one did, or that the run was interrupted; that a gate rejected the run is its
            outcome, and no error.
        failed_stage: The stage that failed, or at which the run was interrupted.
        log: The folder of the stages' logs.
    """

    outcome: Outcome | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    error: ModelwayError | None = None
    failed_stage: str = ""
    log: Path = Path()


def run_release(
    workspace: Workspace,
    home: Path,
    *,
    store: str,
    on_event: Callable[[Event], None],
    data_version: str = "",
    champion: str = "",
    reason: str = "",
    packaging: Mapping[str, str] | None = None,
) -> LocalResult:
    """Runs the release pipeline and returns how it went.

    Ctrl-C or SIGTERM ends the stage that runs, within seconds; the outcome is recorded all the same. A second one ends
    this process at once, and with it all that it began.

    Args:
        workspace: The project.
        home: The folder for artifacts, cache and logs, and for MLflow where no server is set.
        store: The root of the project's store.
        on_event: Called as stages start, log, end, or are served from cache.
        data_version: The user's name for the data's version.
        champion: The version to compare with, in place of the one that the policy's alias points to.
        reason: Why the run is started.
        packaging: ``serving_base`` and ``image``, to package a blessed version; None: it is not packaged.

    Raises:
        ModelwayError: a problem is found before the first stage.
    """
    if not is_uri(store):
        make_folder(Path(store))
    labels = {"data_version": without_secrets(data_version), "reason": without_secrets(reason)}
    arguments = {**labels, "champion": champion, **(packaging or {})}
    with warm_worker(workspace, home) as worker:
        from modelway.pipelines.release import release_pipeline

        pipeline = release_pipeline("packaged" if packaging else "registered")  # compiled while the worker imports
        run = _Run(worker, on_event, store)
        worker.preflight(workspace, champion=champion)
        manifest = workspace.code.manifest(str(workspace.code.folder))
        (worker.folder / CODE_MANIFEST).write_text(manifest, encoding="utf-8")
        for note in workspace.code_notes():
            on_event(Event("note", "", note))
        workspace.files.keep(store)
        run.execute(pipeline, arguments | workspace.arguments(store), home=home)
    return run.ended()


@contextmanager
def warm_worker(workspace: Workspace, home: Path) -> Iterator[Worker]:
    """The process that the stages of a project are forked from; ended with the block."""
    make_folder(home)
    logs = home / "logs" / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    environment = {
        "MLFLOW_TRACKING_URI": tracking_uri(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(workspace.folder), os.environ.get("PYTHONPATH", "")])),
        MANIFEST_VARIABLE: str(logs / CODE_MANIFEST),
        "TMPDIR": tempfile.mkdtemp(prefix="modelway-run-"),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),  # idle threads leave a busy machine alone
    }
    try:
        worker = Worker(logs, environment)
        try:
            yield worker
        finally:
            worker.close()
    finally:
        shutil.rmtree(environment["TMPDIR"], ignore_errors=True)  # what a killed stage could not clear away


class _Run:
    """One run: hands kfp.local's tasks to the worker, and collects seconds, cache hits and the first error.

    When it is interrupted, the stage that runs is told to end and no other is begun, but for the one that records.
    """

    def __init__(self, worker: Worker, on_event: Callable[[Event], None], store: str) -> None:
        self.worker = worker
        self.on_event = on_event
        self.store = store
        self.stage = ""  # that runs
        self.signal = 0  # that has interrupted it
        self.result = LocalResult(log=worker.folder)
        self.run = f"{time.strftime('%Y%m%d-%H%M%S')}-{uuid.uuid4().hex[:12]}"

    def execute(self, pipeline: Any, arguments: dict[str, str], *, home: Path) -> None:
        """Runs a compiled pipeline."""
        from kfp import local

        cache = home / "cache" / base_version()
        for file in _drop_damaged(cache):
            self.on_event(Event("damaged", "", f"the cache entry {file} is damaged: removed, and computed again"))
        local.init(
            local.SubprocessRunner(use_venv=False),
            pipeline_root=str(home / "artifacts"),
            raise_on_error=False,
            enable_caching=True,
            cache_root=str(cache),
        )
        kfp_log = self.worker.folder / "kfp.log"
        with (
            self._instead_of_subprocesses(),
            kfp_log.open("w", encoding="utf-8") as log,
            redirect_stdout(stream_without_secrets(log)),
            on_first_signal(self._interrupt),
        ):
            pipeline(**arguments)

    def ended(self) -> LocalResult:
        """How the run went, by what it recorded."""
        result = self.result
        try:
            result.outcome = self._recorded()
        except ModelwayError:
            if not self.signal:
                raise
        registered = result.outcome.model if result.outcome is not None else None
        end = f"{registered.name} version {registered.version} is registered" if registered is not None else ""
        if self.signal:
            result.error = InterruptionError(
                f"interrupted at {result.failed_stage or 'its end'}; {end or 'nothing was registered'}",
                self.signal,
                remedy="run again: what was finished is not computed anew",
            )
        elif end and result.error is not None and result.failed_stage == RECORDING:
            result.error.remedy += f"; {end}, and the same run returns it"
        return result

    def _recorded(self) -> Outcome | None:
        """The outcome; where that could not be recorded, the decision to register."""
        outcome = Outcome.read(self.store, self.run, file=OUTCOME)
        if outcome is not None:
            return outcome
        decision = Outcome.read(self.store, self.run, file=DECISION)
        return decision if decision is not None and decision.state is State.REGISTERED else None

    def _interrupt(self, number: int) -> None:
        self.signal = number
        if self.stage:
            self.result.failed_stage = self.stage
            if self.stage != RECORDING:
                self.worker.end_task()

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
        raises, logging.raiseExceptions = logging.raiseExceptions, False  # as on a full disk, which is said once
        subprocess_task_handler.run_local_subprocess = self._run_task
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", module="kfp")  # of settings that mean something on a cluster
                yield
        finally:
            subprocess_task_handler.run_local_subprocess = original
            root.setLevel(level)
            root.removeHandler(handler)
            logging.raiseExceptions = raises

    def _run_task(self, full_command: list[str], env_vars: dict[str, str] | None = None) -> int:
        source, arguments = full_command[3], full_command[4:]
        stage = arguments[arguments.index("--function_to_execute") + 1]
        position = arguments.index("--executor_input") + 1
        arguments[position] = self._with_run_id(arguments[position])
        self.stage = stage
        if self.signal:
            self.result.failed_stage = self.result.failed_stage or stage  # the signal came between two stages
            if stage != RECORDING:
                return 128 + self.signal
            self._record_interruption()
        self.on_event(Event("started", stage))
        start = time.perf_counter()
        request = {
            "kind": "task",
            "function": stage,
            "source": source,
            "arguments": arguments,
            "env": {**(env_vars or {}), RUN_VARIABLE: self.run},
        }
        code, answer = self.worker.ask(request, lambda line: self.on_event(Event("log", stage, line)))
        seconds = time.perf_counter() - start
        self.stage = ""
        self.result.seconds[stage] = round(seconds, 3)
        self.on_event(Event("finished" if code == 0 else "failed", stage, seconds=seconds))
        if code != 0 and self.result.error is None and not self.signal:
            error = error_of(answer, self.worker.folder)
            if not isinstance(error, RejectedError):
                self.result.error, self.result.failed_stage = error, stage
        return code

    def _record_interruption(self) -> None:
        """Writes down what the stage that records the outcome is to know."""
        record = StopRecord(stage=self.result.failed_stage, signal=signal.Signals(self.signal).name)
        with suppress(ModelwayError):  # on a full disk, say
            record.write(self.store, self.run)

    def _with_run_id(self, executor_input: str) -> str:
        """A task's input with this run's id: kfp.local's own is eight digits, which a seeded notebook draws again.

        The name that kfp.local makes up says no more than the id, and is left out.
        """
        content = json.loads(executor_input)
        parameters = content["inputs"].get("parameterValues", {})
        if "run" in parameters:
            parameters |= {"run": self.run, "run_name": ""}
        return json.dumps(content)

    def _cached(self, task: str) -> None:
        stage = task.replace("-", "_")
        self.result.cached.append(stage)
        self.result.seconds[stage] = 0.0
        self.on_event(Event("cached", stage))


def _drop_damaged(cache: Path) -> list[Path]:
    """Removes damaged entries of kfp.local's cache, which would break a run."""
    damaged = [file for file in cache.glob("*.json") if not _is_entry(file)]
    for file in damaged:
        file.unlink()
    return damaged


def _is_entry(file: Path) -> bool:
    """Whether a file holds a task's outputs by their names; each of our tasks that is cached has some."""
    try:
        outputs = parse_json(file.read_bytes())
    except ValueError:
        return False
    return isinstance(outputs, dict) and bool(outputs)


class _CacheHits(logging.Handler):
    """Hears from kfp.local's log which tasks were served from cache."""

    def __init__(self, on_hit: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self.on_hit = on_hit

    def emit(self, record: logging.LogRecord) -> None:
        match = re.match(r"Task (\S+) cache hit", record.getMessage())
        if match:
            self.on_hit(match[1])
