from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from user_files import minimal_project

from modelway.components.core.config.project import Project
from modelway.components.evaluate.candidate import resampling_of


def project(**split: Any) -> Project:
    return minimal_project(data={"source": "x.csv", "split": split})


@pytest.mark.parametrize(
    "people",
    [["b", "a", "b", None, "a"], [7, 3, 7, None, 3], [0.5, -1.0, 0.5, None, -1.0], [True, False, True, None, False]],
)
def test_rows_of_one_group_are_one_draw(people: list[Any]) -> None:
    resampling = resampling_of(pl.DataFrame({"person": people}), project(by="group", column="person"), confidence=0.9)
    assert resampling.groups is not None
    first, second, third, missing, fifth = resampling.groups.tolist()
    assert first == third
    assert second == fifth
    assert sorted({first, second, missing}) == [0, 1, 2]
    assert (resampling.rows, resampling.confidence) == (5, 0.9)


@pytest.mark.parametrize("split", [{}, {"by": "row", "column": "person"}, {"by": "time", "column": "person"}])
def test_other_rows_are_drawn_one_by_one(split: dict[str, str]) -> None:
    assert resampling_of(pl.DataFrame({"person": [1, 1, 2]}), project(**split), confidence=None).groups is None


def test_a_split_without_rows_has_no_groups() -> None:
    table = pl.DataFrame({"person": []}, schema={"person": pl.String})
    assert resampling_of(table, project(by="group", column="person"), confidence=0.95).groups is None
