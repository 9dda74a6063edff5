"""New values: rows of categories that the baseline never had, which no model of it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from modelway.components.core.checks import Check, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.measures.unseen import SeenValues
from modelway.components.core.tables.parquet import as_text
from modelway.components.validate.distances import holm
from modelway.components.validate.distributions import most_frequent

_NAME = "new_values[categories]"
_SHOWN = 3


@dataclass(frozen=True)
class _Novelty:
    """The rows of one column whose values the baseline's rows do not have."""

    column: str
    rows: int
    known: int  # rows that have a value
    expected: float
    p_value: float
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.rows / self.known if self.known else 0.0

    @property
    def excess(self) -> float:
        return max(0.0, self.share - self.expected)


def new_values_checks(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    *,
    columns: Sequence[str],
    categorical: Sequence[str],
    rows_per_group: float = 1.0,
    policy: DataPolicy,
    limit: float,
) -> list[Check]:
    """A check for each column with too many rows of values that the baseline's rows do not have; one for the others.

    What a sample of the baseline has not got, more of it may have: by Good and Turing's estimate as large a share of
    rows as there are values that it has once. A column fails where the share of rows above that exceeds the limit and
    is significant, corrected over the columns (Holm, 1979).

    Args:
        reference: Random rows of the baseline.
        current: Random rows of this data.
        columns: The columns to compare: of these, those of text and flags, and those that are called categorical.
        categorical: Which columns of numbers are categorical too.
        rows_per_group: How many rows weigh as one, since the rows of a group are alike.
        policy: The policy's `data` section.
        limit: The greatest share of rows above the expected one.
    """
    rows, least = min(len(reference), len(current)), policy.drift.minimum_rows
    if rows < least:
        message = f"{rows:,} rows on one side; the policy requires {least:,} to look for new values; bring more rows"
        return [inconclusive(_NAME, message, rule=policy.on_inconclusive, observed=rows, threshold=least)]
    novelties = []
    for name in columns:
        pair = _values(reference, current, name=name, categorical=name in categorical)
        if pair is not None:
            novelties.append(_novelty(name, *pair, rows_per_group=rows_per_group))
    p_values = holm([novelty.p_value for novelty in novelties])
    of_rows = f"of {len(current):,} random rows, against {len(reference):,} of the baseline's"
    checks, passing = [], []
    for novelty, p_value in zip(novelties, p_values, strict=True):
        if novelty.excess <= limit:
            passing.append(novelty)
            continue
        verdict = Verdict.FAILED if p_value < policy.drift.alpha else Verdict.INCONCLUSIVE
        message = _says(novelty, of_rows) + f", p {p_value:.2g}; the policy allows {limit:.0%} more than expected; "
        message += (
            "if values were renamed, give them their former names, or else retrain and waive this"
            if verdict is Verdict.FAILED
            else f"too few rows to distinguish them from chance (p must be below {policy.drift.alpha:g}): bring more"
        )
        observed = round(novelty.excess, 6)
        name, rule = f"new_values[{novelty.column}]", policy.on_inconclusive
        checks.append(judged(name, verdict, message=message, rule=rule, observed=observed, threshold=limit))
    if passing or not checks:
        checks.append(_passed(passing, of_rows, policy=policy, limit=limit))
    return checks


def _passed(passing: Sequence[_Novelty], of_rows: str, *, policy: DataPolicy, limit: float) -> Check:
    worst = max(passing, key=lambda novelty: novelty.excess, default=None)
    message = f"there is no column of categories to look for new values in, {of_rows}"
    if worst is not None:
        message = f"none of {len(passing)} columns has many rows of new values; the most: {_says(worst, of_rows)}"
    observed = round(worst.excess, 6) if worst is not None else 0.0
    return judged(
        _NAME, Verdict.PASSED, message=message, rule=policy.on_inconclusive, observed=observed, threshold=limit
    )


def _says(novelty: _Novelty, of_rows: str) -> str:
    examples = f" (such as {', '.join(map(repr, novelty.examples))})" if novelty.examples else ""
    return (
        f"{novelty.share:.1%} of the rows have a value in {novelty.column!r} that the baseline's have not{examples}, "
        f"{novelty.expected:.1%} are expected by chance, {of_rows}"
    )


def _values(
    reference: pl.DataFrame, current: pl.DataFrame, *, name: str, categorical: bool
) -> tuple[pl.Series, pl.Series] | None:
    """A column's values on both sides in one type; None for what is not compared here."""
    if name not in reference.columns or name not in current.columns:
        return None
    sides = reference[name], current[name]
    are_numbers = [side.dtype.is_numeric() for side in sides]
    if any(side.dtype.is_temporal() for side in sides) or are_numbers[0] != are_numbers[1]:
        return None
    if all(are_numbers):
        return (sides[0].cast(pl.Float64), sides[1].cast(pl.Float64)) if categorical else None
    return as_text(sides[0]), as_text(sides[1])


def _novelty(column: str, reference: pl.Series, current: pl.Series, *, rows_per_group: float) -> _Novelty:
    counts = most_frequent(reference)
    seen = SeenValues.of(counts["rows"].to_list(), rows_per_group=rows_per_group)
    known = current.drop_nulls()
    unseen = known.filter(~known.is_in(counts["value"].implode()))
    p_value = seen.p_value(len(unseen) / rows_per_group, len(known) / rows_per_group)
    examples = tuple(str(value)[:40] for value in most_frequent(unseen)["value"].head(_SHOWN))
    return _Novelty(column, len(unseen), len(known), seen.unseen_share, p_value, examples)
