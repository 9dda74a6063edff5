"""The hash chain of the audit log: an entry, its hash, and where a chain is broken."""

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
    "undoing",
    "undone",
    "undone-in-part",
    "rolled-back",
    "refused",
    "witnessed",
]
NOTHING = "0" * 64


@dataclass(frozen=True)
class Head:
    """The end of the chain.

    Attributes:
        number: The last entry's number; 0: the log is empty.
        sha256: The hash of its bytes, which the next entry holds.
    """

    number: int = 0
    sha256: str = NOTHING

    @classmethod
    def of(cls, last: Entry | None) -> Head:
        """The head of a chain that ends in an entry, or is empty."""
        return cls() if last is None else cls(last.number, last.sha256())


class Entry(BaseModel):
    """One entry of the log.

    Attributes:
        number: Its position, from 1.
        previous: The SHA-256 of the entry before it, in hex; zeros for the first.
        at: When it was written, ISO 8601 in UTC; never earlier than the entry before it.
        event: What happened.
        actor: Who did it: a person or a service.
        model: The registered model's name.
        version: The model's version that this is about; empty if it is about none.
        environment: The environment; empty if it is about none.
        details: Further fields, by name.
        nonce: Distinguishes entries that are otherwise the same.
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
                raise ValueError(f"{time} has no time zone")
        return self

    def content(self) -> bytes:
        """The entry's bytes, as they are stored and hashed."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    def sha256(self) -> str:
        """The SHA-256 of the bytes, in hex, as `sha256sum` of the file gives it."""
        return hashlib.sha256(self.content()).hexdigest()

    @property
    def time(self) -> datetime:
        """When it was written."""
        return datetime.fromisoformat(self.at)


@dataclass(frozen=True)
class Broken:
    """The first broken link.

    Attributes:
        number: The number of the entry that was changed or is missing.
        file: Where it is, or should be.
        reason: What is wrong with it.
    """

    number: int
    file: str
    reason: str


def parse_entry(content: bytes) -> Entry | str:
    """Parses an entry's bytes; returns what is wrong with them if they are not an entry's."""
    try:
        entry = Entry.model_validate_json(content)
    except ValidationError:
        return "it cannot be read as an entry"
    return entry if entry.content() == content else "it is not in the log's own format"


def extend_chain(
    prefix: Sequence[Entry], contents: Iterable[tuple[int, bytes]]
) -> tuple[list[Entry], tuple[int, str] | None]:
    """Extends a verified chain by the entries after it, as far as every link holds.

    Args:
        prefix: The verified entries from the first on; may be empty.
        contents: The number (by its file's name) and the bytes of each entry after them, in order.

    Returns:
        The entries before the first break, and the number of the broken entry with what is wrong; None if every link
        holds.
    """
    chain = list(prefix)
    previous = chain[-1].sha256() if chain else NOTHING
    for number, content in contents:
        expected = len(chain) + 1
        if number != expected:
            return chain, (expected, f"it is missing, though there is an entry {number}")
        entry = parse_entry(content)
        if isinstance(entry, str):
            return chain, (number, entry)
        if entry.number != number:
            return chain, (number, f"entry {entry.number} is in its place: the entries were moved")
        if entry.previous != previous:
            if number == 1:
                return chain, (1, "it is not the first of a chain: it holds the hash of an entry before it")
            reason = f"entry {number} holds another hash than its: one of the two was changed"
            return chain, (number - 1, reason)
        previous = hashlib.sha256(content).hexdigest()
        chain.append(entry)
    return chain, None


def mismatch_with_anchor(chain: Sequence[Entry], anchor: Head) -> tuple[int, str] | None:
    """What is wrong with an unbroken chain by a head that was anchored earlier; None if it holds that entry."""
    if len(chain) < anchor.number:
        return len(chain) + 1, f"it is missing: the head that is anchored in MLflow is entry {anchor.number}"
    if anchor.number and chain[anchor.number - 1].sha256() != anchor.sha256:
        return anchor.number, "it is not the one that is anchored in MLflow: the chain was rewritten"
    return None
