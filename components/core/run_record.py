"""Reading what a run left in the project's store: there, not there, or damaged."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.storage import join, read_uri

Record = TypeVar("Record", bound=BaseModel)


def record_file(store: str, run: str, name: str) -> str:
    """Where a run keeps a record."""
    return join(store, "runs", run, name)


def read_record(kind: type[Record], file: str, *, damage: str, remedy: str) -> Record | None:
    """A record of a run; None if there is none.

    Args:
        kind: What it is.
        file: Where it is.
        damage: What to say of one that cannot be understood, after its name.
        remedy: What to do about that.

    Raises:
        ModelwayError: it is there and damaged.
        UnavailableError: the store cannot be reached.
        CredentialsError: the store refuses access.
    """
    try:
        content = read_uri(file)
    except (UnavailableError, CredentialsError):
        raise
    except ModelwayError:
        return None
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise ModelwayError(f"{file} {damage}", file=file, remedy=remedy) from error
