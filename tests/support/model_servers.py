"""The real model server as a process, as users start it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def command(folder: Path, *more: str, source: str = "--model") -> list[str]:
    """The command that serves a model's folder."""
    return [sys.executable, "-m", "modelway.components.serve", source, str(folder), *more]


@contextmanager
def serving(
    folder: Path, log: Path, *more: str, source: str = "--model"
) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server process on a free port, and its address; killed at the end."""
    arguments = command(folder, "--port", "0", *more, source=source)
    with log.open("wb") as file:
        process = subprocess.Popen(arguments, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield process, _address(process, log)
    finally:
        process.kill()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        match = re.search(r"on (http://\S+)\n", log.read_text())
        if match:
            return match.group(1)
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    raise AssertionError(log.read_text())
