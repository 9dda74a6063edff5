"""Times that cannot be known: after the label's time, in the future, or in training rows after the first test row."""

from __future__ import annotations

import datetime as dt

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.validate.counting import Tally, count

_REMEDIES = {
    "label_time": "it was not known when the label was, so take it out of `features` or correct it",
    "future": "correct them, or set a later `maximum` in the contract if such times are planned",
}
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
    schema, test_schema, split = train.collect_schema(), test.collect_schema(), project.data.split
    times = [
        name
        for name, dtype in schema.items()
        if isinstance(dtype, pl.Date | pl.Datetime) and test_schema.get(name) == dtype
    ]
    features, label_time = [name for name in project.features.datetime if name in times], project.data.label_time
    checks, late = [], {}
    if label_time in times:
        late = {
            f"label_time[{name}]": _is_after(name, label_time, schema=schema) for name in features if name != label_time
        }
    elif label_time is not None:
        message = f"the data has no times in {label_time!r}; correct `data.label_time` in the project"
        checks.append(inconclusive("label_time", message, rule=rule))
    late |= {
        f"future[{name}]": _utc(name) > now + _SLACK for name in features if not _may_be_later(contract, name, now=now)
    }
    counts = count(train, Tally(late)) + count(test, Tally(late))
    limits = {"label_time": f"that of the label ({label_time!r})", "future": f"{now.date()}"}
    for name in late:
        kind, rows = name.partition("[")[0], counts.numbers[name]
        message = f"{rows:,} of {counts.rows:,} rows have a time after {limits[kind]}"
        message += f"; {_REMEDIES[kind]}" if rows else ""
        checks.append(passed_or_failed(name, not rows, message=message, observed=rows, threshold=0))
    if split.by == "time" and split.column is not None and split.column in schema and split.column in test_schema:
        checks.append(_order_check(split.column, train, test=test, rule=rule))
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


def _is_after(name: str, other: str, *, schema: pl.Schema) -> pl.Expr:
    """Whether a time lies after another; where one of the two is a day, whole days are compared."""
    times = _utc(name), _utc(other)
    if pl.Date() in (schema[name], schema[other]):
        return times[0].dt.date() > times[1].dt.date()
    return times[0] > times[1]


def _utc(name: str) -> pl.Expr:
    """A time as UTC without a zone."""
    return pl.col(name).cast(pl.Datetime("us"))


def _may_be_later(contract: Contract, name: str, *, now: dt.datetime) -> bool:
    latest = contract.columns[name].maximum if name in contract.columns else None
    return isinstance(latest, dt.date) and dt.datetime.fromisoformat(f"{latest}") > now
