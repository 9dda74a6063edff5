"""Rows that stand several times as copies, by multiplicities that coincidence does not give."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.measures.bad_rows import certainly_more
from modelway.components.core.tables.placement import MOSTLY_DISTINCT
from modelway.components.validate.counting import multiplicities, rows_of

ALPHA = 0.001  # the chance of a false alarm
_FACTORS = (2, 3, 4, 5)  # by which a join may multiply every row
_MOST_COPIES = 10
_MOST_REPEATED = 2 * (1 - MOSTLY_DISTINCT)  # of rows nearly all distinct: coincidences double as the table does
_Counts = np.ndarray[Any, np.dtype[np.int64]]


def copies_check(train: pl.LazyFrame, test: pl.LazyFrame, *, mostly_distinct: bool = False) -> Check:
    """Looks for copies of rows among equal ones, by how often each content stands: `unlikely_repeats`.

    Args:
        train: The training split.
        test: The test split.
        mostly_distinct: Whether the split says that nearly all rows are distinct, so that few may repeat others.
    """
    both = pl.concat([train, test])
    columns = [name for name, dtype in both.collect_schema().items() if not dtype.is_nested()]
    frames = multiplicities(both, columns, rows=rows_of(both)) if columns else iter(())
    times = np.concatenate([np.empty(0, np.int64), *(frame["rows"].cast(pl.Int64).to_numpy() for frame in frames)])
    rows, contents = int(times.sum()), len(times)
    repeats, finding = rows - contents, unlikely_repeats(times)
    remedy = (
        "a join may have multiplied rows: remove the copies, or split by group if they are one subject's (`data.split`)"
    )
    if not finding and mostly_distinct and certainly_more(repeats, rows=rows, share=_MOST_REPEATED, level=ALPHA):
        finding = f"more than {_MOST_REPEATED:.0%} do, where nearly all rows are distinct by `equal_rows: together`"
        remedy = "remove the copies, or if they are coincidences write `equal_rows: apart` under `data.split`"
    message = f"{repeats:,} of {rows:,} rows repeat an earlier one" if repeats else f"all {rows:,} rows are distinct"
    if repeats:
        message += f", and {finding}: {remedy}" if finding else ", which coincidence can give"
    share = round(repeats / max(rows, 1), 6)
    return passed_or_failed("copies", not finding, message=message, observed=share)


def unlikely_repeats(times: _Counts) -> str:
    """What is unlikely about how often contents stand, unless some of them are copies.

    Where rows are drawn one by one, from whatever they are drawn, the number of rows of one content is Poisson by a
    rate of its own. Over all contents such a mixture has two properties that copies break:

    * With n(m) the expected number of contents that stand m times, m! n(m) is log-convex in m (it is a sequence of
      moments; Simar, Annals of Statistics 4, 1976), so n(m)² ≤ (m + 1) / m · n(m - 1) · n(m + 1). A join that doubles
      rows makes pairs without the single rows and the triples that belong to them. Each number is compared at its
      confidence limit (Garwood, Biometrika 28, 1936).
    * However great the rates are, no more than about 1 of q contents stands a multiple of q times. In a table that a
      join multiplied, all do.

    All tests together have a chance of `ALPHA` of a false alarm. Copies of a few contents that stand often cannot be
    told from frequent answers.

    Args:
        times: How often each content stands, at least once.

    Returns:
        The finding in words; empty: coincidence can give this.
    """
    return _unlikely_multiples(times) or _unlikely_multiplicity(times)


def _unlikely_multiples(times: _Counts) -> str:
    """Which factor too many contents are a multiple of, in words; empty: none."""
    from scipy.stats import binom

    for factor in _FACTORS:
        multiples = int((times % factor == 0).sum())
        share = _greatest_share(factor)
        if binom.sf(multiples - 1, len(times), share) < ALPHA / 2 / len(_FACTORS):
            return (
                f"{multiples:,} of {len(times):,} contents stand a multiple of {factor} times, where coincidence gives "
                f"at most {share:.0%}"
            )
    return ""


@cache
def _greatest_share(factor: int) -> float:
    """The greatest chance, over all rates, that a content which occurs stands a multiple of so many times."""
    rates = np.geomspace(0.01, 100, 2_000)
    roots = np.exp(2j * np.pi * np.arange(factor) / factor)
    multiples = np.exp(rates[:, None] * (roots - 1)).real.mean(axis=1) - np.exp(-rates)
    return float((multiples / -np.expm1(-rates)).max())


def _unlikely_multiplicity(times: _Counts) -> str:
    """Which number of times too many contents stand, by those that stand once less and once more; empty: none."""
    from scipy.stats import chi2

    counts = np.bincount(times[times <= _MOST_COPIES + 1], minlength=_MOST_COPIES + 2)
    error = ALPHA / 2 / (_MOST_COPIES - 1) / 3
    upper = np.asarray(chi2.isf(error, 2 * counts + 2)) / 2
    for number in range(2, _MOST_COPIES + 1):
        lower = chi2.ppf(error, 2 * counts[number]) / 2 if counts[number] else 0.0
        most = float(np.sqrt((number + 1) / number * upper[number - 1] * upper[number + 1]))
        if lower > most:
            once_less, here, once_more = counts[number - 1 : number + 2].tolist()
            return (
                f"{here:,} contents stand {number} times, where {once_less:,} stand {number - 1} and {once_more:,} "
                f"stand {number + 1} times: coincidence gives at most {most:,.0f}"
            )
    return ""
