"""Whether a batch has more bad rows than rows drawn like those that were seen, by tests that need no model of them."""

from __future__ import annotations

import math

from modelway.components.core.config.seen import SeenRows

POWER = 0.9


def p_value(seen: SeenRows, bad: float, *, rows: float) -> float:
    """The chance that at least so many of a batch's rows are bad, if seen and new rows are drawn alike.

    Given how many rows are bad in both together, which of them are is a draw without replacement, whatever the values
    are: hypergeometric (Fisher, The Design of Experiments, 1935). For a minimum or maximum that was drawn around the
    seen rows, of which none is bad, it is the chance that the most extreme rows of both are all in the batch.

    Args:
        seen: The rows that the line was proposed from.
        bad: How many of the batch's rows are bad.
        rows: How many rows the batch has.
    """
    from scipy.stats import hypergeom

    # Wholes that never make the batch look worse than it is.
    alike = max(1.0, seen.rows_as_one)
    seen_rows, batch_rows = math.floor(seen.rows / alike), math.ceil(rows / alike)
    seen_bad, batch_bad = min(seen_rows, math.ceil(seen.bad / alike)), min(batch_rows, math.floor(bad / alike))
    if batch_bad <= 0:
        return 1.0
    return float(hypergeom.sf(batch_bad - 1, seen_rows + batch_rows, seen_bad + batch_bad, batch_rows))


def least_certain(seen: SeenRows, *, rows: int, level: float) -> int | None:
    """The fewest bad rows of a batch whose `p_value` is at most a level; None: not even all of them suffice."""
    low, high = 1, rows
    if high < low or p_value(seen, high, rows=rows) > level:
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if p_value(seen, middle, rows=rows) <= level else (middle + 1, high)
    return low


def certainly_more(bad: float, *, rows: float, share: float, level: float, rows_as_one: float = 1.0) -> bool:
    """Whether more than a share of what a batch was drawn from is bad, by the exact binomial test.

    Args:
        bad: How many of the batch's rows are bad.
        rows: How many rows it has.
        share: The share that may be bad.
        level: The chance of saying so where no more are.
        rows_as_one: How many rows weigh as one.
    """
    from scipy.stats import binom

    alike = max(1.0, rows_as_one)
    return bad > 0 and float(binom.sf(math.floor(bad / alike) - 1, math.ceil(rows / alike), share)) <= level


def detectable_share(least: int | None, *, rows: int, power: float = POWER) -> float | None:
    """The least share of bad rows at which a batch has at least `least` of them in `power` of all cases.

    The inverse of the binomial distribution by the beta distribution (Clopper and Pearson, Biometrika 26, 1934); None
    where no number of bad rows suffices.
    """
    from scipy.stats import beta

    if least is None or least > rows:
        return None
    return float(beta.ppf(power, least, rows - least + 1))


def commonest_p_value(seen: SeenRows, count: int, *, rows: int, values: int) -> float:
    """The chance that some value is unseen and has so many of a batch's rows, if seen and new rows are drawn alike.

    Rows of one new value come together, so that counting unseen rows alone is wrong by far. For each value with at
    least `count` rows in both together, the chance that the batch has all of them is hypergeometric, and the sum over
    these values bounds that of any (Boole's inequality).

    Args:
        seen: The rows that were seen.
        count: How many of the batch's rows have the commonest unseen value.
        rows: How many rows the batch has.
        values: How many values have at least `count` rows in seen and batch together.
    """
    return min(1.0, values * p_value(seen, count, rows=rows))
