from __future__ import annotations

import polars as pl
import pytest
from leakage_tables import leakage, table, verdicts, with_feature

from modelway.components.core.checks import Verdict


@pytest.mark.parametrize(
    ("kind", "copy"),
    [
        ("numeric", pl.col("ill")),
        ("numeric", pl.col("ill") * -3.5 + 1),
        ("categorical", pl.col("ill").cast(pl.String)),
        ("categorical", pl.when(pl.col("ill") == 1).then(pl.lit("yes")).otherwise(pl.lit("no"))),
        ("categorical", pl.when(pl.col("ill") == 1).then(pl.lit("only where ill"))),
    ],
)
def test_a_feature_that_encodes_the_label_is_caught(kind: str, copy: pl.Expr) -> None:
    checks = leakage(table(1).with_columns(copy=copy), features=with_feature("copy", kind))
    assert checks["duplicate[copy]"].verdict is Verdict.FAILED


@pytest.mark.parametrize("copy", [pl.col("cost"), pl.col("cost").log(), -pl.col("cost")])
def test_a_feature_that_rises_or_falls_strictly_with_the_label_is_caught(copy: pl.Expr) -> None:
    rows = table(1).with_columns(copy=copy)
    checks = leakage(rows, features=with_feature("copy", "numeric"), task="regression", label="cost")
    assert checks["duplicate[copy]"].verdict is Verdict.FAILED


def test_features_that_are_the_same_are_inconclusive() -> None:
    rows = table(1).with_columns(again=pl.col("visits").cast(pl.Float64))
    checks = leakage(rows, features=with_feature("again", "numeric"))
    assert verdicts(checks) == {"duplicate[again]": Verdict.INCONCLUSIVE}
    assert "'visits'" in checks["duplicate[again]"].message
