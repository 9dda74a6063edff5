"""The model signature: the input columns, and their conversion to what the model was trained on.

The conversion is that of `core.tables.parquet.to_model_input`, without Polars: numbers and booleans become float64
(missing: NaN), times datetime64[us] (missing: NaT), text Python strings (missing: None). Most requests are single
rows, so numbers have a fast path for them.
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
from modelway.components.serve.errors import RequestError, quote
from modelway.components.serve.tensors import DTYPES, Array

Kind = Literal["number", "text", "time"]

_KINDS: dict[str, Kind] = {
    **dict.fromkeys(("double", "float", "long", "integer", "boolean"), "number"),
    "string": "text",
    "datetime": "time",
}
_INTEGERS = {datatype: np.iinfo(dtype) for datatype, dtype in DTYPES.items() if "INT" in datatype}
_UNBOUNDED = frozenset({"", "FP64"})
_EXACT = 1 << 53  # whole numbers below are exact in double precision
_LONG_NAME = 200  # no close match is looked for beyond, which takes time
DATATYPES = frozenset({*DTYPES, "BYTES"})


class Values(NamedTuple):
    """A column of a request.

    Attributes:
        values: A value per row as decoded from JSON, None for a missing one; or an array of the datatype's numbers.
        datatype: The Open Inference Protocol's datatype; empty if the request names none.
    """

    values: Sequence[Any] | Array
    datatype: str = ""


@dataclass(frozen=True)
class InputColumn:
    """An input column; a required one must be in every request, though its values may be missing."""

    name: str
    kind: Kind
    required: bool = True

    @property
    def datatype(self) -> str:
        """The datatype in the model's metadata."""
        return "FP64" if self.kind == "number" else "BYTES"


