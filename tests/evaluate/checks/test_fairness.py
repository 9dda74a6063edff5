from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fairlearn.metrics
import numpy as np
import polars as pl
import pytest
import sklearn.metrics

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.model_policy import Fairness
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.fairness import fairness_checks
from modelway.components.evaluate.statistics.group_estimates import GroupEstimate, estimate, spread_interval

MEASURES = [
    f"{measure}_{kind}"
    for measure in ("demographic_parity", "equalized_odds", "equal_opportunity")
    for kind in ("difference", "ratio")
]


def binary(sizes: dict[Any, int], tilt: dict[Any, float] | None = None, seed: int = 0) -> tuple[Predictions, Any]:
    """Predictions of groups of some sizes, whose scores are tilted, and the groups of the rows in random order."""
    random = np.random.default_rng(seed)
    rows = random.permutation(sum(sizes.values()))
    group = np.repeat(np.array(list(sizes), dtype=object), list(sizes.values()))[rows]
    truth = (random.random(len(group)) < 0.4).astype(np.int64)
    shift = np.array([(tilt or {}).get(name, 0.0) for name in group])
    positive = np.clip(0.35 + 0.3 * truth + shift + random.normal(0, 0.2, len(group)), 0.01, 0.99)
    predicted = (positive > 0.5).astype(np.int64)
    return Predictions(truth, predicted, np.stack([1 - positive, positive], axis=1), ("no", "yes")), group


def fairness(
    predictions: Predictions,
    members: Sequence[Any],
    /,
    confidence: float | None = 0.95,
    columns: Sequence[str] = ("sex",),
    more: dict[str, Any] | None = None,
    **policy: Any,
) -> dict[str, Check]:
    """The checks of groups in a column `sex`, by what is in their names after `fairness`."""
    table = pl.DataFrame({"sex": pl.Series(list(members), strict=False), **(more or {})})
    checks = fairness_checks(
        predictions, table, columns=columns, policy=Fairness.model_validate(policy), confidence=confidence
    )
    assert len({check.name for check in checks}) == len(checks)
    return {check.name.removeprefix("fairness"): check for check in checks}


def limits_of(*measures: str, limit: float = 0.1, ratio: float = 0.8) -> dict[str, dict[str, float]]:
    return {measure: {"min": ratio} if measure.endswith("ratio") else {"max": limit} for measure in measures}


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


@pytest.mark.parametrize(
    ("shares", "rows"),
    [
        ([0.3, 0.5], [300, 300]),
        ([0.3, 0.3], [100, 1000]),
        ([0.05, 0.05, 0.1], [100, 300, 500]),
        ([0.4] * 20, [100] * 20),
        ([0.02, 0.02], [60, 60]),
    ],
)
def test_intervals_hold_what_is_true_as_often_as_they_say(shares: list[float], rows: list[int]) -> None:
    random, trials = np.random.default_rng(5), 1000
    true, sizes = np.array(shares), np.array(rows)
    hits = {"difference": 0, "ratio": 0}
    for _ in range(trials):
        share = (random.binomial(sizes, true) + 1) / (sizes + 2)
        errors = np.sqrt(share * (1 - share) / (sizes + 2))
        for kind, value in (("difference", np.ptp(true)), ("ratio", true.min() / true.max())):
            low, high = spread_interval(kind, share, errors=errors, confidence=0.95)
            hits[kind] += low <= value <= high
    assert min(hits.values()) / trials > 0.93


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


def test_many_small_groups_are_one_check() -> None:
    predictions, groups = binary({f"g{number:02}": 10 for number in range(25)} | {"a": 300, "b": 300})
    checks = fairness(predictions, groups, metrics=limits_of(MEASURES[0], limit=0.9))
    assert list(checks) == ["[sex].small_groups", f"[sex].{MEASURES[0]}"]
    assert "25 groups" in checks["[sex].small_groups"].message
    assert checks["[sex].small_groups"].verdict is Verdict.INCONCLUSIVE


