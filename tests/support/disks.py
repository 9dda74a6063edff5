"""Small disks, to be filled or made read-only."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest


def mount(place: Path, size: str) -> None:
    """Mounts an empty disk of a size such as ``64k``."""
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place))


def make_read_only(place: Path) -> None:
    """Lets nobody write to a disk any more, root neither."""
    _mount("-o", "remount,ro", str(place))


def unmount(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)


def fill(place: Path) -> None:
    """Leaves no room on a disk."""
    with suppress(OSError), (place / "ballast").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def _mount(*arguments: str) -> None:
    result = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"a disk cannot be mounted here: {result.stderr.strip()}")
