"""The feature preparation as ONNX: imputing, scaling, categories and parts of dates, all in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelway.components.core.bundle.bundle import MISSING_TEXT, MISSING_TIME
from modelway.components.package.onnx.graph import ML, Graph, UnsupportedError

_DAY, _HOUR = 86_400_000_000, 3_600_000_000  # in microseconds
_ERA_DAYS, _ERA_YEARS = 146_097, 400
_ERAS_BEFORE_1970 = 25  # counted from there on, no time in use is negative, and integer division rounds down


def add_preparation(graph: Graph, steps: Any, *, inputs: dict[str, str]) -> str:
    """Adds a fitted ColumnTransformer's steps.

    Args:
        graph: The graph to add to.
        steps: The fitted ColumnTransformer.
        inputs: Each column's value in the graph, of shape (rows, 1).

    Returns:
        The prepared features, doubles of shape (rows, features).

    Raises:
        UnsupportedError: a step has no counterpart here; names it.
    """
    parts = []
    for _, step, columns in steps.transformers_:
        if isinstance(step, str) and step == "drop":
            continue
        values = [inputs[str(column)] for column in columns]
        parts.append(_add_step(graph, step, values=values))
    return _joined(graph, parts)


def _add_step(graph: Graph, step: Any, *, values: Sequence[str]) -> str:
    """Adds one step on values of shape (rows, 1) each, or one of (rows, columns); returns (rows, features)."""
    kind = "passthrough" if isinstance(step, str) else type(step).__name__
    if kind == "Pipeline":
        value = None
        for _, inner in step.steps:
            value = _add_step(graph, inner, values=values if value is None else [value])
        return value if value is not None else _joined(graph, values)
    if kind == "OneHotEncoder":
        return _add_categories(graph, step, values=values)
    if kind == "DatetimeParts":
        return _joined(graph, [_add_time_parts(graph, value) for value in values])
    value = _joined(graph, values)
    if kind == "passthrough" or (kind == "FunctionTransformer" and step.func is None):
        return value
    if kind == "SimpleImputer":
        return _add_imputer(graph, step, value=value)
    if kind == "StandardScaler":
        return _add_scaler(graph, step, value=value)
    raise UnsupportedError(f"the preparation step {kind} has no counterpart in ONNX here")


def _joined(graph: Graph, values: Sequence[str]) -> str:
    return values[0] if len(values) == 1 else graph.add("Concat", *values, axis=1)


def _add_imputer(graph: Graph, imputer: Any, *, value: str) -> str:
    statistics = np.asarray(imputer.statistics_, dtype=np.float64)
    if imputer.add_indicator or not np.isnan(imputer.missing_values) or np.isnan(statistics).any():
        raise UnsupportedError("the imputer drops or adds columns, or fills something else than missing numbers")
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
        kept = [name for name, category in zip(names, categories, strict=True) if category not in rare]
        positions = {name: len(kept) for name in names} | {name: position for position, name in enumerate(kept)}
        code = graph.add(
            "LabelEncoder",
            value,
            domain=ML,
            keys_strings=list(positions),
            values_int64s=list(positions.values()),
            default_int64=len(kept) if rare and encoder.handle_unknown == "infrequent_if_exist" else -1,
        )
        width = len(kept) + bool(rare)
        parts.append(graph.add("Equal", code, graph.constant(np.arange(width).reshape(1, -1), np.int64)))
    return graph.cast(_joined(graph, parts), np.float64)


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

    def calculated(operator: str, left: str, *, right: str | int) -> str:
        return graph.add(operator, left, number(right) if isinstance(right, int) else right)

    absent = calculated("Equal", value, right=MISSING_TIME)
    since = calculated("Add", graph.add("Where", absent, number(0), value), right=_ERAS_BEFORE_1970 * _ERA_DAYS * _DAY)
    days = calculated("Div", since, right=_DAY)
    hour = calculated("Div", calculated("Sub", since, right=calculated("Mul", days, right=_DAY)), right=_HOUR)
    weekday = calculated(
        "Mod", calculated("Add", days, right=3), right=7
    )  # 1970 began on a Thursday; an era is whole weeks
    shifted = calculated("Add", days, right=719_468)  # to 1 March of year 0
    era = calculated("Div", shifted, right=_ERA_DAYS)
    day_of_era = calculated("Sub", shifted, right=calculated("Mul", era, right=_ERA_DAYS))
    leap = calculated("Sub", day_of_era, right=calculated("Div", day_of_era, right=1460))
    leap = calculated("Add", leap, right=calculated("Div", day_of_era, right=36_524))
    leap = calculated("Sub", leap, right=calculated("Div", day_of_era, right=146_096))
    year_of_era = calculated("Div", leap, right=365)
    before = calculated("Add", calculated("Mul", year_of_era, right=365), right=calculated("Div", year_of_era, right=4))
    before = calculated("Sub", before, right=calculated("Div", year_of_era, right=100))
    day_of_year = calculated("Sub", day_of_era, right=before)
    shifted_month = calculated("Div", calculated("Add", calculated("Mul", day_of_year, right=5), right=2), right=153)
    first = calculated("Div", calculated("Add", calculated("Mul", shifted_month, right=153), right=2), right=5)
    day = calculated("Add", calculated("Sub", day_of_year, right=first), right=1)
    early = calculated("Greater", shifted_month, right=9)  # January and February belong to the year before
    month = calculated(
        "Sub", calculated("Add", shifted_month, right=3), right=calculated("Mul", graph.cast(early, np.int64), right=12)
    )
    year = calculated("Add", year_of_era, right=calculated("Mul", era, right=_ERA_YEARS))
    year = calculated(
        "Sub", calculated("Add", year, right=graph.cast(early, np.int64)), right=_ERAS_BEFORE_1970 * _ERA_YEARS
    )
    parts = graph.cast(graph.add("Concat", year, month, day, weekday, hour, axis=1), np.float64)
    return graph.add("Where", absent, graph.constant(np.nan), parts)
