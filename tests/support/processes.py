"""The command as a process of its own that is ended midway, and what it leaves behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

OURS = ("MODELWAY_", "MLFLOW_", "AWS_", "MINIO_")


class Command:
    """A `modelway` that runs.

    Args:
        arguments: Its arguments.
        folder: Where it runs; `<folder>/stdout` and `<folder>/stderr` have what it prints, and `<folder>/tmp` is its
            folder for temporary files.
        env: Further variables.
    """

    def __init__(self, *arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> None:
        self.folder, self.temporary = folder, folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.mark = f"MODELWAY_TEST={folder}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        name, _, value = self.mark.partition("=")
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "modelway.pipelines.cli", *map(str, arguments)],
                cwd=folder,
                env={**clean, "TMPDIR": str(self.temporary), name: value, **(env or {})},
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    def ended(self, seconds: float = 30) -> tuple[int, str, str]:
        """The exit code, and what was printed on standard output and standard error."""
        code = self.process.wait(seconds)
        return code, (self.folder / "stdout").read_text("utf-8"), (self.folder / "stderr").read_text("utf-8")

    def processes(self, text: str = "") -> list[int]:
        """The processes that it began, itself among them, whose command line has a text."""
        return [pid for pid, command in self._processes() if text in command]

    def _processes(self) -> list[tuple[int, str]]:
        there = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                environment = (entry / "environ").read_bytes().split(b"\0")
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if self.mark.encode() in environment and command:  # a zombie has none
                there.append((int(entry.name), command))
        return there

    def wait_for(self, condition: Callable[[], object], seconds: float = 120) -> None:
        """Waits for something while it runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.ended()
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.02)

    def is_gone_within(self, seconds: float) -> bool:
        """Whether no process of it is left after so long."""
        deadline = time.monotonic() + seconds
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.02)
        return not self.processes()
