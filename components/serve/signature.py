"""The model's signature: which columns it takes, and their conversion to what the model saw in training.

The conversion is that of `core.tables.to_model_input`, without Polars: numbers and booleans become float64 (missing:
NaN), times datetime64[us] (missing: NaT), text Python strings (missing: None). Single rows are most of what comes, so
they take a way of their own through it.
"""

from __future__ import annotations

import datetime as dt
import difflib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import yaml

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.errors import RequestError, shown

Kind = Literal["number", "text", "time"]
Array = np.ndarray[Any, Any]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("double", "float", "long", "integer", "boolean"), "number"),
    "string": "text",
    "datetime": "time",
}
_INTEGERS = {f"{sign}INT{bits}": np.iinfo(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)}
_NARROW_FLOATS: dict[str, type[np.floating[Any]]] = {"FP32": np.float32, "FP16": np.float16}
_NUMBERS = {"FP64", *_NARROW_FLOATS, *_INTEGERS, "BOOL"}
_UNBOUNDED = frozenset({"", "FP64"})
_EXACT = 1 << 53  # whole numbers below are exact in double precision
DATATYPES = frozenset({*_NUMBERS, "BYTES"})


class Values(NamedTuple):
    """One column of a request.

    Attributes:
        values: A value per row, as JSON gives them, None for a missing one; or an array of the datatype's numbers.
        datatype: The Open Inference Protocol's datatype; empty where the request names none.
    """

    values: Sequence[Any] | Array
    datatype: str = ""


@dataclass(frozen=True)
class Column:
    """One column that the model takes; a required one must be in every request, though its values may be missing."""

    name: str
    kind: Kind
    required: bool = True

    @property
    def datatype(self) -> str:
        """The datatype that the model's metadata names."""
        return "FP64" if self.kind == "number" else "BYTES"


@dataclass(frozen=True)
class Signature:
    """The columns that the model takes, in its order."""

    columns: tuple[Column, ...]

    @classmethod
    def read(cls, folder: Path) -> Signature:
        """Reads the signature that a model's folder states.

        Raises:
            ModelwayError: there is none, or it is not one of named columns of numbers, texts and times.
        """
        path = folder / "MLmodel"
        remedy = "serve a model that `modelway run` trained, which states its columns"
        try:
            stated = json.loads(yaml.safe_load(path.read_text(encoding="utf-8"))["signature"]["inputs"])
        except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise ModelwayError("the model states no signature of its input", file=str(path), remedy=remedy) from error
        columns = []
        for one in stated:
            kind = _KINDS.get(str(one.get("type")))
            if kind is None or "name" not in one:
                raise ModelwayError(
                    "the signature holds something other than named columns of numbers, texts and times",
                    file=str(path),
                    column=one.get("name"),
                    value=one.get("type"),
                    remedy=remedy,
                )
            columns.append(Column(str(one["name"]), kind, bool(one.get("required", True))))
        return cls(tuple(columns))

    def convert(self, given: Mapping[str, Values]) -> dict[str, Array]:
        """A request's columns as the model takes them, each of shape (rows,), in the model's order.

        Raises:
            RequestError: 422; a column is missing, unknown or of another length, or a value is of another type.
        """
        if given.keys() != self._converters.keys():
            self._check_names(given)
        first = next(iter(given))
        rows = len(given[first].values)
        for name, (values, _) in given.items():
            if len(values) != rows:
                raise RequestError(422, f"column {name!r} has {len(values)} rows, but column {first!r} has {rows}")
        if rows == 0:
            raise RequestError(422, "the request holds no rows")
        if len(given) == len(self._converters):
            return {name: converted(name, given[name]) for name, converted in self._converters.items()}
        absent = Values([None] * rows)
        return {name: converted(name, given.get(name, absent)) for name, converted in self._converters.items()}

    @cached_property
    def _converters(self) -> dict[str, Callable[[str, Values], Array]]:
        return {one.name: _CONVERT[one.kind] for one in self.columns}

    def _check_names(self, given: Mapping[str, Values]) -> None:
        known = {one.name: one for one in self.columns}
        for name in given:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise RequestError(422, f"the model takes no column {shown(name)}{hint}")
        for one in self.columns:
            if one.required and one.name not in given:
                raise RequestError(
                    422, f"the column {one.name!r} is missing; send it with null where the value is not known"
                )
        if not given:
            raise RequestError(422, "the request holds no columns")