@dataclass(frozen=True)
class Signature:
    """The model's input columns, in order."""

    columns: tuple[InputColumn, ...]

    @classmethod
    def read(cls, folder: Path) -> Signature:
        """Reads the signature from a model's folder.

        Raises:
            ModelwayError: there is none, or it has other than named columns of numbers, texts and times.
        """
        path = folder / "MLmodel"
        remedy = "serve a model that `modelway run` trained, which has a signature"
        try:
            inputs = json.loads(yaml.safe_load(path.read_text(encoding="utf-8"))["signature"]["inputs"])
        except (OSError, KeyError, TypeError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise ModelwayError("the model has no input signature", file=str(path), remedy=remedy) from error
        columns = []
        for column in inputs:
            kind = _KINDS.get(str(column.get("type")))
            if kind is None or "name" not in column:
                raise ModelwayError(
                    "the signature holds something other than named columns of numbers, texts and times",
                    file=str(path),
                    column=column.get("name"),
                    value=column.get("type"),
                    remedy=remedy,
                )
            columns.append(InputColumn(str(column["name"]), kind, bool(column.get("required", True))))
        return cls(tuple(columns))

    def convert(self, columns: Mapping[str, Values]) -> dict[str, Array]:
        """Converts a request's columns to the model's types and order, each of shape (rows,).

        Raises:
            RequestError: 422; a column is missing, unknown or of another length, or a value is of another type.
        """
        if columns.keys() != self._converters.keys():
            self._check_names(columns)
        first = next(iter(columns))
        rows = len(columns[first].values)
        for name, (values, _) in columns.items():
            if len(values) != rows:
                raise RequestError(422, f"column {name!r} has {len(values)} rows, but column {first!r} has {rows}")
        if rows == 0:
            raise RequestError(422, "the request holds no rows")
        absent = Values([None] * rows)
        return {name: converter(name, columns.get(name, absent)) for name, converter in self._converters.items()}

    @cached_property
    def _converters(self) -> dict[str, Callable[[str, Values], Array]]:
        return {column.name: _CONVERT[column.kind] for column in self.columns}

    def _check_names(self, columns: Mapping[str, Values]) -> None:
        for name in columns:
            if name not in self._converters:
                close = difflib.get_close_matches(name[:_LONG_NAME], self._converters, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise RequestError(422, f"the model takes no column {quote(name)}{hint}")
        for column in self.columns:
            if column.required and column.name not in columns:
                raise RequestError(
                    422, f"the column {column.name!r} is missing; send it with null where the value is not known"
                )
        if not columns:
            raise RequestError(422, "the request holds no columns")


def _numbers(name: str, column: Values) -> Array:
    values, datatype = column
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
    if datatype and datatype not in DTYPES:
        raise RequestError(422, f"column {name!r} takes numbers, but its datatype is {datatype}")
    if isinstance(values, np.ndarray):
        numbers: Array = values.astype(np.float64)
        _check_finite(name, numbers, values=values)
        return numbers
    return _json_numbers(name, values, datatype=datatype)


def _json_numbers(name: str, values: Sequence[Any], *, datatype: str) -> Array:
    allowed = {bool} if datatype == "BOOL" else {int, float} if datatype else {int, float, bool}
    for row, value in enumerate(values):
        if value is not None and type(value) not in allowed:
            expected = "true or false" if datatype == "BOOL" else "a number"
            raise _invalid(name, row, value=value, why=f"is not {expected}")
    try:
        numbers = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    except OverflowError as error:
        raise RequestError(422, f"column {name!r} holds an integer too large for a 64-bit number") from error
    _check_finite(name, numbers, values=values)
    if datatype in _INTEGERS:
        limits = _INTEGERS[datatype]
        for row, value in enumerate(values):
            if value is not None and not (int(value) == value and limits.min <= value <= limits.max):
                raise _invalid(name, row, value=value, why=f"is not a valid {datatype}")
    elif datatype in {"FP32", "FP16"}:
        with np.errstate(over="ignore"):
            numbers = numbers.astype(DTYPES[datatype]).astype(np.float64)
        _check_finite(name, numbers, values=values, why=f"is too large for {datatype}")
    return numbers


def _check_finite(
    name: str, numbers: Array, *, values: Sequence[Any] | Array, why: str = "is not a finite number"
) -> None:
    infinite = np.isinf(numbers)
    if infinite.any():
        row = int(infinite.argmax())
        value = values[row]
        raise _invalid(name, row, value=value.item() if isinstance(value, np.generic) else value, why=why)


def _texts(name: str, column: Values) -> Array:
    if column.datatype not in {"", "BYTES"}:
        raise RequestError(422, f"column {name!r} takes text (BYTES), but its datatype is {column.datatype}")
    for row, value in enumerate(column.values):
        if value is not None and type(value) is not str:
            raise _invalid(name, row, value=value, why="is not text")
    try:
        "".join(filter(None, column.values)).encode()
    except UnicodeEncodeError:
        row = next(row for row, value in enumerate(column.values) if value and not _is_unicode(value))
        why = "is not Unicode text: it holds half of a surrogate pair"
        raise _invalid(name, row, value=column.values[row], why=why) from None
    return np.array(column.values, dtype=object)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _times(name: str, column: Values) -> Array:
    if column.datatype not in {"", "BYTES"}:
        raise RequestError(
            422, f"column {name!r} takes times as ISO 8601 text (BYTES), but its datatype is {column.datatype}"
        )
    return np.array([_time(name, row, value=value) for row, value in enumerate(column.values)], dtype="datetime64[us]")


def _time(name: str, row: int, *, value: object) -> dt.datetime | None:
    """Parses a time to UTC without a zone, as times in data files."""
    if value is None:
        return None
    try:
        time = dt.datetime.fromisoformat(value)  # type: ignore[arg-type]
        return time if time.tzinfo is None else time.astimezone(dt.UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError) as error:
        raise _invalid(name, row, value=value, why="is not a time in ISO 8601, such as 2026-03-01T12:00:00") from error


def _invalid(name: str, row: int, *, value: object, why: str) -> RequestError:
    return RequestError(422, f"column {name!r}, row {row}: {quote(value)} {why}")


_CONVERT = {"number": _numbers, "text": _texts, "time": _times}
