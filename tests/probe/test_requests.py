from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from modelway.components.core.tables.parquet import to_model_input
from modelway.components.probe.requests import REQUEST_BYTES, V1, V2, Sample, malformed

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
    made = {f"{one.kind} {one.detail}".strip(): one for one in malformed_requests(sample())}
    sent = {name: one.body for name, one in made.items()}
    names = [one["name"] for one in json.loads(sent["missing column income"])["inputs"]]
    assert names == ["region", "opened"]
    assert json.loads(sent["wrong type income"])["inputs"][0]["data"] == ["no number"]
    assert json.loads(sent["wrong type in V1 income"])["instances"][0]["income"] == "no number"
    assert len(json.loads(sent["unknown column no_such_column"])["inputs"]) == 4
    assert sent["empty body"] == b""
    assert len(sent[f"too large {REQUEST_BYTES + 1:,} bytes"]) == REQUEST_BYTES + 1
    assert [one["data"] for one in json.loads(sent["null region"])["inputs"]] == [
        [1.5],
        [None],
        ["2024-03-01T12:30:00.000007"],
    ]
    assert all(one["data"] == [None] for one in json.loads(sent["null in every column"])["inputs"])
    assert {one.path for one in made.values()} == {V1, V2}
    assert {one.kind for one in made.values() if one.may_be_answered} == {"null", "null in every column"}


def test_many_columns_are_emptied_a_few_at_a_time() -> None:
    wide = pl.DataFrame({f"c{number}": [1.0, 2.0] for number in range(120)})
    nulls = [one for one in malformed_requests(sample(wide)) if one.kind == "null"]
    assert len(nulls) == 40
    emptied = [tensor["name"] for one in nulls for tensor in json.loads(one.body)["inputs"] if tensor["data"] == [None]]
    assert emptied == wide.columns


@pytest.mark.parametrize(("columns", "rows"), [(3, 64), (20_000, 1), (2_000, None)])
def test_a_batch_is_as_many_rows_as_the_server_takes(columns: int, rows: int | None) -> None:
    frame = pd.DataFrame(
        np.random.default_rng(0).normal(size=(64, columns)), columns=[f"column {n}" for n in range(columns)]
    )
    sample = Sample.of(frame, range(64))
    assert max(len(sample.v1(sample.batch)), len(sample.v2(sample.batch))) < REQUEST_BYTES
    assert len(sample.batch) == rows if rows is not None else 1 < len(sample.batch) < 64


@pytest.mark.parametrize(("columns", "most"), [(40, 40), (1_000, 50), (3_000, 10)])
def test_every_column_is_sent_empty_in_a_bounded_number_of_requests(columns: int, most: int) -> None:
    frame = pd.DataFrame(np.zeros((1, columns)), columns=[f"c{n}" for n in range(columns)])
    sent = [json.loads(one.body)["inputs"] for one in malformed_requests(Sample.of(frame, [0])) if one.kind == "null"]
    assert len(sent) == most
    emptied = [tensor["name"] for inputs in sent for tensor in inputs if tensor["data"] == [None]]
    assert sorted(emptied) == sorted(frame.columns)
