from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from drift_tables import policy

from modelway.components.core.checks import Check, Verdict
from modelway.components.validate.checks.new_values import new_values_checks


def shops(seed: int, rows: int = 1_000, *, prefix: str = "shop", shops: int = 130, skew: float = 0.0) -> pl.DataFrame:
    """Rows of many shops, each with few rows."""
    weights = 1 / np.arange(1, shops + 1) ** skew
    codes = np.random.default_rng(seed).choice(shops, rows, p=weights / weights.sum())
    return pl.DataFrame({"shop": [f"{prefix} {code}" for code in codes], "till": codes % 7})


def new_values(
    before: pl.DataFrame, now: pl.DataFrame, *, categorical: tuple[str, ...] = ("shop",), rows_per_group: float = 1.0
) -> dict[str, Check]:
    checks = new_values_checks(
        before,
        now,
        columns=before.columns,
        categorical=categorical,
        rows_per_group=rows_per_group,
        policy=policy(minimum_rows=500),
        limit=0.1,
    )
    return {check.name: check for check in checks}


@pytest.mark.parametrize("rows", [500, 1_000, 5_000])
def test_renamed_codes_are_told(rows: int) -> None:
    checks = new_values(shops(1, rows), shops(2, rows, prefix="store"))
    assert (checks["new_values[shop]"].verdict, checks["new_values[shop]"].blocks) == (Verdict.FAILED, True)
    assert "'store " in checks["new_values[shop]"].message


@pytest.mark.parametrize("skew", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("codes", [130, 3_000, 10**6])
def test_codes_that_chance_brings_are_no_news(codes: int, skew: float) -> None:
    checks = new_values(shops(1, shops=codes, skew=skew), shops(2, shops=codes, skew=skew))
    assert {name: check.verdict for name, check in checks.items()} == {"new_values[categories]": Verdict.PASSED}


def test_a_share_that_is_new_is_judged_by_the_limit() -> None:
    for share, verdict in ((0.05, Verdict.PASSED), (0.2, Verdict.FAILED)):
        opened = shops(3, int(5_000 * share), prefix="new")
        checks = new_values(shops(1, 5_000), pl.concat([shops(2, 5_000 - len(opened)), opened]))
        assert checks.get("new_values[shop]", checks.get("new_values[categories]")).verdict is verdict  # type: ignore[union-attr]


def test_rows_that_are_alike_are_no_evidence_of_many_values() -> None:
    before = shops(1, 600, shops=10)
    now = pl.concat([shops(2, 510, shops=10), pl.DataFrame({"shop": ["pop-up"] * 90, "till": [1] * 90})])
    assert new_values(before, now)["new_values[shop]"].verdict is Verdict.FAILED
    assert new_values(before, now, rows_per_group=30)["new_values[shop]"].verdict is Verdict.INCONCLUSIVE


def test_numbers_are_compared_where_they_are_called_categorical() -> None:
    before, now = shops(1), shops(2).with_columns(pl.col("till").cast(pl.Float64) + 100)
    assert "new_values[till]" not in new_values(before, now)
    assert new_values(before, now, categorical=("till",))["new_values[till]"].verdict is Verdict.FAILED


def test_equal_numbers_of_another_type_are_equal() -> None:
    checks = new_values(shops(1), shops(2).with_columns(pl.col("till").cast(pl.Float64)), categorical=("till",))
    assert checks["new_values[categories]"].verdict is Verdict.PASSED


def test_too_few_rows_and_no_categories_are_said() -> None:
    assert new_values(shops(1, 499), shops(2))["new_values[categories]"].verdict is Verdict.INCONCLUSIVE
    nothing = new_values(shops(1).select("till"), shops(2).select("till"))["new_values[categories]"]
    assert "no column of categories" in nothing.message
