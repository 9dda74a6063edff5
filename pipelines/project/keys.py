"""Columns that identify a row by design, rather than by chance."""

from __future__ import annotations

import re

import polars as pl

FEW_ROWS = 30  # of which all values may differ by chance
LEAST_COLLISIONS = 7.0  # that are expected by chance; that there are none has then a chance of exp(-7)
_NAME = re.compile(r"(^|[^A-Za-z])(id|key|uuid|guid|code|number|no|nr)$|[a-z](Id|ID|Key|Uuid|UUID|Code|Number|Nr|No)$")


def is_key(series: pl.Series) -> bool:
    """Whether each row has a value of its own, and by more than chance.

    That is so of whole numbers that lie so dense that some would be equal if they were drawn at random: of n values in
    a range of r, n² / 2r pairs (the birthday problem). Of codes of one pattern, such as UUIDs; and of whole numbers and
    texts in a column that is named as an identifier. Numbers with a fraction and free text identify by chance alone.
    """
    rows, dtype = len(series), series.dtype
    if rows <= FEW_ROWS or not (dtype.is_integer() or dtype == pl.String) or series.null_count():
        return False
    if series.n_unique() < rows:
        return False
    if _is_named(series.name):
        return True
    if dtype.is_integer():
        low, high = int(series.min()), int(series.max())  # type: ignore[arg-type]
        return rows * rows / (2 * (high - low + 1)) >= LEAST_COLLISIONS
    return _has_one_pattern(series)


def _is_named(name: str) -> bool:
    return _NAME.search(name) is not None or _NAME.search(name.lower()) is not None


def _has_one_pattern(series: pl.Series) -> bool:
    """Whether all texts are codes that differ in letters and digits alone, with a digit in each."""
    if not bool(series.str.contains(r"^[A-Za-z0-9]+([-_/#][A-Za-z0-9]+)*$").all() and series.str.contains(r"\d").all()):
        return False
    fixed = series.str.replace_all(r"[A-Za-z0-9]", "x")  # UUIDs
    running = series.str.replace_all(r"\d+", "9")  # A7, A8, …, A1000
    return fixed.n_unique() == 1 or running.n_unique() == 1
