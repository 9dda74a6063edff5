"""The profile of the splits: everything that needs every row, counted in a single pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from modelway.components.core.checks import Check
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.validate.checks.bad_rows import bad_rows, bad_tally
from modelway.components.validate.checks.contract import counted_contract_checks
from modelway.components.validate.counting import SAMPLE_ROWS, count, rows_per_group, sample_of
from modelway.components.validate.distributions import (
    Distribution,
    TableStatistics,
    bins_of,
    distributions_of,
    tally_of,
)

MOST_VALUES = 10_000
PROBED_ROWS = 50_000  # rows that show which columns of text have low cardinality
_FULLEST, _UNLISTED = 0.25, 0.05
_OWN, _REFERENCE = "own/", "baseline/"


@dataclass(frozen=True)
class Profile:
    """What was counted of the splits.

    Attributes:
        schema: Their columns as they are stored.
        columns: Those of the project's features and label that exist.
        train_rows: How many rows the training split has.
        test_rows: How many rows the test split has.
        sample: At most 100,000 rows of the training split in a random order, with those columns; None if not drawn.
        new_baseline: The training split's distributions, in the approved baseline's bins where they fit.
        current: The same in the approved baseline's bins, where there is one.
        checks: The contract's checks.
    """

    schema: pl.Schema
    columns: tuple[str, ...]
    train_rows: int
    test_rows: int
    sample: pl.DataFrame | None
    new_baseline: TableStatistics
    current: TableStatistics
    checks: list[Check] = field(default_factory=list)


def profile_splits(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    contract: Contract | None,
    project: Project,
    reference: TableStatistics | None,
    data_hash: str,
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

    Raises:
        ModelwayError: a rule of the contract is not a SQL condition over its columns.
    """
    schema = train.collect_schema()
    columns = tuple(name for name in (*project.features.columns, project.label) if name in schema)
    kinds = bad_rows(contract, project, schema=schema) if contract is not None else []
    reference_columns = reference.columns if reference is not None else {}
    reference_bins = {name: bins for name, bins in reference_columns.items() if name in schema}
    sample = sample_of(train, columns, limit=SAMPLE_ROWS) if reference is None else None
    own = bins_of(sample) if sample is not None else {}
    rows = sample if sample is not None else train.head(PROBED_ROWS).collect(engine="streaming")
    low_cardinality = _low_cardinality(rows) if len(rows) >= PROBED_ROWS else []
    train_counts = count(
        train,
        bad_tally(kinds) | tally_of(own, schema, prefix=_OWN) | tally_of(reference_bins, schema, prefix=_REFERENCE),
        low_cardinality=low_cardinality,
    )
    test_counts = count(test, bad_tally(kinds), low_cardinality=low_cardinality)
    distributions = distributions_of(own, train_counts, prefix=_OWN)
    in_reference_bins = distributions_of(reference_bins, train_counts, prefix=_REFERENCE)
    if reference is not None:
        fitting = [name for name in reference_bins if _still_fits(reference_bins[name], in_reference_bins[name])]
        distributions = {name: _reused(in_reference_bins[name]) for name in fitting}
        rest = [name for name in columns if name not in distributions]
        if rest:
            own = bins_of(sample_of(train, rest, limit=SAMPLE_ROWS))
            own_counts = count(train, tally_of(own, schema, prefix=_OWN), low_cardinality=low_cardinality)
            distributions |= distributions_of(own, own_counts, prefix=_OWN)
    new_baseline = TableStatistics(
        data_hash=data_hash,
        rows=train_counts.rows,
        rows_per_group=_rows_per_group(train, project, schema=schema),
        columns={name: distributions[name] for name in columns},
    )
    current = new_baseline.model_copy(update={"columns": in_reference_bins}) if reference is not None else new_baseline
    checks: Sequence[Check] = ()
    if contract is not None:
        table = pl.concat([train, test])
        checks = counted_contract_checks(
            table, contract, project=project, kinds=kinds, counts=train_counts + test_counts
        )
    return Profile(schema, columns, train_counts.rows, test_counts.rows, sample, new_baseline, current, list(checks))


def _still_fits(reference: Distribution, current: Distribution) -> bool:
    """Whether a baseline's bins still separate a column's values: none holds much more than it should."""
    missing = current.shares[-1]
    if missing == 1:
        return False
    if current.kind == "numeric":
        fullest = max(current.shares[:-1]) / (1 - missing)
        return fullest <= max(_FULLEST, max(reference.shares[:-1]) / max(1 - reference.shares[-1], 1e-9))
    return current.shares[-2] <= reference.shares[-2] + _UNLISTED


def _reused(distribution: Distribution) -> Distribution:
    """Bins of another table: none of these rows were used to choose them."""
    return distribution.model_copy(update={"chosen_by": []})


def _low_cardinality(sample: pl.DataFrame) -> list[str]:
    return [series.name for series in sample if series.dtype == pl.String and series.n_unique() <= MOST_VALUES]


def _rows_per_group(table: pl.LazyFrame, project: Project, *, schema: pl.Schema) -> float:
    split = project.data.split
    if split.by != "group" or split.column is None or split.column not in schema:
        return 1.0
    return rows_per_group(table, split.column)
