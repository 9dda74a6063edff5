"""Checks of the contract over many rows: unique keys, row rules per group and per table, the label's classes."""

from __future__ import annotations

import polars as pl

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.core.config.contract import Contract, RowRule
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as, obstacle_of, rule_condition, sides_of
from modelway.components.validate.checks.bad_rows import is_present, rule_remedy, shown_values
from modelway.components.validate.counting import collect_all, multiplicities, row_hash

_SHOWN = 3


def unique_checks(table: pl.LazyFrame, contract: Contract, *, schema: pl.Schema, rows: int) -> list[Check]:
    """A check of each column and each set of columns whose values must be unique."""
    checks = []
    for name, column in contract.columns.items():
        if column.unique and name in schema and is_stored_as(column.type, schema[name]):
            present_rows = table.filter(is_present(name, schema[name]))
            bad, keys = _repeated(present_rows, [name], rows=rows)
            message = f"{bad:,} of {rows:,} values that occur more than once"
            if bad:
                repeated_rows = present_rows.filter(row_hash([name]).is_in(keys.implode()))
                examples = repeated_rows.select(pl.col(name).cast(pl.String).unique(maintain_order=True)).collect()
                message += f", such as {shown_values(examples[name].to_list())}"
                message += "; correct the values at their source, or the contract"
            checks.append(_unique_check(name, bad, message=message))
    for columns in contract.unique:
        if all(column in schema for column in columns):
            bad, _ = _repeated(table, list(columns), rows=rows)
            message = f"{bad:,} of {rows:,} rows whose key occurs more than once"
            message += "; remove the duplicates at their source" if bad else ""
            checks.append(_unique_check(", ".join(columns), bad, message=message))
    return checks


def _unique_check(name: str, bad: int, *, message: str) -> Check:
    return passed_or_failed(f"unique[{name}]", not bad, message=message, observed=bad, threshold="unique")


def _repeated(table: pl.LazyFrame, columns: list[str], *, rows: int) -> tuple[int, pl.Series]:
    """How many rows share their key with another, and the keys that occur most often."""
    bad, frequent = 0, pl.DataFrame(schema={"key": pl.UInt64, "rows": pl.UInt32})
    for key_counts in multiplicities(table, columns, rows=rows):
        several = key_counts.filter(pl.col("rows") > 1)
        bad += int(several["rows"].sum())
        frequent = pl.concat([frequent, several], how="vertical_relaxed")
        frequent = frequent.sort(["rows", "key"], descending=[True, False]).head(_SHOWN)
    return bad, frequent["key"]


def rule_checks(table: pl.LazyFrame, contract: Contract, *, schema: pl.Schema, rows: int) -> list[Check]:
    """A check of each row rule per group and per table, and of each that cannot be checked.

    Raises:
        ModelwayError: a rule is not a SQL condition over aggregates of the contract's columns.
    """
    checks, single = [], []
    for rule in contract.rules:
        obstacle = obstacle_of(rule, contract, schema=schema)
        if obstacle:
            message = f"cannot be checked: {obstacle}"
            checks.append(passed_or_failed(f"rule[{rule.name}]", False, message=message, threshold=rule.rule))
        elif rule.per == "group":
            checks.append(_group_check(rule, table, schema=schema))
        elif rule.per == "table":
            single.append(rule)
    return checks + (_table_checks(single, table, schema=schema, rows=rows) if single else [])


def _group_check(rule: RowRule, table: pl.LazyFrame, *, schema: pl.Schema) -> Check:
    keys = [pl.col(column).alias(f"{number}") for number, column in enumerate(rule.by)]
    groups = table.group_by(keys).agg(rule_condition(rule, schema).alias("holds"), pl.len().alias("rows"))
    broken = groups.filter(~pl.col("holds"))
    order = ["rows", *(f"{number}" for number in range(len(rule.by)))]
    counts, worst = collect_all(
        [
            groups.select(pl.len().alias("all"), (~pl.col("holds")).sum().alias("broken")),
            broken.sort(order, descending=[True] + [False] * len(rule.by)).head(_SHOWN),
        ]
    )
    total, bad = counts.row(0)
    share = bad / total if total else 0.0
    passed = share <= rule.tolerance
    message = f"{bad:,} of {total:,} groups by {', '.join(rule.by)} break the rule `{rule.rule}`"
    if not passed:
        examples = []
        for *key, _, size in worst.iter_rows():
            values = ", ".join(f"{column} = {value}" for column, value in zip(rule.by, key, strict=True))
            examples.append(f"{values} ({size:,} rows)")
        message += f", the largest being {'; '.join(examples)}; {rule_remedy(rule)}"
    observed = round(share, 6)
    return passed_or_failed(f"rule[{rule.name}]", passed, message=message, observed=observed, threshold=rule.tolerance)


def _table_checks(rules: list[RowRule], table: pl.LazyFrame, *, schema: pl.Schema, rows: int) -> list[Check]:
    expressions: dict[str, pl.Expr] = {}
    for number, rule in enumerate(rules):
        expressions[f"{number}"] = rule_condition(rule, schema)
        expressions |= {f"{number}/{place}": side for place, side in enumerate(sides_of(rule, schema))}
    (values,) = collect_all([table.select(**expressions)])[0].iter_rows(named=True)
    checks = []
    for number, rule in enumerate(rules):
        name, passed = f"rule[{rule.name}]", bool(values[f"{number}"])
        sides = [value for key, value in values.items() if key.startswith(f"{number}/")]
        texts = [f"{side:.6g}" if isinstance(side, float) else str(side) for side in sides]
        message = f"the table of {rows:,} rows {'keeps' if passed else 'breaks'} the rule `{rule.rule}`"
        message += f" ({' against '.join(texts)})" if texts else ""
        message += "" if passed else f"; {rule_remedy(rule)}"
        observed = ", ".join(texts) or str(passed).lower()
        checks.append(passed_or_failed(name, passed, message=message, observed=observed, threshold=rule.rule))
    return checks


def class_checks(table: pl.LazyFrame, project: Project, *, schema: pl.Schema) -> list[Check]:
    """Checks that the label has as many classes as the task needs."""
    if project.task == "regression" or project.label not in schema:
        return []
    label = pl.col(project.label).filter(is_present(project.label, schema[project.label]))
    classes = table.select(label.unique()).collect(engine="streaming")[project.label]
    requirement = "exactly 2" if project.task == "binary" else "at least 3"
    is_right = len(classes) == 2 if project.task == "binary" else len(classes) >= 3
    names = ", ".join(map(str, classes.sort().to_list()[:8]))
    message = f"the label {project.label!r} has {len(classes)} classes ({names}); {project.task} needs {requirement}"
    message += "" if is_right else f"; bring rows of every class, or correct `task` ({project.task})"
    return [passed_or_failed("classes", is_right, message=message, observed=len(classes), threshold=requirement)]
