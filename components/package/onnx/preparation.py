"""The feature preparation as ONNX: imputing, scaling, categories and parts of dates, all in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelway.components.core.bundle.bundle import MISSING_TEXT, MISSING_TIME
from modelway.components.package.onnx.graph import ML, Graph, UnsupportedError

_DAY, _HOUR = 86_400_000_000, 3_600_000_000  # in microseconds
_ERA_DAYS, _ERA_YEARS = 146_097, 400
_ERAS_BEFORE_1970 = 25  # counted from there, no time in use is negative, so integer division rounds down


def add_preparation(graph: Graph, steps: Any, *, inputs: dict[str, str]) -> str:
    """Adds a fitted ColumnTransformer's steps.

    Args:
        graph: The graph to add to.
        steps: The fitted ColumnTransformer.
        inputs: Each column's value in the graph, of shape (rows, 1).

    Returns:
        The prepared features, doubles of shape (rows, features).

    Raises:
        UnsupportedError: a step is not supported; names it.
    """
    parts = [
        _add_step(graph, step, values=[inputs[str(column)] for column in columns])
        for _, step, columns in steps.transformers_
        if not isinstance(step, str) or step != "drop"
    ]
    return _concat(graph, parts)


def _add_step(graph: Graph, step: Any, *, values: Sequence[str]) -> str:
    """Adds one step on values of shape (rows, 1) each, or one of (rows, columns); returns (rows, features)."""
    kind = "passthrough" if isinstance(step, str) else type(step).__name__
    if kind == "Pipeline":
        for _, inner in step.steps:
            values = [_add_step(graph, inner, values=values)]
        return _concat(graph, values)
    if kind == "OneHotEncoder":
        return _add_categories(graph, step, values=values)
    if kind == "DatetimeParts":
        return _concat(graph, [_add_time_parts(graph, value) for value in values])
    value = _concat(graph, values)
    if kind == "passthrough" or (kind == "FunctionTransformer" and step.func is None):
        return value
    if kind == "SimpleImputer":
        return _add_imputer(graph, step, value=value)
    if kind == "StandardScaler":
        return _add_scaler(graph, step, value=value)
    raise UnsupportedError(f"the preparation step {kind} is not supported in ONNX")


def _concat(graph: Graph, values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else graph.add("Concat", *values, axis=1)


def _add_imputer(graph: Graph, imputer: Any, *, value: str) -> str:
    statistics = np.asarray(imputer.statistics_, dtype=np.float64)
    if imputer.add_indicator or not np.isnan(imputer.missing_values) or np.isnan(statistics).any():
        raise UnsupportedError("the imputer drops or adds columns, or fills in other values than missing numbers")
    return graph.add("Where", graph.add("IsNaN", value), graph.constant(statistics), value)


def _add_scaler(graph: Graph, scaler: Any, *, value: str) -> str:
    if scaler.with_mean:
        value = graph.add("Sub", value, graph.constant(scaler.mean_))
    return graph.add("Div", value, graph.constant(scaler.scale_)) if scaler.with_std else value


def _add_categories(graph: Graph, encoder: Any, *, values: Sequence[str]) -> str:
    if encoder.drop_idx_ is not None or encoder.handle_unknown not in {"ignore", "infrequent_if_exist"}:
        raise UnsupportedError("the one-hot encoder drops a category or refuses unseen ones")
    infrequent = encoder.infrequent_categories_ if encoder.min_frequency or encoder.max_categories else None
    parts = []
    for index, (value, categories) in enumerate(zip(values, encoder.categories_, strict=True)):
        rare = set() if infrequent is None or infrequent[index] is None else set(infrequent[index])
        names = [_text(category) for category in categories]
        frequent = [name for name, category in zip(names, categories, strict=True) if category not in rare]
        positions = {name: len(frequent) for name in names} | {name: position for position, name in enumerate(frequent)}
        code = graph.add(
            "LabelEncoder",
            value,
            domain=ML,
            keys_strings=list(positions),
            values_int64s=list(positions.values()),
            default_int64=len(frequent) if rare and encoder.handle_unknown == "infrequent_if_exist" else -1,
        )
        width = len(frequent) + bool(rare)
        parts.append(graph.add("Equal", code, graph.constant(np.arange(width).reshape(1, -1), np.int64)))
    return graph.cast(_concat(graph, parts), np.float64)


def _text(category: object) -> str:
    if category is None or category != category:  # noqa: PLR0124 - NaN
        return MISSING_TEXT
    if not isinstance(category, str):
        raise UnsupportedError(f"the category {category!r} is not text")
    return category


def _add_time_parts(graph: Graph, value: str) -> str:
    """Year, month, day, weekday and hour of microseconds since 1970, by Hinnant's days-to-civil algorithm (2013)."""

    def number(amount: int) -> str:
        return graph.constant(amount, np.int64)

    def op(operator: str, left: str, *, right: str | int) -> str:
        return graph.add(operator, left, number(right) if isinstance(right, int) else right)

    is_missing = op("Equal", value, right=MISSING_TIME)
    imputed = graph.add("Where", is_missing, number(0), value)
    microseconds = op("Add", imputed, right=_ERAS_BEFORE_1970 * _ERA_DAYS * _DAY)
    days = op("Div", microseconds, right=_DAY)
    hour = op("Div", op("Sub", microseconds, right=op("Mul", days, right=_DAY)), right=_HOUR)
    weekday = op("Mod", op("Add", days, right=3), right=7)  # 1970 began on a Thursday; an era is whole weeks
    days_since_march_0 = op("Add", days, right=719_468)  # to 1 March of year 0
    era = op("Div", days_since_march_0, right=_ERA_DAYS)
    day_of_era = op("Sub", days_since_march_0, right=op("Mul", era, right=_ERA_DAYS))
    leap = op("Sub", day_of_era, right=op("Div", day_of_era, right=1460))
    leap = op("Add", leap, right=op("Div", day_of_era, right=36_524))
    leap = op("Sub", leap, right=op("Div", day_of_era, right=146_096))
    year_of_era = op("Div", leap, right=365)
    days_before = op("Add", op("Mul", year_of_era, right=365), right=op("Div", year_of_era, right=4))
    days_before = op("Sub", days_before, right=op("Div", year_of_era, right=100))
    day_of_year = op("Sub", day_of_era, right=days_before)
    shifted_month = op("Div", op("Add", op("Mul", day_of_year, right=5), right=2), right=153)
    first = op("Div", op("Add", op("Mul", shifted_month, right=153), right=2), right=5)
    day = op("Add", op("Sub", day_of_year, right=first), right=1)
    early = op("Greater", shifted_month, right=9)  # January and February belong to the next civil year
    month = op("Sub", op("Add", shifted_month, right=3), right=op("Mul", graph.cast(early, np.int64), right=12))
    year = op("Add", year_of_era, right=op("Mul", era, right=_ERA_YEARS))
    year = op("Sub", op("Add", year, right=graph.cast(early, np.int64)), right=_ERAS_BEFORE_1970 * _ERA_YEARS)
    parts = graph.cast(graph.add("Concat", year, month, day, weekday, hour, axis=1), np.float64)
    return graph.add("Where", is_missing, graph.constant(np.nan), parts)
