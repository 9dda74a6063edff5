from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from modelway.components.core.errors import ModelwayError
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.serve.errors import RequestError
from modelway.components.serve.signature import InputColumn, Signature, Values

SIGNATURE = Signature(
    (
        InputColumn("income", "number"),
        InputColumn("region", "text"),
        InputColumn("opened", "time"),
        InputColumn("note", "text", False),
    )
)
ROW: dict[str, Values] = {
    "income": Values([1.5]),
    "region": Values(["north"]),
    "opened": Values(["2024-03-01T12:30:00"]),
}


def test_values_become_what_the_model_was_trained_on(rows: pl.DataFrame) -> None:
    signature = Signature(
        (
            InputColumn("income", "number"),
            InputColumn("age", "number"),
            InputColumn("region", "text"),
            InputColumn("opened", "time"),
        )
    )
    request = {name: rows[name].to_list() for name in ("income", "age", "region", "opened")}
    request["opened"] = [None if time is None else time.isoformat() for time in request["opened"]]
    columns = signature.convert({name: Values(values) for name, values in request.items()})
    expected = to_model_input(rows, list(request))
    for name, values in columns.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name].to_numpy())


def test_columns_come_in_the_models_order_and_optional_ones_may_be_left_out() -> None:
    columns = SIGNATURE.convert(dict(reversed(ROW.items())))
    assert list(columns) == ["income", "region", "opened", "note"]
    assert columns["note"].tolist() == [None]


@pytest.mark.parametrize(
    ("datatype", "value", "expected"),
    [
        ("FP64", 0.1, 0.1),
        ("FP32", 0.1, float(np.float32(0.1))),
        ("FP16", 0.1, float(np.float16(0.1))),
        ("INT64", -(2**40), float(-(2**40))),
        ("UINT8", 255, 255.0),
        ("INT32", 3.0, 3.0),
        ("BOOL", True, 1.0),
        ("", False, 0.0),
        ("", 7, 7.0),
    ],
)
def test_numbers_of_every_datatype_become_float64(datatype: str, value: object, expected: float) -> None:
    columns = SIGNATURE.convert({**ROW, "income": Values([value], datatype)})["income"]
    assert columns.dtype == np.float64
    assert columns[0] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-03-01", dt.datetime(2024, 3, 1)),
        ("2024-03-01T12:30:00.000007", dt.datetime(2024, 3, 1, 12, 30, 0, 7)),
        ("2024-03-01T12:30:00Z", dt.datetime(2024, 3, 1, 12, 30)),
        ("2024-03-01T12:30:00+02:00", dt.datetime(2024, 3, 1, 10, 30)),
    ],
)
def test_times_are_read_in_utc(text: str, expected: dt.datetime) -> None:
    columns = SIGNATURE.convert({**ROW, "opened": Values([text])})["opened"]
    assert columns.dtype == np.dtype("datetime64[us]")
    assert columns[0] == np.datetime64(expected)


def test_missing_values_are_kept_as_such() -> None:
    columns = SIGNATURE.convert({name: Values([None]) for name in ROW})
    assert np.isnan(columns["income"][0])
    assert columns["region"][0] is None
    assert pd.isna(columns["opened"][0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"income": ...}, "the column 'income' is missing"),
        ({"incom": Values([1.0])}, "the model takes no column 'incom'; did you mean 'income'?"),
        ({"income": Values(["12"])}, "column 'income', row 0: '12' is not a number"),
        ({"income": Values([True], "FP64")}, "column 'income', row 0: True is not a number"),
        ({"income": Values([[1.0]])}, "column 'income', row 0: [1.0] is not a number"),
        ({"income": Values([1], "BOOL")}, "column 'income', row 0: 1 is not true or false"),
        ({"income": Values(["a"], "BYTES")}, "column 'income' takes numbers, but its datatype is BYTES"),
        ({"income": Values([300], "UINT8")}, "column 'income', row 0: 300 is not a valid UINT8"),
        ({"income": Values([1.5], "INT64")}, "column 'income', row 0: 1.5 is not a valid INT64"),
        ({"income": Values([float("inf")])}, "column 'income', row 0: inf is not a finite number"),
        ({"income": Values([float("inf")], "INT64")}, "column 'income', row 0: inf is not a finite number"),
        ({"income": Values([1e300], "FP32")}, "column 'income', row 0: 1e+300 is too large for FP32"),
        ({"income": Values([10**400])}, "column 'income' holds an integer too large for a 64-bit number"),
        ({"region": Values([5])}, "column 'region', row 0: 5 is not text"),
        ({"region": Values([5.0], "FP64")}, "column 'region' takes text (BYTES), but its datatype is FP64"),
        ({"opened": Values(["yesterday"])}, "column 'opened', row 0: 'yesterday' is not a time in ISO 8601"),
        ({"opened": Values([17])}, "column 'opened', row 0: 17 is not a time in ISO 8601"),
        ({"opened": Values([17], "INT64")}, "column 'opened' takes times as ISO 8601 text (BYTES)"),
        ({"opened": Values(["0001-01-01T00:00:00+14:00"])}, "is not a time in ISO 8601"),
        ({"region": Values(["a", "b"])}, "column 'region' has 2 rows, but column 'income' has 1"),
        ({name: Values([]) for name in ROW}, "the request holds no rows"),
    ],
)
def test_what_the_model_does_not_take_is_refused_by_name_and_value(changes: dict[str, Any], message: str) -> None:
    request = {name: values for name, values in {**ROW, **changes}.items() if values is not ...}
    with pytest.raises(RequestError) as error:
        SIGNATURE.convert(request)
    assert error.value.status == 422
    assert message in error.value.message


def test_the_signature_is_read_from_the_models_folder(light: Path) -> None:
    columns = Signature.read(light)
    assert [(column.name, column.kind) for column in columns.columns] == [
        ("income", "number"),
        ("age", "number"),
        ("region", "text"),
        ("opened", "time"),
    ]


@pytest.mark.parametrize("kind", ["binary", "object"])
def test_a_signature_of_other_types_is_refused(write_model: Callable[..., Path], kind: str) -> None:
    with pytest.raises(ModelwayError, match="something other than named columns") as error:
        Signature.read(write_model(object(), {"photo": kind}))
    assert (error.value.column, error.value.value) == ("photo", kind)


def test_a_model_without_a_signature_is_refused(light: Path) -> None:
    metadata = yaml.safe_load((light / "MLmodel").read_text(encoding="utf-8"))
    del metadata["signature"]
    (light / "MLmodel").write_text(yaml.safe_dump(metadata), encoding="utf-8")
    with pytest.raises(ModelwayError, match="has no input signature"):
        Signature.read(light)


@pytest.mark.parametrize("values", [["\ud800"], ["n", None, "s\udfff"], ["\ud83d", "\ude00"]])
def test_half_of_a_surrogate_pair_is_refused_with_its_row(values: list[Any]) -> None:
    row = next(row for row, value in enumerate(values) if value not in {"n", None})
    rows = {name: Values(list(column.values) * len(values)) for name, column in ROW.items()}
    with pytest.raises(RequestError) as error:
        SIGNATURE.convert({**rows, "region": Values(values)})
    assert error.value.status == 422
    assert error.value.message.startswith(f"column 'region', row {row}: {values[row]!r} is not Unicode text")


def test_an_unknown_name_as_long_as_a_body_is_refused_at_once() -> None:
    with pytest.raises(RequestError, match="the model takes no column") as error:
        SIGNATURE.convert({**ROW, "x" * 4_000_000: Values([1])})
    assert len(error.value.message) < 200
