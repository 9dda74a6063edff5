from __future__ import annotations

import math
from collections.abc import Iterable

import pytest

from modelway.components.core.checks import Check, Gate, OnInconclusive, Verdict, inconclusive
from modelway.components.core.config.policy import Policy
from modelway.components.core.measures.comparison import comparison

WARN = OnInconclusive.WARN
POLICY = Policy.model_validate(
    {
        "model": {
            "metrics": {"roc_auc": {"min": 0.6}, "log_loss": {"max": 0.6}, "accuracy": {"min": 0.5, "max": 0.99}},
            "unseen": {"roc_auc": {"min": 0.58}},
            "slices": {"columns": ["region"], "metrics": {"roc_auc": {"min": 0.55}, "log_loss": {"max": 0.7}}},
            "weak_segments": {"metrics": {"roc_auc": {"min": 0.5}}},
            "fairness": {
                "metrics": {"demographic_parity_ratio": {"min": 0.8}},
                "groups": {"accuracy": {"min": 0.4, "difference": 0.1}},
            },
        }
    }
)


def check(
    name: str, observed: float | str | None, threshold: float | str | None = None, verdict: Verdict = Verdict.PASSED
) -> Check:
    return Check(name=name, verdict=verdict, observed=observed, threshold=threshold, message="")


def values(checks: Iterable[Check], measurements: dict[str, float] | None = None) -> dict[str, float]:
    """The numbers of a gate that went through its file, as a gate of another task does."""
    gate = Gate.model_validate_json(Gate(name="any", checks=tuple(checks)).model_dump_json())
    numbers = comparison(gate, POLICY, measurements=measurements or {})
    assert all(type(number) is float and math.isfinite(number) for number in numbers.values())
    return {name: number for name, number in numbers.items() if not name.startswith("checks_")}


def test_checks_are_counted_by_verdict() -> None:
    checks = [check(name, None, verdict=Verdict.FAILED) for name in "ab"] + [check("c", None)]
    numbers = comparison(Gate(name="data", checks=tuple(checks)), POLICY, measurements={})
    assert numbers == {"checks_passed": 1, "checks_failed": 2, "checks_inconclusive": 0}


def test_a_metric_stands_beside_what_the_policy_asks_of_it() -> None:
    checks = [
        check("metric[roc_auc]", 0.7, 0.6),
        check("metric[log_loss]", 0.5, 0.6),
        check("metric[accuracy]", 0.9, 0.5),
    ]
    assert values(checks, {"roc_auc": 0.7000001, "f1": 0.4}) == {
        "roc_auc": 0.7000001,
        "roc_auc_min": 0.6,
        "log_loss": 0.5,
        "log_loss_max": 0.6,
        "accuracy": 0.9,
        "accuracy_min": 0.5,
        "accuracy_max": 0.99,
        "f1": 0.4,
    }


def test_what_was_not_measured_leaves_its_bound() -> None:
    checks = [
        inconclusive("metric[roc_auc]", "one class", rule=WARN),
        inconclusive("latency[p99]", "died", rule=WARN, threshold=9.0),
    ]
    assert values(checks) == {"roc_auc_min": 0.6, "p99_ms_max": 9.0}


@pytest.mark.parametrize(
    ("bounds", "name", "worst"),
    [
        ({"slice[region=north].roc_auc": 0.7, "slice[region=a]b].roc_auc": 0.56}, "worst_slice_roc_auc", 0.56),
        ({"slice[region=north].log_loss": 0.7, "slice[region=south].log_loss": 0.56}, "worst_slice_log_loss", 0.7),
        ({"weak_segment[a > 1].roc_auc": 0.4, "weak_segment[b > 1].roc_auc": 0.3}, "worst_weak_segment_roc_auc", 0.3),
        (
            {"fairness[sex].demographic_parity_ratio": 0.9, "fairness[age].demographic_parity_ratio": 0.85},
            "worst_fairness_demographic_parity_ratio",
            0.85,
        ),
        ({"fairness[sex=f].accuracy": 0.9, "fairness[sex=m].accuracy": 0.85}, "worst_fairness_accuracy", 0.85),
    ],
)
def test_the_worst_part_stands_for_all_on_the_side_that_the_policy_bounds(
    bounds: dict[str, float], name: str, worst: float
) -> None:
    assert values(check(key, observed, 0.5) for key, observed in bounds.items())[name] == worst


def test_the_worst_column_stands_for_all_by_its_own_bound() -> None:
    checks = [
        check("drift[age]", 0.19, 0.2),
        check("drift[income]", 0.3, 0.6),
        check("drift[multivariate]", 0.55, 0.6),
        check("label_drift[late]", 0.01, 0.1),
        check("nulls[age]", 0.0, 0.0),
        check("nulls[income]", 0.1, 0.2),
        check("skew[age]", 0.4, 0.2, Verdict.FAILED),
        check("skew[income]", 0.5, 0.5),
    ]
    assert values(checks) == {
        "worst_drift": 0.19,
        "worst_drift_max": 0.2,
        "multivariate_drift": 0.55,
        "multivariate_drift_max": 0.6,
        "label_drift": 0.01,
        "label_drift_max": 0.1,
        "worst_nulls": 0.1,
        "worst_nulls_max": 0.2,
        "worst_skew": 0.4,
        "worst_skew_max": 0.2,
    }


