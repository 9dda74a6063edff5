"""A process with the stages' libraries already imported, from which each local task is forked.

Starting an interpreter and importing scikit-learn and MLflow costs seconds for each task; a fork costs milliseconds.
The process is started once for a local run, imports while the pipeline is being compiled, and ends with the run.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from modelway.components.core.addresses import hide_secrets_in_output
from modelway.components.core.termination import end_with_parent

PRELOADED = (
    "modelway.components.resolve.stage",
    "modelway.components.ingest.stage",
    "modelway.components.validate.stage",
    "modelway.components.prepare.stage",
    "modelway.components.train.stage",
    "modelway.components.evaluate.stage",
    "modelway.components.probe.stage",
    "modelway.components.register.stage",
    "modelway.components.enforce.stage",
    "modelway.components.record.stage",
    "kfp.dsl.executor_main",
    "pandas",
    "skops.io",
    "sklearn.ensemble",
    "mlflow.sklearn",
    "mlflow.pyfunc",
    "mlflow.artifacts",
)
PRELOADED_FOR_SQLITE = (
    "modelway.components.core.storage.mlflow",
    "mlflow.store.tracking.sqlalchemy_workspace_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "sqlalchemy.dialects.sqlite",
    "alembic.command",
)
_GRACE_SECONDS = 5
RECORDING = "record_outcome"  # the one stage that runs after an interruption, and is not ended by one
# These stages run while a new database is still being created.
WITHOUT_TRACKING = {"resolve_inputs", "ingest_data", "validate_data", "enforce_gate", "prepare_features"}


@dataclass
class _Tasks:
    """The forked children that run, each the leader of a process group; and whether SIGUSR1 has ended the run."""

    current: int = 0
    preparing: int = 0
    interrupted: bool = False

    def signal(self, number: int, *pids: int) -> None:
        """Sends a signal to the groups of children."""
        for pid in filter(None, pids):
            with suppress(ProcessLookupError, PermissionError):  # it has ended
                os.killpg(pid, number)


_TASKS = _Tasks()


def main() -> None:
    """Imports, then forks a child for each request until the connection closes.

    A request is a JSON object: ``kind`` (``task`` or ``preflight``), ``log`` and ``result`` (files to write), and the
    arguments of `run_task` or of `preflight`. The answer is the child's exit code. SIGTERM ends this process and its
    children; SIGUSR1 ends the task that runs, after which only `record_outcome` is run.
    """
    hide_secrets_in_output()
    signal.signal(signal.SIGTERM, _end_after_tasks)
    signal.signal(signal.SIGUSR1, _end_task)  # of SIGINT, Polars has the kernel restart what it interrupts
    signal.signal(signal.SIGALRM, _kill_task)
    connection = Connection(int(sys.argv[1]))
    os.environ["_KFP_RUNTIME"] = "true"
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if uri.startswith("sqlite"):
        _import(PRELOADED_FOR_SQLITE)
    if _is_new(uri):
        _TASKS.preparing = _fork(_prepare_tracking, {"folder": sys.argv[2]})
    _import(PRELOADED)
    while True:
        try:
            request = json.loads(connection.recv_bytes())
        except EOFError:
            break
        if request["kind"] == "preflight":
            work = _run_preflight
        else:
            work = run_task
            if _TASKS.preparing and request["function"] not in WITHOUT_TRACKING:
                os.waitpid(_TASKS.preparing, 0)
                _TASKS.preparing = 0
        connection.send_bytes(json.dumps(_run(work, request)).encode())


def _run(work: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> int:
    """Runs a request in a fork, unless the run was interrupted; returns the exit code."""
    is_recording = request.get("function") == RECORDING
    if _TASKS.interrupted and not is_recording:
        return 128 + signal.SIGTERM
    pid = _fork(work, request)
    if not is_recording:
        _TASKS.current = pid
        if _TASKS.interrupted:  # since it was forked
            _end_task()
    _, status = os.waitpid(pid, 0)
    _TASKS.current = 0
    signal.alarm(0)
    return os.waitstatus_to_exitcode(status)


def _import(modules: tuple[str, ...]) -> None:
    for module in modules:
        importlib.import_module(module)


def _end_task(*_: object) -> None:
    """Tells the task that runs to end, and kills it where it does not within the grace period."""
    _TASKS.interrupted = True
    if _TASKS.current:
        _TASKS.signal(signal.SIGTERM, _TASKS.current)
        signal.alarm(_GRACE_SECONDS)


def _kill_task(*_: object) -> None:
    _TASKS.signal(signal.SIGKILL, _TASKS.current)


def _end_after_tasks(number: int, _frame: FrameType | None) -> NoReturn:
    """Ends this process when its tasks have, which are told to end too: one may have an MLflow run to end first."""
    pids = (_TASKS.current, _TASKS.preparing)
    _TASKS.signal(signal.SIGTERM, *pids)
    deadline = time.monotonic() + _GRACE_SECONDS
    with suppress(ChildProcessError):  # there is none left
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.02)
        _TASKS.signal(signal.SIGKILL, *pids)
    os._exit(128 + number)


def _is_new(uri: str) -> bool:
    """Whether a sqlite database is yet to be created, which takes MLflow seconds: it is done beside the first tasks."""
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()


def _prepare_tracking(request: dict[str, Any]) -> None:
    """Creates the database whole or not at all: a run that ends meanwhile must not leave half of one in its place."""
    from modelway.components.core.storage.mlflow import Tracking

    draft = Path(request["folder"]).resolve() / "mlflow.db"
    Tracking(f"sqlite:///{draft}").prepare()
    with suppress(FileExistsError):  # another run was faster
        os.link(draft, os.environ["MLFLOW_TRACKING_URI"].removeprefix("sqlite:///"))
    draft.unlink()


def _fork(work: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid == 0:
        _child(work, request)
    with suppress(OSError):  # the child does it too: whichever of the two comes first
        os.setpgid(pid, pid)
    return pid


def _child(work: Callable[[dict[str, Any]], None], request: dict[str, Any]) -> NoReturn:
    """Runs the work with its output in the log; leaves an error's fields in the result file."""
    from modelway.components.core.errors import first_line, readable_error

    code = 1
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM):
        signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    try:
        log = os.open(request.get("log", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        work(request)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:
        traceback.print_exc()
        readable = readable_error(error)
        if "result" in request:
            if readable is not None:
                answer = {"kind": readable.kind, "error": readable.fields()}
            else:
                answer = {"crash": f"{type(error).__name__}: {first_line(error)}"}
            Path(request["result"]).write_text(json.dumps(answer), encoding="utf-8")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_task(request: dict[str, Any]) -> None:
    """Runs one lightweight component in this process, as `kfp.dsl.executor_main` does in a container.

    Args:
        request: ``source`` is the component's code, ``arguments`` what its command passes, ``env`` its variables.
    """
    from kfp.dsl.executor_main import executor_main

    from modelway.components.core import task

    os.environ.update(request["env"])
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "ephemeral_component.py"
        module.write_text(request["source"], encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(module), *request["arguments"]]
        task.begin()
        executor_main()


def _run_preflight(request: dict[str, Any]) -> None:
    from modelway.pipelines.local.preflight import preflight

    inputs = preflight(**request["arguments"])
    Path(request["result"]).write_text(json.dumps(inputs), encoding="utf-8")


if __name__ == "__main__":
    main()
