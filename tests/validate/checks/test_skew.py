from __future__ import annotations

import numpy as np
import polars as pl
from drift_tables import policy

from modelway.components.core.checks import Verdict
from modelway.components.validate.checks.skew import skew_checks
from modelway.components.validate.distributions import measure, measure_like


def test_skew_compares_what_is_served_with_what_is_trained_on() -> None:
    dice = np.random.default_rng(7)
    train = measure(pl.DataFrame({"x": dice.normal(size=3000), "y": dice.normal(size=3000)}), ["x", "y"], data_hash="")
    serving = pl.DataFrame({"x": dice.normal(size=600) * 100, "y": dice.normal(size=600)})
    checks = {
        check.name: check for check in skew_checks(measure_like(serving, train, data_hash=""), train, policy=policy())
    }
    assert {name: check.verdict for name, check in checks.items()} == {
        "skew[x]": Verdict.FAILED,
        "skew[y]": Verdict.PASSED,
    }
    assert "600 rows of the serving data against the 3,000 trained on" in checks["skew[x]"].message
    (row_check,) = skew_checks(measure_like(serving.head(499), train, data_hash=""), train, policy=policy())
    assert (row_check.name, row_check.verdict, row_check.observed, row_check.threshold) == (
        "skew",
        Verdict.INCONCLUSIVE,
        499,
        500,
    )