def _numbers(name: str, given: Values) -> Array:
    values, datatype = given
    if len(values) == 1 and datatype in _UNBOUNDED:
        value, kind = values[0], type(values[0])
        if (
            (kind is float and math.isfinite(value))
            or (kind is int and -_EXACT < value < _EXACT)
            or (kind is bool and not datatype)
        ):
            return np.array(values, np.float64)
        if value is None:
            return np.array((math.nan,))
    datatype = datatype or "FP64"
    if datatype not in _NUMBERS:
        raise RequestError(422, f"column {name!r} takes numbers, but its datatype is {datatype}")
    if isinstance(values, np.ndarray):
        numbers: Array = values.astype(np.float64)
        _check_finite(name, given, found=numbers)
        return numbers
    allowed: tuple[type, ...] = (bool,) if datatype == "BOOL" else (int, float)
    if not given.datatype:
        allowed = (int, float, bool)
    for row, value in enumerate(given.values):
        if value is not None and type(value) not in allowed:
            wanted = "true or false" if datatype == "BOOL" else "a number"
            raise _refused(name, row, value=value, why=f"is not {wanted}")
    try:
        found = np.array([math.nan if value is None else value for value in given.values], dtype=np.float64)
    except OverflowError as error:
        raise RequestError(422, f"column {name!r} holds an integer too great for a 64-bit number") from error
    _check_range(name, given, found=found, datatype=datatype)
    return _narrowed(name, given, found=found, datatype=datatype)


def _check_range(name: str, given: Values, *, found: Array, datatype: str) -> None:
    _check_finite(name, given, found=found)
    limits = _INTEGERS.get(datatype)
    if limits is None:
        return
    for row, value in enumerate(given.values):
        if value is not None and not (int(value) == value and limits.min <= int(value) <= limits.max):
            raise _refused(name, row, value=value, why=f"is no {datatype}")


def _check_finite(name: str, given: Values, *, found: Array) -> None:
    infinite = np.isinf(found)
    if infinite.any():
        row = int(infinite.argmax())
        value = given.values[row]
        raise _refused(
            name, row, value=value.item() if isinstance(value, np.generic) else value, why="is not a finite number"
        )


def _narrowed(name: str, given: Values, *, found: Array, datatype: str) -> Array:
    narrow = _NARROW_FLOATS.get(datatype)
    if narrow is None:
        return found
    with np.errstate(over="ignore"):
        rounded: Array = found.astype(narrow).astype(np.float64)
    if np.isinf(rounded).any():
        row = int(np.isinf(rounded).argmax())
        raise _refused(name, row, value=given.values[row], why=f"is too great for {datatype}")
    return rounded


def _texts(name: str, given: Values) -> Array:
    if given.datatype not in {"", "BYTES"}:
        raise RequestError(422, f"column {name!r} takes text (BYTES), but its datatype is {given.datatype}")
    for row, value in enumerate(given.values):
        if value is not None and type(value) is not str:
            raise _refused(name, row, value=value, why="is not text")
    return np.array(given.values, dtype=object)


def _times(name: str, given: Values) -> Array:
    if given.datatype not in {"", "BYTES"}:
        raise RequestError(
            422, f"column {name!r} takes times as ISO 8601 text (BYTES), but its datatype is {given.datatype}"
        )
    return np.array([_time(name, row, value=value) for row, value in enumerate(given.values)], dtype="datetime64[us]")


def _time(name: str, row: int, *, value: object) -> dt.datetime | None:
    """A time in UTC without a zone, as data files are read."""
    if value is None:
        return None
    try:
        found = dt.datetime.fromisoformat(value)  # type: ignore[arg-type]
        return found if found.tzinfo is None else found.astimezone(dt.UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError) as error:
        raise _refused(name, row, value=value, why="is not a time in ISO 8601, such as 2026-03-01T12:00:00") from error


def _refused(name: str, row: int, *, value: object, why: str) -> RequestError:
    return RequestError(422, f"column {name!r}, row {row}: {shown(value)} {why}")


_CONVERT = {"number": _numbers, "text": _texts, "time": _times}
