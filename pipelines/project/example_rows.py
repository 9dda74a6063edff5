"""Rows that a contract would accept, made up without any data: the same for the same files."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Column, Contract
from modelway.components.core.config.project import Project

_SPAN = 100
_FIRST_DAY = dt.datetime(2024, 1, 1)
_TYPES: dict[str, Any] = {"boolean": pl.Boolean, "date": pl.Date, "datetime": pl.Datetime("us")}


def example_table(project: Project, contract: Contract, *, rows: int) -> pl.DataFrame:
    """A table with the features and the label of a project.

    Numbers and times lie within the contract's bounds, texts are among its categories, and a feature that may be
    missing is so in one row. A label of classes has every class that the files name, else two, or three of several.
    """
    rng = np.random.default_rng(0)
    columns = {name: _feature(contract.columns[name], rows, rng=rng) for name in project.features.columns}
    label = contract.columns[project.label]
    if project.task == "regression":
        columns[project.label] = _values(label, rows, rng=rng)
    else:
        classes = _classes(project, label)
        numbers = rng.permutation(np.arange(rows) % len(classes))
        columns[project.label] = _series(label, [classes[number] for number in numbers])
    return pl.DataFrame(columns)


def _feature(column: Column, rows: int, *, rng: np.random.Generator) -> pl.Series:
    values = _values(column, rows, rng=rng)
    if column.max_nulls and rows > 1:
        values[rows // 2] = None
    return values


def _values(column: Column, rows: int, *, rng: np.random.Generator) -> pl.Series:
    if column.categories is not None:
        categories = list(column.categories)
        return _series(column, [categories[number % len(categories)] for number in rng.permutation(rows)])
    if column.type == "boolean":
        return _series(column, [bool(number % 2) for number in rng.permutation(rows)])
    if column.type == "string":
        return _series(column, ["abcde"[number % 5] for number in rng.permutation(rows)])
    if column.type in {"date", "datetime"}:
        first, last = _bounds(column.minimum, column.maximum, default=_FIRST_DAY, span=dt.timedelta(days=_SPAN))
        return _series(column, [first + float(share) * (last - first) for share in rng.random(rows)])
    low, high = _bounds(column.minimum, column.maximum, default=0, span=_SPAN)
    numbers = low + rng.random(rows) * (high - low)
    return _series(column, [round(number) for number in numbers] if column.type == "integer" else numbers.tolist())


def _bounds(minimum: Any, maximum: Any, *, default: Any, span: Any) -> tuple[Any, Any]:
    """The bounds, those that are missing a span apart from the other."""
    if minimum is None and maximum is None:
        return default, default + span
    return (maximum - span if minimum is None else minimum), (minimum + span if maximum is None else maximum)


def _classes(project: Project, label: Column) -> list[Any]:
    """The classes of a label: those that the files name, filled up to as many as the task has."""
    weights, positive = project.model.class_weight, project.positive
    classes: list[Any] = list(weights) if isinstance(weights, dict) else list(label.categories or ())
    classes = classes or ([] if positive is None else [positive])
    if label.type in {"integer", "number", "boolean"}:
        classes = [_number(value) for value in classes]
    others: list[Any] = ["a", "b", "c"] if label.type == "string" else [0, 1, 2]
    count = 2 if project.task == "binary" else 3
    classes += [value for value in others if value not in classes][: max(count - len(classes), 0)]
    return [bool(value) for value in classes[:2]] if label.type == "boolean" else classes


def _number(value: Any) -> Any:
    """A class as a number, where a key of `class_weight` gives it as text."""
    if isinstance(value, str):
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            return int(value.lower() == "true")
    return value


def _series(column: Column, values: list[Any]) -> pl.Series:
    if column.type == "date":
        values = [value.date() if isinstance(value, dt.datetime) else value for value in values]
    return pl.Series(values, dtype=_TYPES.get(column.type), strict=False)
