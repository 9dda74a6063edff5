"""Which files a process loads as code and which it opens, heard from Python's audit events.

Whatever way a module comes in, the interpreter says so: by ``import``, by ``importlib`` with a computed name, by
``runpy``, or by ``exec`` of a file's text. What a library opens without Python (Polars a Parquet file, say) is not
heard.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from types import CodeType
from typing import Any

from modelway.components.core.code.modules import CODE_SUFFIXES, is_installed_file, is_own_file


@dataclass
class LoadedFiles:
    """What was loaded and opened, as paths.

    Attributes:
        executed: Files whose code was executed, and compiled modules that were loaded.
        opened: Files that were opened to be read.
    """

    executed: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)

    def code(self, folder: Path) -> tuple[str, ...]:
        """The files of code among them in a project's folder, relative to it, in order."""
        opened = {name for name in self.opened if Path(name).suffix in CODE_SUFFIXES}
        return _below(self.executed | opened, folder)

    def data(self, folder: Path) -> tuple[str, ...]:
        """The other files there that were opened, likewise."""
        code = set(self.code(folder))
        return tuple(name for name in _below(self.opened, folder) if name not in code)

    def outside(self, folder: Path) -> tuple[str, ...]:
        """The executed files that are neither the folder's nor an installed package's, as absolute paths, in order.

        So are those of a package that is installed to be edited, or that ``PYTHONPATH`` names.
        """
        own = {folder / name for name in self.code(folder)} | {folder.resolve() / name for name in self.code(folder)}
        files = {Path(os.path.normpath(name)) for name in self.executed} - own
        code = [file for file in files if file.suffix in CODE_SUFFIXES and not is_installed_file(file)]
        return tuple(sorted(str(file) for file in code if file.is_file() and not file.is_relative_to(gettempdir())))


@dataclass(frozen=True)
class Trace:
    """What a call of a project's training function was heard to do in the project's folder; paths are relative to it.

    Attributes:
        files: The files of code that were loaded.
        roots: Folders that modules were imported from, other than the project's own.
        data_files: Other files that were opened.
        outside: The files of code that were loaded from elsewhere and are of no installed package, as absolute paths.
        problem: Why the call shows less than it should; empty: it does not.
    """

    files: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    data_files: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    problem: str = ""


_RECORDINGS: list[LoadedFiles] = []
_HOOK = {"is_installed": False}


@contextmanager
def recording_files() -> Iterator[LoadedFiles]:
    """Records what is loaded and opened inside the block, and what was imported before it."""
    if not _HOOK["is_installed"]:
        sys.addaudithook(_hear)  # which can never be taken away
        _HOOK["is_installed"] = True
    recording = LoadedFiles()
    _RECORDINGS.append(recording)
    try:
        yield recording
    finally:
        _RECORDINGS.remove(recording)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                recording.executed.add(file)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if not _RECORDINGS or event not in {"exec", "import", "open"}:
        return
    file, executed = arguments[0], True
    if event == "exec":
        file = file.co_filename if isinstance(file, CodeType) else None
    elif event == "import":  # of a compiled module; of others the file is None
        file = arguments[1]
    else:
        executed = False
        if isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            return
    if isinstance(file, bytes | str | os.PathLike):
        with suppress(TypeError, ValueError):
            name = str(Path.cwd() / os.fsdecode(file))
            for recording in _RECORDINGS:
                (recording.executed if executed else recording.opened).add(name)


def _below(names: set[str], folder: Path) -> tuple[str, ...]:
    """The files that exist in a folder, relative to it; the folder may be named by a path with links in it."""
    files = set()
    for name in names:
        for place in (folder, folder.resolve()):
            path = Path(os.path.normpath(name))
            if is_own_file(path, place) and path.is_file():
                files.add(path.relative_to(place).as_posix())
    return tuple(sorted(files))
