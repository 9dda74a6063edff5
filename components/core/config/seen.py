"""`seen`: the rows that a column's lines of the contract were proposed from, so that a batch is judged by them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from pydantic import Field

from modelway.components.core.config.document import Section

Bound = int | float | dt.datetime | dt.date
ALPHA = 0.01  # the chance that a contract blocks a batch drawn like the rows that it was proposed from
MOST = 0.01  # the share of bad rows that blocks whatever was seen


@dataclass(frozen=True)
class SeenRows:
    """The rows that a line of a contract was proposed from, and how many of them were bad by it.

    Attributes:
        rows: How many rows were seen.
        bad: How many of them were bad; of a line that was drawn around the rows, 0.
        rows_as_one: How many rows weigh as one, because neighbours or rows of a group are alike; at least 1.
    """

    rows: int
    bad: int = 0
    rows_as_one: float = 1.0


class Seen(Section):
    """What was seen when a column was proposed, by `init` or by `contract diff --accept`.

    A line is judged by it as long as it says what was seen: a bound, a category or `max_nulls` that was edited since
    is a person's word, and strict.
    """

    rows: int = Field(ge=0, le=10**15, description="How many rows were seen, or groups of rows.")
    rows_as_one: float = Field(
        1.0, ge=1, le=10**15, description="How many rows weigh as one, since rows near one another are alike."
    )
    unparsed: int = Field(0, ge=0, le=10**15, description="How many values were not of the type.")
    nulls: int = Field(0, ge=0, le=10**15, description="How many values were missing.")
    minimum: Bound | None = Field(None, description="The minimum that was proposed from them.")
    maximum: Bound | None = Field(None, description="The maximum that was proposed from them.")
    categories: dict[str, int] | None = Field(
        None, description="How many rows each category had, by the category as text."
    )