def test_missing_values_are_a_group() -> None:
    predictions, groups = binary({"F": 200, None: 150})
    checks = fairness(predictions, groups, groups={"accuracy": {"min": 0.1}})
    assert set(checks) == {"[sex=F].accuracy", "[sex=missing].accuracy"}


def test_a_number_with_many_values_makes_ranges() -> None:
    predictions, _ = binary({"all": 1000})
    age = np.random.default_rng(2).integers(18, 90, 1000)
    checks = fairness(
        predictions, ["all"] * 1000, columns=["age"], more={"age": age}, groups={"accuracy": {"min": 0.1}}
    )
    assert len(checks) == 4
    assert all("age" in name and ("<" in name or ">" in name) for name in checks)


@pytest.mark.parametrize(
    ("columns", "says", "remedy"),
    [
        (["name"], "too many to make groups", "bin it"),
        (["gender"], "not in the data", "sex"),
        ([], "names no column", "sensitive"),
    ],
)
def test_columns_that_make_no_groups_are_refused(columns: list[str], says: str, remedy: str) -> None:
    predictions, groups = binary({"F": 200, "M": 200})
    names = [f"person {number}" for number in range(400)]
    with pytest.raises(ModelwayError, match=says) as error:
        fairness(predictions, groups, columns=columns, more={"name": names}, metrics=limits_of(MEASURES[0]))
    assert error.value.key == "model.fairness.columns"
    assert remedy in error.value.remedy


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


@pytest.mark.parametrize("rows", [300, 10_000])
@pytest.mark.parametrize("metric", ["accuracy", "recall", "log_loss"])
def test_standard_errors_of_means_are_the_known_ones(metric: str, rows: int) -> None:
    predictions, _ = binary({"all": rows})
    group = estimate(metric, predictions, with_error=True)
    assert isinstance(group, GroupEstimate)
    assert predictions.probabilities is not None
    right = predictions.truth == predictions.predicted
    losses = {
        "accuracy": right.astype(np.float64),
        "recall": right[predictions.truth == 1].astype(np.float64),
        "log_loss": -np.log(predictions.probabilities[np.arange(rows), predictions.truth]),
    }[metric]
    expected = losses.std() / np.sqrt(len(losses))
    # Blocks and samples of the rows make the error itself uncertain; leaving out one row does not.
    tolerance = 0.5 if metric == "log_loss" else 0.1 if rows > 2000 else 0.01
    assert group.error == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("metric", ["roc_auc", "f1"])
def test_standard_errors_are_near_the_spread_over_fresh_samples(metric: str) -> None:
    values, errors = [], []
    for seed in range(20):
        predictions, _ = binary({"all": 400}, seed=seed)
        values.append(score(metric, predictions))
        group = estimate(metric, predictions, with_error=True)
        assert isinstance(group, GroupEstimate)
        errors.append(group.error)
    assert np.mean(errors) == pytest.approx(np.std(values, ddof=1), rel=0.4)


@pytest.mark.parametrize("metric", ["accuracy", "recall", "f1", "roc_auc"])
@pytest.mark.parametrize("right", [True, False])
def test_a_perfect_group_is_not_certain(metric: str, right: bool) -> None:
    truth = np.arange(120) % 2
    predicted = truth if right else 1 - truth
    probabilities = np.stack([1.0 - predicted, predicted.astype(np.float64)], axis=1)
    group = estimate(metric, Predictions(truth, predicted, probabilities, ("no", "yes")), with_error=True)
    assert isinstance(group, GroupEstimate)
    low, high = group.interval(0.95)
    assert 0.03 < high - low < 0.3
    assert (high if right else low) == group.value == float(right)


def test_a_single_row_that_decides_leaves_the_metric_open() -> None:
    truth, predicted = np.zeros(200, dtype=np.int64), np.zeros(200, dtype=np.int64)
    truth[:2], predicted[:1] = 1, 1
    predictions = Predictions(truth, predicted, None, ("no", "yes"))
    check = fairness(predictions, ["F"] * 200, groups={"precision": {"min": 0.5}})["[sex=F].precision"]
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.interval == (0.0, 1.0)
