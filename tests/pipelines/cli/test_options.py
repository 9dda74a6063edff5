"""What several commands take."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.pipelines.cli.options import parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-01", datetime(2026, 11, 1, 23, 59, 59, 999999, tzinfo=UTC)),
        ("2026-11-01T14:30", datetime(2026, 11, 1, 14, 30, tzinfo=UTC)),
        ("2026-11-01T14:30:05+02:00", datetime(2026, 11, 1, 12, 30, 5, tzinfo=UTC)),
        ("2026-11-01 14:30Z", datetime(2026, 11, 1, 14, 30, tzinfo=UTC)),
    ],
)
def test_times_as_people_write_them(text: str, expected: datetime) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "", "2026-13-01", "1/11/2026"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ModelwayError, match="is not a time"):
        parse_time(text)
