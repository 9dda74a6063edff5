"""The real model server as a process of its own, which imports what is installed and what the model brings with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import modelway.components
from modelway.components.core.code.modules import is_installation
from modelway.components.core.termination import ending_with_this_process
from modelway.components.probe.client import Client

NAME = "model"
REQUEST_BYTES = 4 * 1024 * 1024
_MODULE = "modelway.components.serve"
_START = (
    "import os, runpy, sys; sys.path[:] = sys.argv.pop(1).split(os.pathsep); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_LISTENING = re.compile(rb"serving \S+ on http://\S+:(\d+)\n")
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.02


def installed_places() -> list[str]:
    """Where this process imports the standard library, installed packages and Modelway from, and no other places.

    So neither the project's folder is one, nor what else ``PYTHONPATH`` names for a developer: no image has them.
    """
    library = Path(sysconfig.get_path("stdlib"))
    own = Path(str(modelway.components.__file__)).parents[2]

    def is_installed(place: Path) -> bool:
        is_library = library in {place, place.parent} or place.suffix == ".zip"
        return is_library or place == own or (place.is_dir() and is_installation(place))

    return [place for place in sys.path if place and is_installed(Path(place))]


class ServerProcess:
    """The server of one model, on a free port of this machine; a context manager that stops it.

    It ends with the thread that starts it, however that ends.

    Attributes:
        started: When the process was started, by `time.perf_counter`.
        port: Its port; 0 until it is ready.
    """

    def __init__(self, model_path: str, model_hash: str, *, trusted_types: Iterable[str] = (), log: Path) -> None:
        self.port = 0
        self._log = log.absolute()
        self._folder = TemporaryDirectory()  # to work in: no file of the project is found by a relative path
        model_path = str(Path(model_path).absolute())
        # -I and -S: from no other place than those named, by a variable or by what is installed to be edited.
        places = os.pathsep.join(installed_places())
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _START,
            places,
            _MODULE,
            "--model",
            model_path,
            "--name",
            NAME,
            "--port",
            "0",
        ]
        command += ["--max-request-bytes", str(REQUEST_BYTES), "--drain-seconds", "0", "--model-hash", model_hash]
        for name in trusted_types:
            command += ["--trusted-type", name]
        self.started = time.perf_counter()
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=self._folder.name,
                preexec_fn=ending_with_this_process(),  # noqa: PLW1509 - it calls the kernel alone
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Terminates the process, and kills it if it does not end."""
        if self.exit_status is None:
            self._process.terminate()
            if not self.died(_STOP_SECONDS):
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    def wait_until_ready(self, seconds: float) -> float | None:
        """Waits until the server is ready; returns its age in seconds, or None if it ends first or takes longer."""
        while self.exit_status is None and time.perf_counter() - self.started < seconds:
            match = _LISTENING.search(self._log.read_bytes())
            if match:
                self.port = int(match.group(1))
                with closing(Client(self.port)) as client:
                    if client.get("/v2/health/ready").status == 200:
                        return time.perf_counter() - self.started
            time.sleep(_POLL_SECONDS)
        return None

    @property
    def exit_status(self) -> int | None:
        """The process's exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def died(self, seconds: float = 1.0) -> bool:
        """Returns whether the process ends within some seconds: a connection breaks before its process ends."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def log_tail(self, lines: int = 5) -> str:
        """Returns the last lines of the server's log as one line."""
        log_lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(line.strip()[:300] for line in log_lines[-lines:])

    def peak_memory_mib(self) -> float | None:
        """Returns the process's peak memory in MiB; None where the system does not report it."""
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return None
        match = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(match.group(1)) / 1024 if match else None
