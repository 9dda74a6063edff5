from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from prediction_samples import sample_of_rows

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import Slices
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.slices import slice_checks
from modelway.components.evaluate.slices import Slice

TRUTH = np.array([0, 1] * 100 + [1] * 20)


PREDICTED = np.array([0, 1] * 60 + [1, 0] * 40 + [1] * 20)


PREDICTIONS = Predictions(TRUTH, PREDICTED, np.eye(2)[PREDICTED] * 0.8 + 0.1, ("no", "yes"))


PARTS = {
    "good": Slice("region=north", np.arange(120)),
    "bad": Slice("region=south", np.arange(120, 200)),
    "one class": Slice("region=west", np.arange(200, 220)),
}


def sliced(part: str, rule: str = "warn", rows: int = 2, gaps: dict[str, float] | None = None, **metrics: Any) -> Any:
    section = Slices.model_validate(
        {"columns": ["x"], "metrics": metrics, "minimum_rows": rows, "on_inconclusive": rule, "max_gap": gaps or {}}
    )
    return slice_checks(sample_of_rows(PREDICTIONS), [PARTS[part]], policy=section)


@pytest.mark.parametrize(("part", "passes", "observed"), [("good", True, 1.0), ("bad", False, 0.0)])
def test_slices_are_judged_on_their_own_rows(part: str, passes: bool, observed: float) -> None:
    accuracy, auc = sliced(part, accuracy={"min": 0.5}, roc_auc={"min": 0.5})
    assert accuracy.name == f"slice[{PARTS[part].name}].accuracy"
    assert auc.name == f"slice[{PARTS[part].name}].roc_auc"
    for check in (accuracy, auc):
        assert check.verdict is (Verdict.PASSED if passes else Verdict.FAILED)
        assert check.observed == observed
        assert check.interval is not None
        assert f"on {len(PARTS[part].rows)} rows" in check.message


@pytest.mark.parametrize(
    ("part", "limit", "verdict"),
    [("good", 0.1, Verdict.PASSED), ("bad", 0.3, Verdict.FAILED), ("bad", 0.65, Verdict.INCONCLUSIVE)],
)
def test_a_slice_may_be_worse_than_all_rows_by_so_much(part: str, limit: float, verdict: Verdict) -> None:
    accuracy, loss = sliced(part, gaps={"accuracy": limit, "log_loss": 3 * limit}, f1={"min": 0})[1:]
    expected = score("accuracy", PREDICTIONS) - (1.0 if part == "good" else 0.0)
    assert accuracy.name == f"slice_gap[{PARTS[part].name}].accuracy"
    assert accuracy.verdict is verdict
    assert accuracy.observed == pytest.approx(expected, abs=1e-6)
    assert (accuracy.observed > 0) is (loss.observed > 0) is (part == "bad")
    assert "worse in accuracy" in accuracy.message


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "f1", "recall", "average_precision", "accuracy"])
def test_a_slice_with_one_class_is_open(metric: str, rule: str, blocks: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checks = sliced("one class", rule, gaps={metric: 0.01}, **{metric: {"min": 0.99}})
    for check in checks:
        assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
        assert "one class only" in check.message
    assert len(checks) == 2


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
@pytest.mark.parametrize(("least", "open_"), [(120, False), (121, True)])
def test_a_small_slice_is_open(rule: str, blocks: bool, least: int, open_: bool) -> None:
    for check in sliced("good", rule, least, gaps={"accuracy": 0.5}, accuracy={"min": 0.5}):
        assert check.verdict is (Verdict.INCONCLUSIVE if open_ else Verdict.PASSED)
        assert check.blocks is (blocks and open_)
        if open_:
            assert (check.observed, check.threshold) == (120, 121)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_a_metric_that_cannot_be_computed_on_a_slice_is_open() -> None:
    truth = np.array([0, 1, 0, 1, 2])
    predictions = Predictions(truth, truth, np.eye(3)[truth], ("a", "b", "c"))
    section = Slices.model_validate({"columns": ["x"], "metrics": {"roc_auc_ovr": {"min": 0.5}}, "minimum_rows": 2})
    (check,) = slice_checks(sample_of_rows(predictions), [Slice("x=1", np.arange(4))], policy=section)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "none of 4 rows is of 'c'" in check.message


def test_slices_of_numbers() -> None:
    predictions = Predictions(np.arange(10.0), np.arange(10.0) + 1, None, ())
    section = Slices.model_validate(
        {"columns": ["x"], "metrics": {"mean_absolute_error": {"max": 1}}, "minimum_rows": 2}
    )
    (check,) = slice_checks(sample_of_rows(predictions, confidence=None), [Slice("x=1", np.arange(4))], policy=section)
    assert (check.verdict, check.observed) == (Verdict.PASSED, 1.0)
