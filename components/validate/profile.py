"""One look at the splits: everything that every row is read for, counted in a single pass."""

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
    Baseline,
    Distribution,
    bins_of,
    distributions_of,
    tally_of,
)

MOST_VALUES = 10_000
PROBED_ROWS = 50_000  # that show which columns of text hold few values
_FULLEST, _UNLISTED = 0.25, 0.05
_OWN, _BEFORE = "own/", "baseline/"


@dataclass(frozen=True)
class Survey:
    """What the splits hold.

    Attributes:
        schema: Their columns as they are stored.
        columns: The project's features and its label, those that are there.
        train_rows: How many rows the training split has.
        test_rows: How many rows the test split has.
        sample: At most 100,000 rows of the training split in a random order, with those columns; None: none was drawn.
        made: The training split's distributions: in the approved baseline's bins as far as they fit, else in its own.
        now: The same in the approved baseline's bins, where there is one.
        checks: The contract's.
    """

    schema: pl.Schema
    columns: tuple[str, ...]
    train_rows: int
    test_rows: int
    sample: pl.DataFrame | None
    made: Baseline
    now: Baseline
    checks: list[Check] = field(default_factory=list)


def survey(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    contract: Contract | None,
    project: Project,
    before: Baseline | None,
    data_hash: str,
) -> Survey:
    """Counts everything in one pass over the training split and one over the test split.

    Without a baseline the training split is streamed once more before, for a sample that says where bins lie. With one
    its bins are counted, and serve on for this data too; only columns that they no longer fit are sampled and counted
    again, in bins of their own.

    Args:
        train: The training split.
        test: The test split, with the same columns.
        contract: What both must look like; None: that is not judged.
        project: Names the features, the label, and the group whose rows are alike.
        before: The approved baseline, in whose bins the training split is counted.
        data_hash: The SHA-256 of the source's content.

    Raises:
        ModelwayError: a rule of the contract is not a SQL condition over its columns.
    """
    schema = train.collect_schema()
    columns = tuple(name for name in (*project.features.columns, project.label) if name in schema)
    asked = bad_rows(contract, project, schema=schema) if contract is not None else []
    earlier = {name: shape for name, shape in (before.columns if before else {}).items() if name in schema}
    sample = sample_of(train, columns, most=SAMPLE_ROWS) if before is None else None
    own = bins_of(sample) if sample is not None else {}
    seen = sample if sample is not None else train.head(PROBED_ROWS).collect(engine="streaming")
    few = _few_values(seen) if len(seen) >= PROBED_ROWS else []
    in_train = count(
        train,
        bad_tally(asked) | tally_of(own, schema, prefix=_OWN) | tally_of(earlier, schema, prefix=_BEFORE),
        few=few,
    )
    in_test = count(test, bad_tally(asked), few=few)
    shapes = distributions_of(own, in_train, prefix=_OWN)
    in_earlier = distributions_of(earlier, in_train, prefix=_BEFORE)
    if before is not None:
        shapes = {name: _reused(shape) for name, shape in in_earlier.items() if _still_fits(earlier[name], shape)}
        left = [name for name in columns if name not in shapes]
        if left:
            own = bins_of(sample_of(train, left, most=SAMPLE_ROWS))
            shapes |= distributions_of(own, count(train, tally_of(own, schema, prefix=_OWN), few=few), prefix=_OWN)
    made = Baseline(
        data_hash=data_hash,
        rows=in_train.rows,
        rows_per_group=_rows_per_group(train, project, schema=schema),
        columns={name: shapes[name] for name in columns},
    )
    now = made.model_copy(update={"columns": in_earlier}) if before is not None else made
    checks: Sequence[Check] = ()
    if contract is not None:
        both = pl.concat([train, test])
        checks = counted_contract_checks(both, contract, project=project, asked=asked, counted=in_train + in_test)
    return Survey(schema, columns, in_train.rows, in_test.rows, sample, made, now, list(checks))


def _still_fits(before: Distribution, now: Distribution) -> bool:
    """Whether a baseline's bins still tell a column's values apart: none holds much more than it should."""
    missing = now.shares[-1]
    if missing == 1:
        return False
    if now.kind == "numeric":
        fullest = max(now.shares[:-1]) / (1 - missing)
        return fullest <= max(_FULLEST, max(before.shares[:-1]) / max(1 - before.shares[-1], 1e-9))
    return now.shares[-2] <= before.shares[-2] + _UNLISTED


def _reused(shape: Distribution) -> Distribution:
    """Bins of another table's: none of these rows had a say in them."""
    return shape.model_copy(update={"chosen_by": []})


def _few_values(sample: pl.DataFrame) -> list[str]:
    return [series.name for series in sample if series.dtype == pl.String and series.n_unique() <= MOST_VALUES]


def _rows_per_group(table: pl.LazyFrame, project: Project, *, schema: pl.Schema) -> float:
    split = project.data.split
    if split.by != "group" or split.column is None or split.column not in schema:
        return 1.0
    return rows_per_group(table, split.column)
