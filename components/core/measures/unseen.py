"""How many rows may hold values that an earlier sample did not: Good and Turing's estimate, and a test by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class SeenValues:
    """How often the values of a sample were seen in it.

    Attributes:
        rows: How many rows have a value; rows that are alike may weigh less than one.
        once: How many values were seen in one row.
        twice: How many values were seen in two rows.
    """

    rows: float
    once: float
    twice: float

    @classmethod
    def of(cls, counts: Iterable[float], *, rows_per_group: float = 1.0) -> SeenValues:
        """Counts values by their numbers of rows.

        Args:
            counts: Each value's number of rows.
            rows_per_group: How many rows weigh as one; a value is seen once where all its rows weigh no more.
        """
        weights = [count / rows_per_group for count in counts if count > 0]
        once = sum(weight <= 1 for weight in weights)
        return cls(sum(weights), once, sum(1 < weight <= 2 for weight in weights))

    @property
    def unseen_share(self) -> float:
        """The expected share of further rows whose values were not seen here: that of values seen once (Good, 1953).

        It needs no assumption but that the rows are drawn alike: a row's value is seen once as often as the value of
        one more row would not have been seen among the others. 1 without rows.
        """
        return min(1.0, self.once / self.rows) if self.rows else 1.0

    def p_value(self, unseen: float, rows: float) -> float:
        """The chance that at least so many of some further rows hold unseen values, if they are drawn alike.

        Good's estimate has the variance (once (1 - once / rows) + 2 twice) / rows² (Esty, 1983), and the share of the
        further rows that of a proportion; their difference is taken as normal. One more value is counted as seen once,
        since a sample in which none was does not show that there are no others.

        Args:
            unseen: How many of the further rows hold a value that was not seen.
            rows: How many further rows have a value.
        """
        from scipy.special import ndtr

        if not rows or not self.rows:
            return 1.0
        share = min(1.0, (self.once + 1) / (self.rows + 1))
        variance = ((self.once + 1) * (1 - share) + 2 * self.twice) / self.rows**2 + share * (1 - share) / rows
        excess = unseen / rows - share
        return float(ndtr(-excess / variance**0.5)) if variance > 0 else float(excess <= 0)
