"""Parsing of texts that others wrote: bounded in size and depth, so that none ends the process or fills the memory."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

MOST_BYTES = 100_000_000  # of a record; statistics and gates of thousands of columns are a tenth of it


class MalformedError(ValueError):
    """A text that cannot be read.

    Attributes:
        problem: What is wrong with it.
        line: The line that it is on, counted from 1, if known.
        key: The dotted key that it is about, if any.
        value: What stands there, if that says something.
        remedy: What to do about it, where that is more than to correct it.
    """

    def __init__(
        self,
        problem: str,
        *,
        line: int | None = None,
        key: str | None = None,
        value: str | None = None,
        remedy: str | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem, self.line, self.key, self.value, self.remedy = problem, line, key, value, remedy


def parse_json(content: bytes | str) -> Any:
    """What a JSON text says; pydantic's parser reads it, which nests at most 200 deep and takes no half surrogates.

    Args:
        content: The text, or its bytes in UTF-8.

    Raises:
        ValueError: it is no JSON, is nested deeper, holds a number of more than 4,300 digits, or is greater than
            `MOST_BYTES`.
    """
    check_size(content)
    return from_json(content.encode() if isinstance(content, str) else content)


def check_size(content: bytes | str, most: int = MOST_BYTES) -> None:
    """Refuses a text that is greater than anybody needs.

    Raises:
        MalformedError: it is greater than `most` bytes (or characters).
    """
    if len(content) > most:
        raise MalformedError(
            f"it is greater than {most / 1e6:,.0f} MB",
            remedy="see what was put there; no file that is needed is so big",
        )
