"""The profile of the splits: everything that needs every row, counted in a single pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.tables.unparsed import Mask, Unparsed
from modelway.components.validate.checks.bad_rows import bad_rows
from modelway.components.validate.checks.contract import contract_checks
from modelway.components.validate.counting import SAMPLE_ROWS, Tally, count, rows_per_group, sample_of
from modelway.components.validate.distributions import (
    Distribution,
    TableStatistics,
    bins_of,
    distributions_of,
    measure,
    tally_of,
)
from modelway.components.validate.new_rows import new_rows
from modelway.components.validate.time_parts import days_of, time_parts

MOST_VALUES = 10_000
PROBED_ROWS = 50_000  # rows that show which columns of text have low cardinality
_FULLEST, _UNLISTED = 0.25, 0.05


@dataclass(frozen=True)
class Profile:
    """What was counted of the splits.

    Attributes:
        schema: Their columns as they are stored.
        columns: Those of the project's features and label that exist.
        parts: The names of the parts of dates and times, which have distributions too.
        train_rows: How many rows the training split has.
        test_rows: How many rows the test split has.
        sample: At most 100,000 rows of the training split in a random order, with those columns; None if not drawn.
        new_baseline: The training split's distributions, in the approved baseline's bins where they fit.
        current: The same in the approved baseline's bins, where there is one.
        checks: The contract's checks.
    """

    schema: pl.Schema
    columns: tuple[str, ...]
    parts: tuple[str, ...]
    train_rows: int
    test_rows: int
    sample: pl.DataFrame | None
    new_baseline: TableStatistics
    current: TableStatistics
    checks: list[Check]


def profile_splits(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    contract: Contract | None,
    project: Project,
    reference: TableStatistics | None,
    data_hash: str,
    unparsed: Mapping[str, Unparsed] | None = None,
    is_new: Mask | None = None,
) -> Profile:
    """Counts everything in one pass over the training split and one over the test split.

    Without a baseline the training split is first streamed for a sample that gives the bins. With one its bins are
    counted, and are reused for this data; only columns that they no longer fit are sampled and counted again, in bins
    of their own.

    Args:
        train: The training split.
        test: The test split, with the same columns.
        contract: The contract to check; None: it is not checked.
        project: Names the features, the label, and the group whose rows are alike.
        reference: The approved baseline, in whose bins the training split is counted.
        data_hash: The SHA-256 of the source's content.
        unparsed: By column the values of both splits that were let pass as missing.
        is_new: Which rows of both splits the champion was not released from; None: that cannot be told.

    Raises:
        ModelwayError: a rule of the contract is not a SQL condition over its columns.
    """
    schema, group = train.collect_schema(), project.data.split.group
    columns = tuple(name for name in (*project.features.columns, project.label) if name in schema)
    kinds = bad_rows(contract, project, schema=schema) if contract is not None else []
    parts = time_parts(schema, project.features.datetime)
    rows_with_parts, all_columns = train.with_columns(**parts), (*columns, *parts)
    sample = sample_of(rows_with_parts, all_columns, limit=SAMPLE_ROWS) if reference is None else None
    rows = sample if sample is not None else rows_with_parts.head(PROBED_ROWS).collect(engine="streaming")
    low_cardinality = [
        series.name
        for series in (rows if len(rows) >= PROBED_ROWS else ())
        if series.dtype == pl.String and series.n_unique() <= MOST_VALUES
    ]
    bins = reference.columns if reference is not None else bins_of(rows)
    bins = {name: distribution for name, distribution in bins.items() if name in {*schema, *parts}}
    contract_tally = Tally({kind.name: kind.condition for kind in kinds})
    tally = contract_tally | tally_of(bins, rows_with_parts.collect_schema())
    train_counts = count(rows_with_parts, tally, low_cardinality=low_cardinality)
    test_counts = count(test, contract_tally, low_cardinality=low_cardinality)
    distributions = counted = distributions_of(bins, train_counts)
    if reference is not None:
        fitting = {name: counts for name, counts in counted.items() if _still_fits(bins[name], counts)}
        # None of these rows were used to choose the baseline's bins.
        distributions = {name: counts.model_copy(update={"chosen_by": []}) for name, counts in fitting.items()}
        if rest := [name for name in all_columns if name not in fitting]:
            distributions |= measure(rows_with_parts, rest, data_hash=data_hash).columns
    new_baseline = TableStatistics(
        data_hash=data_hash,
        rows=train_counts.rows,
        rows_per_group=rows_per_group(train, group) if group is not None and group in schema else 1.0,
        columns={name: distributions[name] for name in all_columns},
        days=days_of(train, project.features.datetime),
    )
    current = new_baseline.model_copy(update={"columns": counted})
    checks: list[Check] = []
    if contract is not None:
        table, counts = pl.concat([train, test]), train_counts + test_counts
        new = new_rows(table, is_new, tally=contract_tally, low_cardinality=low_cardinality, unparsed=unparsed or {})
        checks = contract_checks(
            table, contract, project=project, kinds=kinds, counts=counts, unparsed=unparsed, new_rows=new
        )
    return Profile(
        schema=schema,
        columns=columns,
        parts=tuple(parts),
        train_rows=train_counts.rows,
        test_rows=test_counts.rows,
        sample=sample.select(columns) if sample is not None else None,
        new_baseline=new_baseline,
        current=current,
        checks=checks,
    )


def _still_fits(reference: Distribution, current: Distribution) -> bool:
    """Whether a baseline's bins still separate a column's values: none holds much more than it should."""
    missing = current.shares[-1]
    if missing == 1:
        return False
    if current.kind == "numeric":
        fullest = max(current.shares[:-1]) / (1 - missing)
        return fullest <= max(_FULLEST, max(reference.shares[:-1]) / max(1 - reference.shares[-1], 1e-9))
    return current.shares[-2] <= reference.shares[-2] + _UNLISTED
