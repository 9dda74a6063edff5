"""`changes`: who accepted what a batch showed, when and why."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from pydantic import Field, StringConstraints

from modelway.components.core.config.document import Section

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Change(Section):
    """A widening of the contract that a person accepted, as `contract diff --accept` writes it."""

    date: dt.date = Field(description="The day, in UTC.")
    author: Words = Field(description="Who accepted it.")
    reason: Words = Field(description="Why.")
    data: Words = Field(description="The data that showed it.")
    rows: int = Field(ge=1, le=10**15, description="How many rows the data had, or groups of rows.")
    lines: tuple[str, ...] = Field(min_length=1, description="The lines that were widened, such as `maximum[age]`.")
