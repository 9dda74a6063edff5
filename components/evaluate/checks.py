"""The model gate's checks: thresholds, no regression against the champion, slices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import ModelPolicy, NoRegression, Slices, Threshold
from modelway.components.core.verdict import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.evaluate.metrics import Predictions, higher_is_better, score
from modelway.components.evaluate.slices import Slice


def threshold_checks(scores: Mapping[str, float], rows: int, policy: ModelPolicy) -> list[Check]:
    """A check for each metric that the policy has a threshold on; inconclusive on too small a test split."""
    if rows < policy.minimum_rows:
        message = f"{rows:,} test rows; the policy asks for {policy.minimum_rows:,} to judge a model by"
        return [
            inconclusive("test_rows", message, policy.on_inconclusive, observed=rows, threshold=policy.minimum_rows)
        ]
    checks = []
    for name, threshold in policy.metrics.items():
        if np.isnan(scores[name]):
            message = f"{name} is not defined on the test split; bring rows of every class"
            checks.append(inconclusive(f"metric[{name}]", message, policy.on_inconclusive))
        else:
            checks.append(_compared(f"metric[{name}]", scores[name], threshold, "on the test split"))
    return checks


def regression_check(
    policy: NoRegression,
    candidate: float,
    champion: float | None,
    champion_version: str,
    rule: OnInconclusive,
    trouble: str = "",
) -> Check:
    """Whether the candidate is at most the margin worse than the champion on the same rows.

    Args:
        policy: The metric and the margin.
        candidate: The candidate's score.
        champion: The champion's; None if there is none to compare with.
        champion_version: The champion's registry version; empty if there is no champion.
        rule: What to do where the champion cannot judge these rows.
        trouble: Why there is a champion but no score of it.
    """
    name = f"no_regression[{policy.metric}]"
    if champion is None and not champion_version:
        allowed = policy.first_model == "allow"
        message = "no champion yet: this is the first model, which the policy " + (
            "allows" if allowed else "does not allow; set `model.no_regression.first_model: allow` for the first one"
        )
        first = OnInconclusive.WARN if allowed else OnInconclusive.BLOCK
        return inconclusive(name, message, first, observed=candidate)
    if champion is None:
        message = f"champion version {champion_version} cannot judge these rows: {trouble}"
        return inconclusive(name, message, rule, observed=candidate)
    if np.isnan(candidate) or np.isnan(champion):
        return inconclusive(name, f"{policy.metric} is not defined on the test split; bring rows of every class", rule)
    worse = champion - candidate if higher_is_better(policy.metric) else candidate - champion
    passed = worse <= policy.margin
    difference = "equal" if worse == 0 else f"{abs(worse):.4f} {'worse' if worse > 0 else 'better'}"
    message = (
        f"{policy.metric} {candidate:.4f} against {champion:.4f} of champion version {champion_version}: "
        f"{difference}, margin {policy.margin}"
    )
    return passed_or_failed(name, passed, message, observed=round(0.0 - worse, 6), threshold=-policy.margin)


def slice_checks(predictions: Predictions, slices: Iterable[Slice], policy: Slices) -> list[Check]:
    """A check for each slice and metric; inconclusive for a slice that is small or has one class only."""
    checks = []
    for part in slices:
        rows = len(part.rows)
        for metric, threshold in policy.metrics.items():
            name = f"slice[{part.name}].{metric}"
            if rows < policy.minimum_rows:
                message = f"{rows:,} rows; the policy asks for {policy.minimum_rows:,} to judge a slice by"
                checks.append(
                    inconclusive(name, message, policy.on_inconclusive, observed=rows, threshold=policy.minimum_rows)
                )
                continue
            if predictions.classes and len(np.unique(predictions.truth[part.rows])) < 2:
                message = f"these {rows:,} rows hold one class only, which tells nothing about {metric}"
                checks.append(inconclusive(name, message, policy.on_inconclusive, observed=rows))
                continue
            try:
                observed = score(metric, predictions.take(part.rows))
            except ModelwayError as error:
                checks.append(inconclusive(name, error.message, policy.on_inconclusive, observed=rows))
                continue
            if np.isnan(observed):
                message = f"{metric} is not defined on these {rows:,} rows"
                checks.append(inconclusive(name, message, policy.on_inconclusive, observed=rows))
                continue
            checks.append(_compared(name, observed, threshold, f"on {rows:,} rows"))
    return checks


def _compared(name: str, observed: float, threshold: Threshold, where: str) -> Check:
    low, high = threshold.min, threshold.max
    passed = (low is None or observed >= low) and (high is None or observed <= high)
    asked = " and ".join(
        text
        for text in (f"at least {low}" if low is not None else "", f"at most {high}" if high is not None else "")
        if text
    )
    bound = low if low is not None and (high is None or observed < low or observed <= high) else high
    message = f"{observed:.4f} {where}; the policy asks for {asked}"
    return passed_or_failed(name, passed, message, observed=round(observed, 6), threshold=bound)
