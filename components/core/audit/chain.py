"""The chain of the audit log's entries: what one holds, its hash, and where a chain is broken."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Event = Literal[
    "registered",
    "approved",
    "withdrawn",
    "promotion.begun",
    "deployed",
    "promoted",
    "undone",
    "rolled-back",
    "refused",
]
NOTHING = "0" * 64


@dataclass(frozen=True)
class Head:
    """The end of the chain.

    Attributes:
        number: The last entry's; 0: there is none.
        sha256: The hash of its bytes, which the next entry holds.
    """

    number: int = 0
    sha256: str = NOTHING


class Entry(BaseModel):
    """One line of the log.

    Attributes:
        number: Its place, from 1.
        previous: The SHA-256 of the entry before it, in hex; zeros for the first.
        at: When it was written, ISO 8601 in UTC; never before the entry before it.
        event: What happened.
        actor: Who did it: a person or a service.
        model: The registered model's name.
        version: Its version that this is about; empty if there is none.
        environment: Where; empty if it is about none.
        details: What else there is to say.
        nonce: Tells entries apart that are otherwise the same.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    previous: str
    at: str
    event: Event
    actor: str = Field(min_length=1)
    model: str = Field(min_length=1)
    version: str
    environment: str = ""
    details: dict[str, str] = {}
    nonce: str

    @model_validator(mode="after")
    def _has_times(self) -> Entry:
        for time in (self.at, self.details.get("until", self.at)):
            if datetime.fromisoformat(time).tzinfo is None:
                raise ValueError(f"{time} says no time zone")
        return self

    def content(self) -> bytes:
        """The entry's bytes: what is kept, and what `sha256` is of."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sha256(self) -> str:
        """The hash of the bytes, in hex; `sha256sum` of the file gives the same."""
        return hashlib.sha256(self.content()).hexdigest()

    @property
    def time(self) -> datetime:
        """When it was written."""
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Broken:
    """The first broken link.

    Attributes:
        number: The entry that is not as it was written.
        file: Where it is, or should be.
        reason: What is wrong with it, a sentence without its full stop.
    """

    number: int
    file: str
    reason: str


def parsed(content: bytes) -> Entry | str:
    """The entry of some bytes, or why they are none: what is wrong, a sentence without its full stop."""
    try:
        entry = Entry.model_validate_json(content)
    except ValidationError:
        return "it cannot be read as an entry"
    return entry if entry.content() == content else "it is not written as the log writes its entries"


def continued(
    verified: Sequence[Entry], contents: Iterable[tuple[int, bytes]]
) -> tuple[list[Entry], tuple[int, str] | None]:
    """A chain's verified beginning with what comes after it, as far as every link holds.

    Args:
        verified: The entries from the first on whose links were found to hold; may be empty.
        contents: The number by its name and the bytes of each entry after them, in order.

    Returns:
        The entries before the first break, and the number of the entry that is not as it was written, and why; None
        if every link holds.
    """
    chain = list(verified)
    previous = chain[-1].sha256() if chain else NOTHING
    for number, content in contents:
        expected = len(chain) + 1
        if number != expected:
            return chain, (expected, f"it is missing, though there is an entry {number}")
        entry = parsed(content)
        if isinstance(entry, str):
            return chain, (number, entry)
        if entry.number != number:
            return chain, (number, f"in its place is entry {entry.number}: the entries were moved")
        if entry.previous != previous:
            if number == 1:
                return chain, (1, "it is not the first of a chain: it holds the hash of an entry before it")
            reason = f"it is not the one that entry {number} was chained to: one of the two was changed"
            return chain, (number - 1, reason)
        previous = hashlib.sha256(content).hexdigest()
        chain.append(entry)
    return chain, None


def against(chain: Sequence[Entry], witnessed: Head) -> tuple[int, str] | None:
    """What is wrong with a chain by the end of it that a witness saw; None if it holds that entry in that place.

    Args:
        chain: The entries, every link of which holds.
        witnessed: The end of the chain as it was seen at some time.
    """
    if len(chain) < witnessed.number:
        return len(chain) + 1, f"it is missing: MLflow has witnessed {witnessed.number} entries"
    if witnessed.number and chain[witnessed.number - 1].sha256() != witnessed.sha256:
        return witnessed.number, "it is not the one that MLflow has witnessed: the chain was written anew"
    return None
