from __future__ import annotations

import pytest

from modelway.components.core.measures.time_parts import Days, part_names


@pytest.mark.parametrize(
    ("part", "days", "expected"),
    [
        ("hour", Days(1, 1), False),
        ("hour", Days(2, 1), True),
        ("weekday", Days(7, 1), True),
        ("weekday", Days(10, 2), False),
        ("weekday", Days(15, 3), True),
        ("weekday", Days(90, 4), False),  # monthly snapshots
        ("weekday", Days(365, 24), False),  # twice a month
        ("weekday", Days(365, 50), True),
        ("weekday", Days(25_000, 900), True),  # dates of birth
    ],
)
def test_a_part_is_compared_over_days_that_show_it(part: str, days: Days, expected: bool) -> None:
    assert days.show(part) is expected
    assert not Days().show(part)


def test_parts_are_named_by_their_column() -> None:
    assert part_names({"day": Days()}) == {"day.weekday": ("day", "weekday"), "day.hour": ("day", "hour")}
