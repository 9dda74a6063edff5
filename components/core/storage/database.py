"""MLflow's database where it is a file: what is wrong with it, said before MLflow tries for minutes."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import make_folder

SQLITE = "sqlite:///"
_LOCK_SECONDS = 5.0
_SAYS = re.compile(r"\(sqlite3\.\w+\) (.*)")  # in SQLAlchemy's message, which quotes values of ours too
_OTHER_HOME = "or name another home with --home"
# What SQLite says, in words for people, and the remedy.
_PROBLEMS = {
    "database is locked": ("another process has locked it", "end what holds it, then run again"),
    "database or disk is full": ("the disk is full", "free some space there, then run again"),
    "readonly database": ("it cannot be written to", f"correct its permissions, {_OTHER_HOME}"),
    "unable to open database file": ("it cannot be opened", f"correct its permissions, {_OTHER_HOME}"),
    "file is not a database": ("it is not a database", f"restore it from a copy, {_OTHER_HOME}"),
    "disk image is malformed": ("it is damaged", f"restore it from a copy, {_OTHER_HOME}"),
    "disk I/O error": ("the file system fails", f"check the disk or the mount, {_OTHER_HOME}"),
}


def check_database(uri: str) -> None:
    """Checks that a tracking database is one that can be opened, or that there is a folder to create it in.

    Args:
        uri: The tracking server; nothing is checked unless it is a SQLite file.

    Raises:
        ModelwayError: it cannot be opened; says why.
    """
    path = Path(uri.removeprefix(SQLITE))
    if not uri.startswith(SQLITE):
        return
    try:
        exists = path.exists()
    except OSError:
        exists = False
    if not exists:
        make_folder(path.absolute().parent)
        return
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS)
        try:
            connection.execute("PRAGMA schema_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise database_error_of(uri, str(error)) or _error(path, str(error), "see what holds it") from error


def database_error_of(uri: str, text: str) -> ModelwayError | None:
    """The error that a text of SQLite's is about, if it is about the database's file."""
    path = Path(uri.removeprefix(SQLITE))
    match = _SAYS.search(text)
    text = match[1] if match else text.partition("\n")[0]
    for says, (problem, remedy) in _PROBLEMS.items():
        if says in text:
            return _error(path, problem, remedy)
    return None


def _error(path: Path, problem: str, remedy: str) -> ModelwayError:
    return ModelwayError(
        f"MLflow's database {path} cannot be used: {problem}", file=str(path), key="MLFLOW_TRACKING_URI", remedy=remedy
    )
