"""No regression: whether a model is not worse than the champion by more than a margin, on the same rows.

A test of non-inferiority on paired predictions. The difference `d` (positive: the candidate is better) has one-sided
confidence bounds, each at the policy's level: passed where the lower one is at least the negative margin, failed where
the upper one is below it, and inconclusive between, where the test split cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.model_policy import ModelPolicy, NoRegression
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.slices import obstacle
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.intervals import Estimate, Part, compare
from modelway.components.evaluate.statistics.resampling import Sampling

POWER = 0.8


@dataclass(frozen=True)
class Rival:
    """The champion as judged on the candidate's test rows.

    Attributes:
        version: Its registry version; empty if there is no champion.
        predictions: What it said; None if there is none or it cannot judge these rows.
        trouble: Why there is a champion but no predictions of it.
    """

    version: str = ""
    predictions: Predictions | None = None
    trouble: str = ""


def regression_checks(
    candidate: Predictions, champion: Rival, *, slices: Sequence[Slice], sampling: Sampling, policy: ModelPolicy
) -> list[Check]:
    """A check ``no_regression[metric]`` on all rows, and one of each slice where the policy asks for it.

    Args:
        candidate: What the candidate said about the test rows.
        champion: What the champion said about them.
        slices: The parts to compare too.
        sampling: How the rows were drawn.
        policy: What is asked; nothing without its section `no_regression`.
    """
    asked = policy.no_regression
    if asked is None:
        return []
    rule = asked.on_inconclusive or policy.on_inconclusive
    name = f"no_regression[{asked.metric}]"
    if champion.predictions is None:
        observed = score(asked.metric, candidate)
        return [
            _incomparable(name, None if np.isnan(observed) else observed, champion=champion, asked=asked, rule=rule)
        ]
    checks = [_compared(name, candidate, champion=champion, part=None, sampling=sampling, asked=asked, rule=rule)]
    part_rule = asked.on_inconclusive or (policy.slices.on_inconclusive if policy.slices else rule)
    for part in slices if asked.slices else ():
        name = f"no_regression[{part.name}].{asked.metric}"
        reason = obstacle(
            candidate, part.rows, minimum=policy.slices.minimum_rows if policy.slices else policy.minimum_rows
        )
        if reason:
            checks.append(inconclusive(name, reason, rule=part_rule, observed=len(part.rows)))
        else:
            checks.append(
                _compared(name, candidate, champion=champion, part=part, sampling=sampling, asked=asked, rule=part_rule)
            )
    return checks


def detectable(error: float, confidence: float) -> float:
    """The smallest true loss that such a split tells from none with 80 % power, one-sided.

    Args:
        error: The standard error of the difference.
        confidence: The level of one bound.
    """
    from scipy.special import ndtri

    return float((ndtri(confidence) + ndtri(POWER)) * error)


def _incomparable(
    name: str, observed: float | None, *, champion: Rival, asked: NoRegression, rule: OnInconclusive
) -> Check:
    if champion.version:
        message = (
            f"champion version {champion.version} cannot judge these rows: {champion.trouble}; bring what it needs "
            "back, or waive this check to replace it"
        )
        return inconclusive(name, message, rule=rule, observed=observed)
    allowed = asked.first_model == "allow"
    message = "no champion yet: this is the first model, which the policy " + (
        "allows" if allowed else "does not allow; set `model.no_regression.first_model: allow` for the first one"
    )
    return inconclusive(name, message, rule=OnInconclusive.WARN if allowed else OnInconclusive.BLOCK, observed=observed)


def _compared(
    name: str,
    candidate: Predictions,
    *,
    champion: Rival,
    part: Slice | None,
    sampling: Sampling,
    asked: NoRegression,
    rule: OnInconclusive,
) -> Check:
    assert champion.predictions is not None  # noqa: S101 - the caller has looked
    rows = None if part is None else part.rows
    ours, theirs = Part(candidate, rows), Part(champion.predictions, rows)
    count = sampling.rows if rows is None else len(rows)
    try:
        found = compare(asked.metric, ours, second=theirs, sampling=sampling, one_sided=True)
    except ModelwayError as error:
        return inconclusive(name, error.message, rule=rule)
    if np.isnan(found.value):
        return inconclusive(
            name, f"{asked.metric} is not defined on {count:,} rows; bring rows of every class", rule=rule
        )
    least = Threshold(min=0.0 - asked.margin)
    interval = found.interval if found.interval is not None else (found.value, found.value)
    verdict = least.judge(interval)
    size = "equal" if found.value == 0 else f"{abs(found.value):.4f} {'worse' if found.value < 0 else 'better'}"
    message = (
        f"{asked.metric} {found.first:.4f} against {found.second:.4f} of champion version {champion.version} on "
        f"{count:,} rows: {size}{_described(found, sampling)}, margin {asked.margin:g}"
    )
    if verdict is Verdict.FAILED:
        message += "; find what made it worse, or keep the champion"
    elif verdict is Verdict.INCONCLUSIVE:
        message += "; these rows cannot tell: bring more of them, or a wider margin"
    return judged(
        name,
        verdict,
        message=message,
        rule=rule,
        observed=round(found.value, 6) + 0.0,
        interval=None if found.interval is None else (round(interval[0], 6) + 0.0, round(interval[1], 6) + 0.0),
        threshold=0.0 - asked.margin,
    )


def _described(found: Estimate, sampling: Sampling) -> str:
    if found.interval is None or sampling.confidence is None:
        return ""
    level = f"{sampling.confidence:.0%}"
    shown = f" (the difference is {found.interval[0]:+.4f} to {found.interval[1]:+.4f}, each bound at {level}"
    if found.error:
        seen = detectable(found.error, sampling.confidence)
        shown += f"; a true loss of {seen:.4f} would be seen on such a split with {POWER:.0%} power"
    return shown + ")"
