"""The contract's lines that are judged by what was seen when they were proposed, on rows that are new."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, judged
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.tables.unparsed import Unparsed
from modelway.components.validate.checks.bad_rows import (
    BadRows,
    examples_of,
    numbers_of_bad_rows,
    shown_values,
)
from modelway.components.validate.checks.evidence import SOURCE_REMEDY, Batch, LineRule, judged_line
from modelway.components.validate.checks.unseen_values import unseen_value_checks
from modelway.components.validate.counting import groups_with
from modelway.components.validate.new_rows import NewRows

_NUMBER = "number of the row"


def seen_line_checks(
    new: NewRows, contract: Contract, *, project: Project, kinds: Sequence[BadRows], is_part: bool
) -> list[Check]:
    """A check of each line that is judged by what was seen, and of each column's far-out values.

    Where rows are split by group, groups with bad rows count, not the rows: more passes over the columns concerned.

    Args:
        new: The rows that are judged, and what was counted of them.
        contract: The contract.
        project: Names the project, the label and the group.
        kinds: What can be wrong with a row; those that are judged by tolerance are left out.
        is_part: Whether `new` lacks rows that were seen already.
    """
    schema, group = new.table.collect_schema(), project.data.split.group
    group = group if group in schema else None
    kinds = [kind for kind in kinds if kind.by_evidence]
    types = [
        name
        for name, column in contract.columns.items()
        if name in schema
        and name != project.label
        and column.type != "string"  # which every value is
        and column.seen_for("type") is not None
        and is_stored_as(column.type, schema[name])
    ]
    rows, bad_rows = new.counts.rows, numbers_of_bad_rows(kinds, new.counts)
    unparsed = {name: new.unparsed[name].rows for name in types if name in new.unparsed}
    bad = bad_rows
    if group is not None:
        rows, bad, unparsed = _groups(new, kinds, group=group, bad_rows=bad_rows, unparsed=unparsed)
    accept = f"`modelway contract diff {project.name} --data FILE --accept`"
    batch = Batch(rows, "rows" if group is None else "groups", contract.level(project.label), accept, is_part)
    checks = [
        _type_line(name, contract, bad=unparsed.get(name, 0), values=new.unparsed.get(name), batch=batch)
        for name in types
    ]
    of_values = {kind.name for kind in kinds if kind.name.startswith("categories[")}
    examples = examples_of([kind for kind in kinds if bad_rows[kind.name] and kind.name not in of_values], new.table)
    for kind in kinds:
        number, shown = bad[kind.name], examples.get(kind.name, "")
        if kind.warns:
            checks.append(_warning(kind, number, shown=shown, batch=batch))
        elif kind.name in of_values:
            column = contract.columns[kind.example_column or ""]
            checks += unseen_value_checks(
                new.table, column, kind=kind, rows=bad_rows[kind.name], bad=number, group=group, batch=batch
            )
        else:
            checks.append(_line(kind, number, shown=shown, batch=batch))
    return checks


def _line(kind: BadRows, bad: int, *, shown: str, batch: Batch) -> Check:
    if kind.seen is None:
        raise ValueError(f"{kind.name} is judged by its tolerance")
    rule = LineRule(kind.seen, kind.most)
    is_share = kind.threshold is None
    return judged_line(
        kind.name,
        rule,
        bad=bad,
        batch=batch,
        counted=batch.counted(bad, kind.problem) + shown,
        remedy="fill them in at their source" if is_share else SOURCE_REMEDY,
        observed=round(bad / max(batch.rows, 1), 6) if is_share else bad,
        threshold=kind.tolerance if is_share else kind.threshold,
    )


def _type_line(name: str, contract: Contract, *, bad: int, values: Unparsed | None, batch: Batch) -> Check:
    column = contract.columns[name]
    seen = column.seen_for("type")
    if seen is None:
        raise ValueError(f"the type of {name!r} is judged strictly")
    shown = f", such as {shown_values(values.examples)}, which count as missing" if bad and values is not None else ""
    return judged_line(
        f"type[{name}]",
        LineRule(seen, column.most),
        bad=bad,
        batch=batch,
        counted=batch.counted(bad, f"values that are no valid {column.type}") + shown,
        remedy=SOURCE_REMEDY,
        threshold=column.type,
    )


def _warning(kind: BadRows, bad: int, *, shown: str, batch: Batch) -> Check:
    verdict, message = Verdict.PASSED, batch.counted(bad, kind.problem) + shown
    if bad:
        verdict = Verdict.INCONCLUSIVE
        message += f"; {kind.remedy}; if they are right, accept them by {batch.accept}"
    rule = OnInconclusive.WARN
    return judged(kind.name, verdict, message=message, rule=rule, observed=bad, threshold=kind.threshold)


def _groups(
    new: NewRows, kinds: Sequence[BadRows], *, group: str, bad_rows: Mapping[str, int], unparsed: Mapping[str, int]
) -> tuple[int, dict[str, int], dict[str, int]]:
    """How many groups there are, how many have a row of each kind, and how many a value that does not parse."""
    number = pl.col(_NUMBER)
    conditions = {}
    for kind in kinds:
        if bad_rows[kind.name]:
            conditions[kind.name] = ~kind.condition.fill_null(value=False) if kind.counts_good else kind.condition
    positions = {name: new.unparsed[name].positions for name in unparsed}
    for name, places in positions.items():
        if places is not None:
            is_unparsed = number.is_in(pl.Series(places, dtype=pl.UInt32).implode())
            conditions[f"type[{name}]"] = is_unparsed
            if f"nulls[{name}]" in conditions:
                conditions[f"nulls[{name}]"] &= ~is_unparsed
    table = new.table.with_row_index(_NUMBER) if unparsed else new.table
    total, numbers = groups_with(table, group, conditions)
    bad = {kind.name: numbers.get(kind.name, 0) for kind in kinds}
    return total, bad, {name: numbers.get(f"type[{name}]", min(total, rows)) for name, rows in unparsed.items()}
