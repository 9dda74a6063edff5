"""The client of the warm process that local tasks are forked from, which `pipelines.local.worker` is."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from modelway.components.core.errors import CrashError, ModelwayError, from_fields, readable_error
from modelway.components.core.termination import ending_with_this_process
from modelway.pipelines.project.workspace import Workspace

_SEE_LOG = "see this log; if it shows no error, the machine may have run out of memory"


class Worker:
    """The warm process, started at once and sent requests later.

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
                [sys.executable, "-m", "modelway.pipelines.local.worker", str(theirs.fileno()), str(folder)],
                pass_fds=[theirs.fileno()],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=ending_with_this_process(),  # noqa: PLW1509 - it calls the kernel alone
            )
        theirs.close()
        self._connection = Connection(ours.detach())
        self._lock = threading.Lock()
        self._count = 0

    def ask(self, request: dict[str, Any], on_line: Callable[[str], None] | None = None) -> tuple[int, dict[str, Any]]:
        """Runs a request in a fork; returns the fork's exit code and the content of its result file.

        Where it failed, that is ``kind`` and ``error`` of a readable error or ``crash``, or neither; and the ``log``.

        Args:
            request: See `worker.main`.
            on_line: Called with each line of the log as it is written.
        """
        with self._lock:
            self._count += 1
            name = f"{self._count:02d}-{request.get('function', request['kind'])}"
            log, result = self.folder / f"{name}.log", self.folder / f"{name}.json"
            log.touch()
            message = json.dumps({**request, "log": str(log), "result": str(result)})
            with log.open(encoding="utf-8", errors="replace") as lines:
                try:
                    self._connection.send_bytes(message.encode())
                    while not self._connection.poll(0.05):
                        _drain(lines, on_line)
                    code = int(json.loads(self._connection.recv_bytes()))
                except (EOFError, OSError) as error:
                    raise self._exit_error() from error
                _drain(lines, on_line)
        try:
            content = json.loads(result.read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):  # the fork ended before it could write all of it
            content = {}
        return code, content if code == 0 else {**content, "log": str(log)}

    def preflight(self, workspace: Workspace, *, champion: str = "") -> dict[str, str]:
        """What a run of a project would work on, as `preflight.preflight` says.

        Raises:
            ModelwayError: a mistake would make the run fail.
        """
        arguments = {
            "files": {name: document.canonical() for name, document in workspace.files.documents()},
            "names": workspace.names(),
            "folder": str(workspace.folder),
            "champion": champion,
            "project_code": workspace.project_code,
        }
        code, answer = self.ask({"kind": "preflight", "arguments": arguments})
        if code != 0:
            raise error_of(answer, self.folder)
        return answer

    def _exit_error(self) -> ModelwayError:
        lines = self._errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return ModelwayError(
            "the process that runs the stages ended" + (f": {lines[-1][:300]}" if lines else ""),
            file=str(self._errors),
            remedy=_SEE_LOG,
        )

    def end_task(self) -> None:
        """Has the task that runs end, as on SIGTERM; no other is run after it but `record_outcome`."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)

    def close(self) -> None:
        """Ends the process and whatever it forked."""
        self._connection.close()
        with suppress(ProcessLookupError):
            self._process.terminate()
        self._process.wait()


def _drain(lines: io.TextIOBase | Any, on_line: Callable[[str], None] | None) -> None:
    for line in lines:
        if on_line is not None:
            on_line(line.rstrip("\n"))


def error_of(answer: dict[str, Any], logs: Path) -> ModelwayError:
    """The error in a fork's answer; without one, an error that points to the log."""
    if "error" in answer:
        return from_fields(answer["kind"], answer["error"])
    full = _full_disk(logs)
    if full is not None:
        return full
    if "crash" in answer:
        return CrashError(answer["crash"], answer["log"])
    return ModelwayError(
        "a stage's process ended without an error message; it may have been killed", file=answer["log"], remedy=_SEE_LOG
    )


def _full_disk(folder: Path) -> ModelwayError | None:
    """The error to show if nothing can be written to a folder, which a fork could not write down either."""
    probe = folder / "probe"
    try:
        probe.write_bytes(bytes(2**16))
    except OSError as error:
        return readable_error(error)
    finally:
        probe.unlink(missing_ok=True)
    return None
