"""Bounds for a column of numbers: the seen extremes, outward to round numbers."""

from __future__ import annotations

import math

_NEAR_ZERO = 0.1  # of the range: so near to an extreme, zero is the bound


def round_bounds(low: float, high: float, *, is_whole: bool) -> tuple[int | float, int | float]:
    """The two extremes, outward to two significant digits of the range between them.

    Zero is the minimum where nothing is below it and the range begins near it, and likewise the maximum. Equal extremes
    are their own bounds, and so are numbers whose range has no such digits.

    Args:
        low: The least finite value.
        high: The greatest.
        is_whole: Whether the values are whole numbers.
    """
    span = high - low
    digits = 1 - math.floor(math.log10(span)) if 0 < span < math.inf else None
    if is_whole and digits is not None:
        digits = min(digits, 0)
    if digits is None or abs(digits) > 300:
        return _plain(low), _plain(high)
    near = _NEAR_ZERO * span
    minimum = 0 if 0 <= low <= near else -_round_up(-low, digits)
    maximum = 0 if -near <= high <= 0 else _round_up(high, digits)
    return _plain(minimum), _plain(maximum)


def _round_up(value: float, digits: int) -> float:
    """The least number with so many digits after the point that is no less than a value; digits may be negative."""
    if isinstance(value, int) and digits <= 0:
        whole = int(10.0**-digits)
        return -(-value // whole) * whole
    unit = 10.0**-digits
    steps = math.ceil(round(value / unit, 6))  # 0.3 / 0.1 is 2.9999999999999996
    while (bound := round(steps * unit, max(digits, 0))) < value:
        steps += 1
    return bound


def _plain(value: float) -> int | float:
    """A whole number without a point."""
    return int(value) if value == math.floor(value) and abs(value) < 1e15 else value
