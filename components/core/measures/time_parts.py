"""What is compared of dates and times: their parts, where rows of enough days show them; that time goes on is no drift.

The data gate and the model server both measure it so.
"""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("weekday", "hour")
# A weekday is shown by whole weeks, or by so many days that one more does not matter. Weeks without rows, such as those
# between monthly snapshots, leave the weekday to chance, unless very many weeks have rows.
_WEEK, _MANY_DAYS, _FULL_DAYS = 7, 14, 2
_FILLED, _VERY_MANY_WEEKS = 0.75, 200


@dataclass(frozen=True)
class Days:
    """The days of a column of dates or times.

    Attributes:
        span: How many days lie between the first and the last time, both counted; 0 without a time.
        weeks: In how many of the weeks since the first day there is a row.
    """

    span: int = 0
    weeks: int = 0

    def show(self, part: str) -> bool:
        """Whether rows of these days show how a part is distributed; else the days themselves decide its values."""
        if part == "hour":
            return self.span >= _FULL_DAYS
        is_even = self.span >= _MANY_DAYS or (self.span > 0 and self.span % _WEEK == 0)
        return is_even and (self.weeks * _WEEK >= self.span * _FILLED or self.weeks >= _VERY_MANY_WEEKS)


def part_names(columns: dict[str, Days]) -> dict[str, tuple[str, str]]:
    """The column and the part that each part's name stands for, ``column.part``."""
    return {f"{column}.{part}": (column, part) for column in columns for part in PARTS}
