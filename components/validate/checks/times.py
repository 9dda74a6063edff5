"""Times that cannot be known: after the label's time, in the future, or in training rows after the first test row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project

_SLACK = dt.timedelta(days=1)  # times without a zone may be those of a place that is ahead of UTC


def time_checks(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    project: Project,
    contract: Contract,
    rule: OnInconclusive,
    today: dt.datetime | None,
) -> list[Check]:
    """Compares every row's times with its label's time and with the present, and the splits' times with each other.

    A time in the future passes where the contract's `maximum` allows it. Where one side of a comparison holds days
    only, whole days are compared.

    Args:
        train: The training split.
        test: The test split.
        project: Names the features, the label's time and the split.
        contract: Says which times may be in the future.
        rule: What an inconclusive check does.
        today: The present; None: by the clock.
    """
    now = today or dt.datetime.now(dt.UTC)
    now = now.astimezone(dt.UTC).replace(tzinfo=None) if now.tzinfo else now
    splits, schemas = [train, test], [train.collect_schema(), test.collect_schema()]
    features = [name for name in project.features.datetime if all(name in schema for schema in schemas)]
    checks = []
    if project.data.label_time is not None:
        checks += _label_time_checks(splits, schemas, features=features, label_time=project.data.label_time, rule=rule)
    limited = [name for name in features if not _may_be_later(contract, name, now=now)]
    timed = [name for name in limited if _is_time(schemas, name)]
    late = _counts(splits, {name: _moment(name, schemas[0]) > now + _SLACK for name in timed})
    for name, (rows, total) in late.items():
        message = f"{rows:,} of {total:,} rows have a time after {now.date()}"
        if rows:
            message += "; correct them, or set a later `maximum` in the contract if such times are planned"
        checks.append(passed_or_failed(f"future[{name}]", not rows, message=message, observed=rows, threshold=0))
    split = project.data.split
    if split.by == "time" and split.column is not None and all(split.column in schema for schema in schemas):
        checks.append(_order_check(split.column, train, test=test, rule=rule))
    return checks


def _label_time_checks(
    splits: Sequence[pl.LazyFrame],
    schemas: Sequence[pl.Schema],
    *,
    features: Sequence[str],
    label_time: str,
    rule: OnInconclusive,
) -> list[Check]:
    if not all(label_time in schema for schema in schemas) or not _is_time(schemas, label_time):
        message = f"the data has no times in {label_time!r}; correct `data.label_time` in the project"
        return [inconclusive("label_time", message, rule=rule)]
    times_columns = [name for name in features if name != label_time and _is_time(schemas, name)]
    later = {}
    for name in times_columns:
        times = [_moment(column, schemas[0]) for column in (name, label_time)]
        if pl.Date() in (schemas[0][name], schemas[0][label_time]):
            times = [time.dt.date() for time in times]
        later[name] = times[0] > times[1]
    checks = []
    for name, (rows, total) in _counts(splits, later).items():
        says = f"{rows:,} of {total:,} rows have a time after that of the label ({label_time!r})"
        if rows:
            says += "; it was not known when the label was, so take it out of `features` or correct it"
        checks.append(passed_or_failed(f"label_time[{name}]", not rows, message=says, observed=rows, threshold=0))
    return checks


def _order_check(column: str, train: pl.LazyFrame, *, test: pl.LazyFrame, rule: OnInconclusive) -> Check:
    last = train.select(pl.col(column).max()).collect(engine="streaming").item()
    first = test.select(pl.col(column).min()).collect(engine="streaming").item()
    if last is None or first is None or type(last) is not type(first):
        return inconclusive("time_order", f"a split has no comparable times in {column!r}", rule=rule)
    message = f"the training rows end at {last}, the test rows begin at {first} ({column!r})"
    if last > first:
        message += "; train only on rows before the test rows"
    return passed_or_failed("time_order", last <= first, message=message, observed=str(last), threshold=str(first))


def _counts(splits: Sequence[pl.LazyFrame], conditions: dict[str, pl.Expr]) -> dict[str, tuple[int, int]]:
    """In how many rows of both splits each condition holds, and the number of rows."""
    counts = dict.fromkeys(conditions, (0, 0))
    for table in splits if conditions else ():
        plan = table.select(rows=pl.len(), **{f"is:{name}": condition.sum() for name, condition in conditions.items()})
        row = plan.collect(engine="streaming").row(0, named=True)
        counts = {name: (hits + (row[f"is:{name}"] or 0), of + row["rows"]) for name, (hits, of) in counts.items()}
    return counts


def _moment(name: str, schema: pl.Schema) -> pl.Expr:
    """A time as UTC without a zone."""
    dtype, time = schema[name], pl.col(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        time = time.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return time.cast(pl.Datetime("us"))


def _is_time(schemas: Sequence[pl.Schema], name: str) -> bool:
    return isinstance(schemas[0][name], pl.Date | pl.Datetime) and schemas[1][name] == schemas[0][name]


def _may_be_later(contract: Contract, name: str, *, now: dt.datetime) -> bool:
    latest = contract.columns[name].maximum if name in contract.columns else None
    if not isinstance(latest, dt.date):
        return False
    moment = latest if isinstance(latest, dt.datetime) else dt.datetime(latest.year, latest.month, latest.day)
    return moment > now
