from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelway.components.core.tables.parquet import to_model_input
from modelway.components.probe.requests import REQUEST_BYTES, V1, V2, Sample, malformed_requests

ROWS = pl.DataFrame(
    {
        "income": [1.5, None],
        "region": ["north", None],
        "opened": [dt.datetime(2024, 3, 1, 12, 30, 0, 7), None],
    }
)


def sample(rows: pl.DataFrame = ROWS) -> Sample:
    return Sample.of(to_model_input(rows, rows.columns), [10, 20])


def test_rows_are_sent_as_they_are_in_both_protocols() -> None:
    assert json.loads(sample().v2([0, 1])) == {
        "inputs": [
            {"name": "income", "shape": [2], "datatype": "FP64", "data": [1.5, None]},
            {"name": "region", "shape": [2], "datatype": "BYTES", "data": ["north", None]},
            {"name": "opened", "shape": [2], "datatype": "BYTES", "data": ["2024-03-01T12:30:00.000007", None]},
        ]
    }
    assert json.loads(sample().v1([1])) == {"instances": [{"income": None, "region": None, "opened": None}]}


def test_a_row_is_described_by_its_number_and_what_it_lacks() -> None:
    assert sample().describe(0) == "row 10 of the test split"
    assert sample().describe(1) == "row 20 of the test split, which has no value in income, region, opened"


def test_each_malformed_request_has_one_thing_wrong() -> None:
    requests = {f"{request.kind} {request.detail}".strip(): request for request in malformed_requests(sample())}
    bodies = {name: request.body for name, request in requests.items()}
    names = [tensor["name"] for tensor in json.loads(bodies["missing column income"])["inputs"]]
    assert names == ["region", "opened"]
    assert json.loads(bodies["wrong type income"])["inputs"][0]["data"] == ["no number"]
    assert json.loads(bodies["wrong type in V1 income"])["instances"][0]["income"] == "no number"
    assert len(json.loads(bodies["unknown column no_such_column"])["inputs"]) == 4
    assert bodies["empty body"] == b""
    assert len(bodies[f"too large {REQUEST_BYTES + 1:,} bytes"]) == REQUEST_BYTES + 1
    assert [tensor["data"] for tensor in json.loads(bodies["null region"])["inputs"]] == [
        [1.5],
        [None],
        ["2024-03-01T12:30:00.000007"],
    ]
    assert all(tensor["data"] == [None] for tensor in json.loads(bodies["null in every column"])["inputs"])
    assert {request.path for request in requests.values()} == {V1, V2}
    assert {request.kind for request in requests.values() if request.may_be_answered} == {
        "null",
        "null in every column",
    }


@pytest.mark.parametrize("columns", [["income"], ["region"], ["income", "region"]])
def test_a_wrong_shape_is_one_whatever_the_number_of_columns(columns: list[str]) -> None:
    (request,) = [request for request in malformed_requests(sample(ROWS[columns])) if request.kind == "wrong shape"]
    first, *rest = json.loads(request.body)["inputs"]
    assert (first["shape"], len(first["data"])) == ([1], 2)
    assert all(len(tensor["data"]) == 1 for tensor in rest)


def test_many_columns_are_emptied_a_few_at_a_time() -> None:
    wide = pl.DataFrame({f"c{number}": [1.0, 2.0] for number in range(120)})
    nulls = [request for request in malformed_requests(sample(wide)) if request.kind == "null"]
    assert len(nulls) == 40
    emptied = [
        tensor["name"] for request in nulls for tensor in json.loads(request.body)["inputs"] if tensor["data"] == [None]
    ]
    assert emptied == wide.columns


@pytest.mark.parametrize(("columns", "rows"), [(3, 64), (20_000, 1), (2_000, None)])
def test_a_batch_is_as_many_rows_as_the_server_takes(columns: int, rows: int | None) -> None:
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(64, columns)), columns=[f"column {n}" for n in range(columns)]
    )
    sample = Sample.of(frame, range(64))
    assert max(len(sample.v1(sample.batch)), len(sample.v2(sample.batch))) < REQUEST_BYTES
    assert len(sample.batch) == rows if rows is not None else 1 < len(sample.batch) < 64


@pytest.mark.parametrize(("columns", "count"), [(40, 40), (1_000, 50), (3_000, 10)])
def test_every_column_is_sent_empty_in_a_bounded_number_of_requests(columns: int, count: int) -> None:
    frame = pd.DataFrame(np.zeros((1, columns)), columns=[f"c{n}" for n in range(columns)])
    requests = malformed_requests(Sample.of(frame, [0]))
    bodies = [json.loads(request.body)["inputs"] for request in requests if request.kind == "null"]
    assert len(bodies) == count
    emptied = [tensor["name"] for inputs in bodies for tensor in inputs if tensor["data"] == [None]]
    assert sorted(emptied) == sorted(frame.columns)
