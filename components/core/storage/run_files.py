"""The locations of a run's files and records in the project's store, and reading of records."""

from __future__ import annotations

import re
from typing import ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from modelway.components.core.errors import DamagedError, NotFoundError
from modelway.components.core.storage.uri import join, read_uri, write_uri

Record = TypeVar("Record", bound=BaseModel)


def record_file(store: str, run: str, *, name: str) -> str:
    """The location of a run's record."""
    return join(store, "runs", run, name)


def config_file(store: str, name: str, *, digest: str) -> str:
    """The location of one of the user's files.

    Args:
        store: The root of the project's store.
        name: ``project``, ``contract`` or ``policy``.
        digest: The SHA-256 of its content.
    """
    return join(store, "config", f"{name}-{digest[:16]}.json")


def store_of(location: str) -> str:
    """The root of the store that a project's `config_file` is in; empty where the location is none of one."""
    match = re.fullmatch(r"(.+)/config/project-[0-9a-f]{16}\.json", location)
    return match[1] if match else ""


def write_record(record: BaseModel, store: str, run: str, *, name: str) -> str:
    """Writes a run's record, replacing an earlier one; returns its location."""
    file = record_file(store, run, name=name)
    write_uri(file, record.model_dump_json(indent=2).encode())
    return file


def read_record(kind: type[Record], store: str, run: str, *, name: str) -> Record | None:
    """A run's record; None if there is none.

    Raises:
        DamagedError: it is there and damaged.
        UnavailableError: the store cannot be reached.
        CredentialsError: the store refuses access.
    """
    file = record_file(store, run, name=name)
    try:
        content = read_uri(file)
    except NotFoundError:
        return None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise DamagedError(
            f"{file} is damaged, or was written by another version of Modelway",
            file=file,
            remedy="restore it from a copy, or delete it: nothing but the history of runs depends on it",
        ) from error


class RunRecord(BaseModel):
    """A record of which a run has one, in the file that the record's class names."""

    model_config = ConfigDict(frozen=True)

    file: ClassVar[str]

    def write(self, store: str, run: str) -> str:
        """Writes this to the run's folder, replacing an earlier one; returns its location."""
        return write_record(self, store, run, name=self.file)

    @classmethod
    def read(cls, store: str, run: str) -> Self | None:
        """A run's record; None if there is none.

        Raises:
            DamagedError: it is there and damaged.
            ModelwayError: the store cannot be read.
        """
        return read_record(cls, store, run, name=cls.file)
