from __future__ import annotations

from typing import Any

import fairlearn.metrics
import numpy as np
import polars as pl
import pytest
import sklearn.metrics
from group_predictions import MEASURES, binary, fairness, limits_of

from modelway.components.core.checks import Verdict
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("sizes", [{"F": 500, "M": 300}, {"F": 150, "M": 400, "X": 260}])
def test_values_are_those_of_fairlearn(measure: str, sizes: dict[str, int]) -> None:
    predictions, groups = binary(sizes, {"F": 0.1})
    theirs = getattr(fairlearn.metrics, measure)(predictions.truth, predictions.predicted, sensitive_features=groups)
    for confidence in (0.95, None):
        check = fairness(predictions, groups, confidence, metrics=limits_of(measure))[f"[sex].{measure}"]
        assert check.observed == pytest.approx(theirs, abs=1e-6)
        assert (check.interval is None) is (confidence is None)
        assert check.interval is None or check.interval[0] < theirs < check.interval[1]


def test_intersections_are_those_of_fairlearn() -> None:
    predictions, groups = binary({"F": 700, "M": 600}, {"F": 0.1})
    region = np.random.default_rng(1).choice(["north", "south"], len(groups))
    checks = fairness(
        predictions,
        groups,
        columns=["sex", "region"],
        more={"region": region},
        intersections=True,
        metrics=limits_of("demographic_parity_difference"),
        groups={"accuracy": {"min": 0.5}},
    )
    theirs = fairlearn.metrics.demographic_parity_difference(
        predictions.truth,
        predictions.predicted,
        sensitive_features=pl.DataFrame({"a": groups, "b": region}).to_pandas(),
    )
    assert checks["[sex \N{MULTIPLICATION SIGN} region].demographic_parity_difference"].observed == pytest.approx(
        theirs, abs=1e-6
    )
    rows = (groups == "M") & (region == "north")
    assert checks["[sex=M \N{MULTIPLICATION SIGN} region=north].accuracy"].observed == pytest.approx(
        np.mean(predictions.truth[rows] == predictions.predicted[rows]), abs=1e-6
    )
    assert {"[sex].demographic_parity_difference", "[region].demographic_parity_difference"} <= set(checks)


@pytest.mark.parametrize("metric", ["accuracy", "recall", "f1", "roc_auc", "log_loss", "brier_score"])
def test_metrics_of_groups_are_those_of_scikit_learn(metric: str) -> None:
    predictions, groups = binary({"F": 500, "M": 300, "X": 2500}, {"F": 0.1})
    checks = fairness(predictions, groups, groups={metric: {"min": 0.0, "difference": 0.2, "ratio": 0.5}})
    names = {"roc_auc": "roc_auc_score", "log_loss": "log_loss", "brier_score": "brier_score_loss"}
    labels = metric not in names
    assert predictions.probabilities is not None
    frame = fairlearn.metrics.MetricFrame(
        metrics=getattr(sklearn.metrics, names.get(metric, f"{metric}_score")),
        y_true=predictions.truth,
        y_pred=predictions.predicted if labels else predictions.probabilities[:, 1],
        sensitive_features=groups,
    )
    for name, value in frame.by_group.items():
        check = checks[f"[sex={name}].{metric}"]
        assert check.observed == pytest.approx(value, abs=1e-6)
        assert check.interval is not None
        assert check.interval[0] < value < check.interval[1]
    assert checks[f"[sex].{metric}.difference"].observed == pytest.approx(frame.difference(), abs=1e-6)
    assert checks[f"[sex].{metric}.ratio"].observed == pytest.approx(frame.ratio(), abs=1e-6)


def test_regression_is_judged_by_its_metrics_in_each_group() -> None:
    random = np.random.default_rng(0)
    truth, wide = random.normal(size=2000), np.repeat([0.1, 0.5], 1000)
    predictions = Predictions(truth, truth + wide * random.normal(size=2000), None, ())
    checks = fairness(
        predictions,
        ["a"] * 1000 + ["b"] * 1000,
        groups={"mean_absolute_error": {"max": 0.2, "difference": 0.1}, "r2": {"min": 0.0}},
    )
    assert checks["[sex=a].mean_absolute_error"].verdict is Verdict.PASSED
    assert checks["[sex=b].mean_absolute_error"].verdict is Verdict.FAILED
    assert checks["[sex].mean_absolute_error.difference"].verdict is Verdict.FAILED
    assert checks["[sex=b].r2"].verdict is Verdict.PASSED


