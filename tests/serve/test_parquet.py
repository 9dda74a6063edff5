from __future__ import annotations

from io import BytesIO

import numpy as np
import polars as pl

from modelway.components.serve.parquet import to_parquet


def test_blocks_with_other_columns_are_one_table_with_missing_values() -> None:
    first = {
        "x": np.array([1.5, np.nan]),
        "n": np.array([1, 2]),
        "at": np.array(["2024-01-01T00:00:00.000007", "NaT"], dtype="datetime64[us]"),
    }
    second = {"text": np.array([None, "é"], dtype=object), "flag": np.array([True, False]), "n": np.array([3, 4])}
    table = pl.read_parquet(BytesIO(to_parquet([first, second])))
    assert table.schema == {
        "x": pl.Float64,
        "n": pl.Int64,
        "at": pl.Datetime("us"),
        "text": pl.String,
        "flag": pl.Boolean,
    }
    assert table["x"].to_list() == [1.5, None, None, None]
    assert table["n"].to_list() == [1, 2, 3, 4]
    assert table["at"].dt.microsecond().to_list() == [7, None, None, None]
    assert table["text"].to_list() == [None, None, None, "é"]
    assert table["flag"].to_list() == [None, None, True, False]
