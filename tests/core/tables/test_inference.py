from __future__ import annotations

import datetime as dt
import json

import polars as pl

from modelway.components.core.tables.inference import infer_request, tensors_of
from modelway.components.core.tables.parquet import to_model_input

ROWS = pl.DataFrame(
    {"income": [1.5, None], "region": ["north", None], "opened": [dt.datetime(2024, 3, 1, 12, 30, 0, 7), None]}
)


def test_a_frame_becomes_a_request_with_a_tensor_per_column_and_null_for_what_is_missing() -> None:
    request = infer_request(tensors_of(to_model_input(ROWS, ROWS.columns)))
    assert json.loads(json.dumps(request)) == {
        "inputs": [
            {"name": "income", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
            {"name": "region", "shape": [2], "datatype": "BYTES", "data": ["north", None]},
            {"name": "opened", "shape": [2], "datatype": "BYTES", "data": ["2024-03-01T12:30:00.000007", None]},
        ]
    }