def test_any_excess_over_nothing_is_worse_than_what_is_within_its_bound() -> None:
    checks = [check("nulls[age]", 0.001, 0.0, Verdict.FAILED), check("nulls[income]", 0.19, 0.2)]
    assert values(checks) == {"worst_nulls": 0.001, "worst_nulls_max": 0.0}


def test_distances_from_the_champion_and_between_groups_have_bounds_of_their_own() -> None:
    checks = [
        check("no_regression[roc_auc]", -0.004, -0.01),
        check("no_regression[region=north].roc_auc", -0.02, -0.01, Verdict.FAILED),
        check("no_regression[region=south].roc_auc", 0.02, -0.01),
        check("slice_gap[region=north].roc_auc", 0.02, 0.1),
        check("fairness[sex].accuracy.difference", 0.04, 0.1),
        check("fairness[sex].accuracy.ratio", 0.9, 0.8),
    ]
    assert values(checks) == {
        "no_regression_roc_auc": -0.004,
        "no_regression_roc_auc_min": -0.01,
        "worst_slice_no_regression_roc_auc": -0.02,
        "worst_slice_no_regression_roc_auc_min": -0.01,
        "worst_slice_gap_roc_auc": 0.02,
        "worst_slice_gap_roc_auc_max": 0.1,
        "worst_fairness_accuracy_difference": 0.04,
        "worst_fairness_accuracy_difference_max": 0.1,
        "worst_fairness_accuracy_ratio": 0.9,
        "worst_fairness_accuracy_ratio_min": 0.8,
    }


def test_too_few_rows_are_no_value_of_what_they_cannot_tell() -> None:
    checks = [
        inconclusive("drift", "few rows", rule=WARN, observed=20, threshold=500),
        inconclusive("drift[multivariate]", "few rows", rule=WARN, observed=20, threshold=500),
        inconclusive("slice[region=north].roc_auc", "few rows", rule=WARN, observed=93, threshold=200),
        inconclusive("fairness[sex=f]", "few rows", rule=WARN, observed=3, threshold=100),
        inconclusive("no_regression[roc_auc]", "no champion yet", rule=WARN, observed=0.7),
        inconclusive("test_rows", "few rows", rule=WARN, observed=3, threshold=100),
    ]
    assert values(checks) == {"worst_slice_roc_auc_min": 0.55}


def test_what_the_contract_allows_none_of_is_summed() -> None:
    checks = [
        check("rows", 1200, 1000),
        check("rows[test]", 300, 1),
        check("minimum[age]", 2, 18, Verdict.FAILED),
        check("categories[region]", 3, "north, south", Verdict.FAILED),
        check("pattern[code]", 0, "[A-Z]+"),
        check("unique[person, year]", 4, "unique", Verdict.FAILED),
        check("type[age]", "Int64", "integer"),
        check("rule[per table]", "3 against 4", "AVG(a) < 4"),
        check("shared_groups[person]", 2, 0, Verdict.FAILED),
    ]
    assert values(checks) == {
        "rows": 1200,
        "rows_min": 1000,
        "bad_values": 5,
        "repeated_keys": 4,
        "worst_shared_groups": 2,
        "worst_shared_groups_max": 0,
    }


def test_latencies_keep_their_names_and_get_what_is_allowed() -> None:
    checks = [
        check("model_hash", "abc", "abc"),
        check("server_starts", 1.5, 60.0),
        check("cold_start", 2.5, 30.0),
        check("latency[p95]", 8.0, 20.0),
        check("throughput", 400.0, 100.0),
        check("errors", 0, 0),
        check("malformed[null]", 500, "4xx", Verdict.FAILED),
    ]
    assert values(checks, {"p50_ms": 4.0, "p95_ms": 8.001}) == {
        "ready_seconds": 1.5,
        "ready_seconds_max": 60.0,
        "cold_start_seconds": 2.5,
        "cold_start_seconds_max": 30.0,
        "p50_ms": 4.0,
        "p95_ms": 8.001,
        "p95_ms_max": 20.0,
        "requests_per_second": 400.0,
        "requests_per_second_min": 100.0,
        "failed_requests": 0.0,
        "failed_requests_max": 0.0,
    }


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_left_out(number: float) -> None:
    checks = [
        check("drift[age]", number, 0.2),
        check("nulls[age]", 0.1, number),
        check("metric[roc_auc]", number, number),
    ]
    numbers = comparison(Gate(name="data", checks=tuple(checks)), POLICY, measurements={"r2": number})
    assert {name for name in numbers if not name.startswith("checks_")} == {"worst_drift_max", "roc_auc_min"}


def test_ten_thousand_columns_have_the_names_of_two() -> None:
    kinds = ("nulls", "minimum", "maximum", "drift", "skew", "leakage", "rule", "type", "slice", "fairness")

    def wide(columns: int) -> list[Check]:
        return [
            check(f"{kind}[column {number}]{'.roc_auc' if kind == 'slice' else ''}", number / columns, 0.5)
            for kind in kinds
            for number in range(columns)
        ]

    assert list(values(wide(10_000))) == list(values(wide(2)))
    assert len(values(wide(2))) < 20
