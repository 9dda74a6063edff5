"""Parsing of texts that others wrote: bounded in size and depth, so that none ends the process or fills the memory."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_LEVELS = 200  # as pydantic's own parser has it
MOST_BYTES = 100_000_000  # of a record; statistics and gates of thousands of columns are a tenth of it

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


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
    """What a JSON text says.

    Args:
        content: The text, or its bytes in UTF-8.

    Raises:
        ValueError: it is no JSON, is nested deeper than `MOST_LEVELS`, holds half of a surrogate pair or a number of
            more than 4,300 digits, or is greater than `MOST_BYTES`.
    """
    check_size(content)
    text = content if isinstance(content, str) else content.decode()
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    if text.count("[") + text.count("{") > MOST_LEVELS:
        _check_depth(value)
    if _SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _check_depth(value: Any) -> None:
    """Refuses what is nested too deep for what reads it: the parser itself takes some hundred levels more."""
    level = [value]
    for _ in range(MOST_LEVELS + 1):
        parts = (part.values() if isinstance(part, dict) else part for part in level)
        level = [value for values in parts for value in values if isinstance(value, dict | list)]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> MalformedError:
    return MalformedError(f"it is nested deeper than {MOST_LEVELS} levels", remedy="see what was put there")


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
