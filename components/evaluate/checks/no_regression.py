"""No regression: whether a model is not worse than the champion by more than a margin, on the same rows.

A test of non-inferiority on paired predictions. The difference `d` (positive: the candidate is better) has one-sided
confidence bounds, each at the policy's level: passed where the lower one is at least the negative margin, failed where
the upper one is below it, and inconclusive in between, where the test rows do not suffice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.model_policy import ModelPolicy, NoRegression
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.evaluate.class_alignment import align_classes
from modelway.components.evaluate.slices import Slice, why_not_measurable
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.resampling import Resampling

POWER = 0.8


@dataclass(frozen=True)
class ChampionPredictions:
    """The champion's predictions of the candidate's test rows.

    Attributes:
        version: Its registry version; empty if there is no champion.
        predictions: None if there is no champion, or it cannot predict these rows.
        error: Why it cannot predict these rows.
        split: How its rows were split, if it has learned from some of these test rows, which favours it; else empty.
    """

    version: str = ""
    predictions: Predictions | None = None
    error: str = ""
    split: str = ""


def regression_checks(
    candidate: Predictions,
    champion: ChampionPredictions,
    *,
    slices: Sequence[Slice],
    resampling: Resampling,
    policy: ModelPolicy,
) -> list[Check]:
    """A check ``no_regression[metric]`` on all rows, and one for each slice if the policy enables it.

    Args:
        candidate: The candidate's predictions of the test rows.
        champion: The champion's.
        slices: The slices to compare too.
        resampling: How the rows were drawn.
        policy: The policy's `model` section; without `no_regression` there are no checks.
    """
    section = policy.no_regression
    if section is None:
        return []
    rule = section.on_inconclusive or policy.on_inconclusive
    name = f"no_regression[{section.metric}]"
    if champion.predictions is None:
        observed = score(section.metric, candidate)
        value = None if np.isnan(observed) else observed
        return [_incomparable(name, value, champion=champion, section=section, rule=rule)]
    comparison_check = partial(
        _comparison_check, candidate=candidate, champion=champion, resampling=resampling, section=section
    )
    checks = [comparison_check(name, rows=None, rule=rule)]
    part_rule = section.on_inconclusive or (policy.slices.on_inconclusive if policy.slices else rule)
    for part in slices if section.slices else ():
        name = f"no_regression[{part.name}].{section.metric}"
        reason = why_not_measurable(candidate, part.rows, minimum_rows=(policy.slices or policy).minimum_rows)
        if reason:
            checks.append(inconclusive(name, reason, rule=part_rule, observed=len(part.rows)))
        else:
            checks.append(comparison_check(name, rows=part.rows, rule=part_rule))
    return checks


def detectable(error: float, confidence: float) -> float:
    """The smallest true loss that such a split detects with 80 % power, one-sided.

    Args:
        error: The standard error of the difference.
        confidence: The level of one bound.
    """
    from scipy.special import ndtri

    return float((ndtri(confidence) + ndtri(POWER)) * error)


def _incomparable(
    name: str, observed: float | None, *, champion: ChampionPredictions, section: NoRegression, rule: OnInconclusive
) -> Check:
    if champion.version:
        message = (
            f"champion version {champion.version} cannot predict these rows: {champion.error}; restore what it needs, "
            "or waive this check to replace it"
        )
        return inconclusive(name, message, rule=rule, observed=observed)
    message, rule = "no champion yet: this is the first model, which the policy allows", OnInconclusive.WARN
    if section.first_model != "allow":
        message = "no champion yet: this is the first model, which the policy does not allow; "
        message, rule = f"{message}set `model.no_regression.first_model: allow` for it", OnInconclusive.BLOCK
    return inconclusive(name, message, rule=rule, observed=observed)


def _comparison_check(
    name: str,
    *,
    candidate: Predictions,
    champion: ChampionPredictions,
    rows: Array | None,
    resampling: Resampling,
    section: NoRegression,
    rule: OnInconclusive,
) -> Check:
    assert champion.predictions is not None  # noqa: S101 - checked by the caller
    alignment = align_classes(candidate, champion.predictions)
    if alignment.rows is not None:
        rows = alignment.rows if rows is None else np.intersect1d(rows, alignment.rows)
    ours, theirs = Subset(alignment.candidate, rows), Subset(alignment.champion, rows)
    count = resampling.rows if rows is None else len(rows)
    if not count:
        return inconclusive(name, f"no row can be compared: {alignment.note}", rule=rule)
    try:
        comparison = compare(section.metric, ours, second=theirs, resampling=resampling, one_sided=True)
    except ModelwayError as error:
        note = f"; {alignment.note}" if alignment.note else ""
        return inconclusive(name, error.message + note, rule=rule)
    if np.isnan(comparison.value):
        reason = comparison.reason or f"{section.metric} is not defined on {count:,} rows; bring rows of every class"
        return inconclusive(name, reason, rule=rule)
    threshold = Threshold(min=0.0 - section.margin)
    interval = comparison.interval if comparison.interval is not None else (comparison.value, comparison.value)
    verdict = Verdict.INCONCLUSIVE if comparison.reason else threshold.judge(interval)
    is_favoured = bool(champion.split) and verdict is not Verdict.PASSED
    verdict = Verdict.INCONCLUSIVE if is_favoured else verdict
    direction = "worse" if comparison.value < 0 else "better"
    size = f"{abs(comparison.value):.4f} {direction}" if comparison.value else "equal"
    if comparison.is_identity:
        size = "equal, since both give the same predictions on every row"
    message = (
        f"{section.metric} {comparison.first:.4f} against {comparison.second:.4f} of champion version "
        f"{champion.version} on {count:,} rows: {size}{_interval_text(comparison)}, "
        f"margin {section.margin:g}"
    )
    if alignment.note:
        message += f"; {alignment.note}"
    if champion.split:
        message += f"; its rows were split {champion.split}: it has learned from some of these, which favours it"
    if is_favoured:
        message += (
            ", so that nothing is certain; split as before, or judge by the other checks and waive this one for the "
            "first model that is split anew"
        )
    elif comparison.reason:
        message += f"; nothing is certain: {comparison.reason}; bring more rows"
    elif verdict is Verdict.FAILED:
        message += "; find what made it worse, or keep the champion"
    elif verdict is Verdict.INCONCLUSIVE:
        message += "; too few rows to decide: bring more, or widen the margin"
    return judged(
        name,
        verdict,
        message=message,
        rule=rule,
        observed=round(comparison.value, 6) + 0.0,
        interval=None if comparison.interval is None else (round(interval[0], 6) + 0.0, round(interval[1], 6) + 0.0),
        threshold=0.0 - section.margin,
    )


def _interval_text(comparison: Estimate) -> str:
    if comparison.interval is None or comparison.confidence is None:
        return ""
    (low, high), level = comparison.interval, comparison.confidence
    text = f" (the difference is {low:+.4f} to {high:+.4f}, each bound at {level:.0%}"
    if comparison.error:
        loss = detectable(comparison.error, level)
        text += f"; a true loss of {loss:.4f} would be detected on such a split with {POWER:.0%} power"
    return text + ")"