@pytest.mark.parametrize("classes", [("a", "b", "c"), ()])
def test_measures_of_two_classes_are_refused_elsewhere(classes: tuple[str, ...]) -> None:
    numbers = np.arange(300) % 3
    with pytest.raises(ModelwayError, match="binary") as error:
        fairness(Predictions(numbers, numbers, None, classes), numbers % 2, metrics=limits_of("equalized_odds_ratio"))
    assert error.value.key == "model.fairness.metrics.equalized_odds_ratio"
    assert "model.fairness.groups" in error.value.remedy


def test_three_classes_are_judged_by_metrics_that_average() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    groups = np.repeat(["a", "b"], 1000)
    predicted = np.where(random.random(2000) < np.where(groups == "a", 0.9, 0.6), truth, (truth + 1) % 3)
    checks = fairness(
        Predictions(truth, predicted, None, ("x", "y", "z")), groups, groups={"f1_macro": {"min": 0.8, "ratio": 0.9}}
    )
    assert checks["[sex=a].f1_macro"].verdict is Verdict.PASSED
    assert checks["[sex=b].f1_macro"].verdict is Verdict.FAILED
    assert checks["[sex].f1_macro.ratio"].verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("shares", "rows", "verdict"),
    [
        ((0.5, 0.5), 20_000, Verdict.PASSED),
        ((0.5, 0.5), 120, Verdict.INCONCLUSIVE),
        ((0.6, 0.5), 300, Verdict.INCONCLUSIVE),
        ((0.9, 0.4), 300, Verdict.FAILED),
        ((0.65, 0.5), 20_000, Verdict.FAILED),
    ],
)
@pytest.mark.parametrize("measure", MEASURES)
def test_a_verdict_needs_evidence(shares: tuple[float, float], rows: int, verdict: Verdict, measure: str) -> None:
    # Half of each group is positive in truth, and the same share of either half is predicted to be.
    half = [np.arange(rows // 2) < round(share * rows / 2) for share in shares for _ in range(2)]
    truth = np.tile(np.repeat([0, 1], rows // 2), 2)
    predictions = Predictions(truth, np.concatenate(half).astype(np.int64), None, ("no", "yes"))
    check = fairness(predictions, ["F"] * rows + ["M"] * rows, metrics=limits_of(measure))[f"[sex].{measure}"]
    assert check.verdict is verdict
    assert check.blocks is (verdict is Verdict.FAILED)


@pytest.mark.parametrize(("limit", "verdict"), [(0.1, Verdict.PASSED), (0.099, Verdict.FAILED)])
def test_without_intervals_the_point_decides(limit: float, verdict: Verdict) -> None:
    truth, predicted = (
        np.tile([0, 1], 200),
        np.concatenate([np.arange(200) < 120, np.arange(200) < 100]).astype(np.int64),
    )
    predictions = Predictions(truth, predicted, None, ("no", "yes"))
    measure = "demographic_parity_difference"
    checks = fairness(predictions, ["F"] * 200 + ["M"] * 200, confidence=None, metrics=limits_of(measure, limit=limit))
    assert checks[f"[sex].{measure}"].verdict is verdict


def test_a_failure_names_the_groups_and_a_remedy() -> None:
    predictions, groups = binary({"F": 2000, "M": 2000, "X": 20}, {"F": 0.3})
    check = fairness(predictions, groups, metrics=limits_of(MEASURES[0]))[f"[sex].{MEASURES[0]}"]
    assert check.verdict is Verdict.FAILED
    for text in (
        "selection rates",
        "of sex=M",
        "of sex=F",
        "4,000 rows",
        "left out: sex=X (20 rows)",
        "fairlearn",
        "at most 0.1",
    ):
        assert text in check.message


@pytest.mark.parametrize("limit", [0.05, 0.1])
def test_equal_groups_do_not_fail_however_many_they_are(limit: float) -> None:
    failed, above = 0, 0
    for seed in range(10):
        predictions, groups = binary({f"g{number}": 120 for number in range(12)}, seed=seed)
        policy: dict[str, Any] = {"metrics": limits_of(MEASURES[0], limit=limit)}
        failed += fairness(predictions, groups, **policy)[f"[sex].{MEASURES[0]}"].verdict is Verdict.FAILED
        above += fairness(predictions, groups, None, **policy)[f"[sex].{MEASURES[0]}"].verdict is Verdict.FAILED
    assert failed == 0
    assert above >= 7  # by the point alone, chance makes nearly each of them unfair


@pytest.mark.parametrize(("rule", "blocks"), [("warn", False), ("block", True)])
def test_a_group_too_small_is_inconclusive_and_left_out(rule: str, blocks: bool) -> None:
    predictions, groups = binary({"F": 500, "M": 500, "X": 99}, {"X": 0.5})
    checks = fairness(
        predictions,
        groups,
        metrics=limits_of("demographic_parity_difference", limit=0.9),
        groups={"accuracy": {"min": 0.1, "difference": 0.9}},
        on_inconclusive=rule,
    )
    small = checks["[sex=X]"]
    assert (small.verdict, small.observed, small.threshold) == (Verdict.INCONCLUSIVE, 99, 100)
    assert small.blocks is blocks
    assert "[sex=X].accuracy" not in checks
    comparison = groups != "X"
    assert checks["[sex].demographic_parity_difference"].observed == pytest.approx(
        fairlearn.metrics.demographic_parity_difference(
            predictions.truth[comparison], predictions.predicted[comparison], sensitive_features=groups[comparison]
        ),
        abs=1e-6,
    )
    for name in ("[sex].demographic_parity_difference", "[sex].accuracy.difference"):
        assert "left out: sex=X (99 rows)" in checks[name].message


@pytest.mark.parametrize(
    ("measure", "truth", "undefined"),
    [
        ("equal_opportunity_difference", 0, True),
        ("equalized_odds_ratio", 0, True),
        ("equalized_odds_difference", 1, True),
        ("equal_opportunity_ratio", 1, False),
        ("demographic_parity_difference", 0, False),
    ],
)
def test_a_group_without_the_class_that_a_measure_needs_is_inconclusive(
    measure: str, truth: int, undefined: bool
) -> None:
    predictions, groups = binary({"F": 400, "M": 400, "X": 400})
    predictions.truth[groups == "X"] = truth
    checks = fairness(predictions, groups, metrics=limits_of(measure))
    assert (f"[sex=X].{measure}" in checks) is undefined
    assert ("left out: sex=X (400 rows)" in checks[f"[sex].{measure}"].message) is undefined
    if undefined:
        assert checks[f"[sex=X].{measure}"].verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("metric", "defined"), [("accuracy", True), ("recall", False), ("roc_auc", False)])
def test_a_metric_that_needs_both_classes_is_inconclusive_on_one(metric: str, defined: bool) -> None:
    predictions, groups = binary({"F": 400, "M": 400})
    predictions.truth[groups == "M"] = 0
    checks = fairness(predictions, groups, groups={metric: {"min": 0.01, "difference": 0.99}})
    assert checks["[sex=F]." + metric].verdict is Verdict.PASSED
    assert (checks[f"[sex=M].{metric}"].verdict is Verdict.PASSED) is defined
    assert (checks[f"[sex].{metric}.difference"].verdict is not Verdict.INCONCLUSIVE) is defined


def test_precision_where_nothing_is_predicted_positive_is_not_zero_but_inconclusive() -> None:
    predictions, groups = binary({"F": 400, "M": 400})
    predictions.predicted[groups == "M"] = 0
    check = fairness(predictions, groups, groups={"precision": {"min": 0.1}})["[sex=M].precision"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "not defined" in check.message


@pytest.mark.parametrize("sizes", [{"F": 300}, {"F": 300, "M": 10}, {"F": 10, "M": 10}])
def test_fewer_than_two_groups_cannot_be_compared(sizes: dict[str, int]) -> None:
    predictions, groups = binary(sizes)
    checks = fairness(
        predictions, groups, metrics=limits_of(MEASURES[0]), groups={"accuracy": {"difference": 0.5, "ratio": 0.1}}
    )
    names = [f"[sex].{MEASURES[0]}", "[sex].accuracy.difference", "[sex].accuracy.ratio"]
    assert {checks[name].verdict for name in names} == {Verdict.INCONCLUSIVE}


@pytest.mark.parametrize("measure", [name for name in MEASURES if name.endswith("ratio")])
def test_a_ratio_of_rates_that_are_all_zero_is_inconclusive(measure: str) -> None:
    predictions, groups = binary({"F": 400, "M": 400})
    predictions.predicted[:] = 0
    assert fairness(predictions, groups, metrics=limits_of(measure))[f"[sex].{measure}"].verdict is Verdict.INCONCLUSIVE


def test_a_ratio_of_a_metric_that_may_be_negative_is_inconclusive() -> None:
    predictions, groups = binary({"F": 400, "M": 400})
    check = fairness(predictions, groups, groups={"matthews_corrcoef": {"ratio": 0.5}})["[sex].matthews_corrcoef.ratio"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "difference" in check.message


def test_a_single_row_that_decides_leaves_the_metric_open() -> None:
    truth, predicted = np.zeros(200, dtype=np.int64), np.zeros(200, dtype=np.int64)
    truth[:2], predicted[:1] = 1, 1
    predictions = Predictions(truth, predicted, None, ("no", "yes"))
    check = fairness(predictions, ["F"] * 200, groups={"precision": {"min": 0.5}})["[sex=F].precision"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.interval == (0.0, 1.0)
