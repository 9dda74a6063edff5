"""Which columns identify a row by design."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.pipelines.project.keys import is_key

RNG = np.random.default_rng(1)
ROWS = 200
SPARSE = sorted({int(number) for number in RNG.integers(0, 10**9, ROWS)})
NAMES = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}" * (1 + i % 3) for i in range(ROWS)]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        pytest.param("row", list(range(1, ROWS + 1)), True, id="consecutive"),
        pytest.param("row", [1000 - 3 * i for i in range(ROWS)], True, id="dense"),
        pytest.param("paid", SPARSE, False, id="distinct by chance"),
        pytest.param("customer_id", SPARSE, True, id="named as an identifier"),
        pytest.param("CustomerID", SPARSE, True, id="named so in one word"),
        pytest.param("OrderNumber", SPARSE, True, id="number"),
        pytest.param("humid", SPARSE, False, id="only ends so"),
        pytest.param("uid", [str(uuid.UUID(int=i * 7**40)) for i in range(ROWS)], True, id="UUIDs"),
        pytest.param("x", [f"A-{i}" for i in range(ROWS)], True, id="running codes"),
        pytest.param("person", NAMES, False, id="free text"),
        pytest.param("key", [f"n {name}" for name in NAMES], True, id="text that is named a key"),
        pytest.param("customer_id", [number / 7 for number in SPARSE], False, id="fractions"),
        pytest.param("customer_id", [None, *SPARSE[1:]], False, id="a missing one"),
        pytest.param("customer_id", [SPARSE[1], *SPARSE[1:]], False, id="one twice"),
        pytest.param("id", list(range(30)), False, id="few rows"),
    ],
)
def test_a_key_identifies_by_more_than_chance(name: str, values: list[Any], expected: bool) -> None:
    assert is_key(pl.Series(name, values)) == expected


def test_numbers_that_are_distinct_by_chance_are_rarely_taken_for_keys() -> None:
    taken = sum(is_key(pl.Series("x", RNG.integers(0, 1_000, 60))) for _ in range(2_000))
    assert taken == 0  # 60² / 2,000 = 1.8 collisions are expected, too few to tell
    assert is_key(pl.Series("x", RNG.permutation(250)[:60]))
