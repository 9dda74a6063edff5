"""Bounds at round numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelway.pipelines.project.bounds import round_bounds

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("low", "high", "is_whole", "expected"),
    [
        pytest.param(18, 90, True, (18, 90), id="two digits of the range"),
        pytest.param(15, 99_874, True, (0, 100_000), id="from zero"),
        pytest.param(1, 5, True, (1, 5), id="codes"),
        pytest.param(1004.25, 1037.5, False, (1004, 1038), id="a narrow range"),
        pytest.param(-0.1072, 0.1107, False, (-0.11, 0.12), id="both sides of zero"),
        pytest.param(0.3, 3.4, False, (0, 3.4), id="no wider by the error of a float"),
        pytest.param(-14.2, -0.1, False, (-15, 0), id="up to zero"),
        pytest.param(7.0, 7.0, False, (7, 7), id="one value"),
        pytest.param(-1e308, 1.5e308, False, (-1e308, 1.5e308), id="no finite range"),
        pytest.param(0, 2**63 - 1, True, (0, 9_300_000_000_000_000_000), id="large whole numbers"),
    ],
)
def test_bounds_are_the_extremes_outward_to_round_numbers(
    low: float, high: float, is_whole: bool, expected: tuple[float, float]
) -> None:
    assert round_bounds(low, high, is_whole=is_whole) == expected


@given(FLOATS, FLOATS)
def test_no_seen_number_is_outside_and_no_bound_is_far(first: float, second: float) -> None:
    low, high = sorted((first, second))
    minimum, maximum = round_bounds(low, high, is_whole=False)
    assert minimum <= low
    assert high <= maximum
    if math.isfinite(high - low):
        assert maximum - minimum <= 1.5 * (high - low)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_have_whole_bounds(first: int, second: int) -> None:
    low, high = sorted((first, second))
    minimum, maximum = round_bounds(low, high, is_whole=True)
    assert isinstance(minimum, int)
    assert isinstance(maximum, int)
    assert minimum <= low <= high <= maximum
