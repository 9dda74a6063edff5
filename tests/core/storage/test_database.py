"""What is wrong with a tracking database is said at once, not after minutes of trying."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.database import check_database, database_error_of


def uri(path: Path) -> str:
    return f"sqlite:///{path}"


def content(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)


@pytest.mark.parametrize(
    ("damage", "says"),
    [(content, "it is not a database"), (Path.mkdir, "it cannot be opened")],
)
def test_a_database_that_cannot_be_used_is_named(damage: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    damage(path)
    begin = time.monotonic()
    with pytest.raises(ModelwayError) as error:
        check_database(uri(path))
    assert error.value.message == f"MLflow's database {path} cannot be used: {says}"
    assert (error.value.file, error.value.key) == (str(path), "MLFLOW_TRACKING_URI")
    assert time.monotonic() - begin < 2


def test_a_folder_for_a_new_one_is_made_and_a_file_in_its_way_named(tmp_path: Path) -> None:
    check_database(uri(tmp_path / "new" / "mlflow.db"))
    assert (tmp_path / "new").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ModelwayError, match="a file is where a folder must be"):
        check_database(uri(tmp_path / "file" / "mlflow.db"))


def test_a_database_that_others_read_and_write_is_in_order(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (c)")
    connection.execute("BEGIN IMMEDIATE")
    check_database(uri(path))
    connection.close()
    check_database("http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "(raised as a result of …)\n(sqlite3.OperationalError) attempt to write a readonly database\n[SQL: …]",
            "written",
        ),
        ("(sqlite3.OperationalError) database or disk is full\n[SQL: …]", "the disk is full"),
        ("(sqlite3.OperationalError) database is locked", "another process has locked it"),
    ],
)
def test_what_sqlite_says_later_is_said_in_words(text: str, says: str) -> None:
    error = database_error_of("sqlite:////home/mlflow.db", text)
    assert error is not None
    assert says in error.message


@pytest.mark.parametrize(
    "text",
    ["no such run", "(sqlite3.IntegrityError) NOT NULL constraint failed\n[parameters: ('database is locked',)]"],
)
def test_what_is_not_about_the_file_is_left_to_mlflow(text: str) -> None:
    assert database_error_of("sqlite:////home/mlflow.db", text) is None
