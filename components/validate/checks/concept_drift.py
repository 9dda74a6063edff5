"""Concept drift: whether the champion's predictions still fit the labels."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from modelway.components.core.audit.opened_version import OpenedVersion
from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged
from modelway.components.core.config.data_policy import ConceptDrift
from modelway.components.core.config.project import Project
from modelway.components.core.config.thresholds import Interval, Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.measures.metrics import Array, Predictions, score
from modelway.components.core.measures.predicting import predict_table
from modelway.components.core.storage.models import load_model
from modelway.components.validate.roc_auc import CONFIDENCE
from modelway.components.validate.sample import draw

MINIMUM_ROWS = 100
_NAME = "concept_drift"
_RESAMPLES, _PERMUTATIONS = 100, 20
_Z = 1.959964  # the normal distribution's quantile of 0.975
_REMEDIES = {
    Verdict.FAILED: "look whether the labels are right, such as whether classes were exchanged; if the world has "
    "changed, waive this for the retrained model",
    Verdict.INCONCLUSIVE: "too few rows to decide: bring more",
}


@dataclass(frozen=True)
class RegisteredScore:
    """A metric that a version was registered with: its value on the test split of its own release, and its interval."""

    metric: str
    value: float
    interval: Interval

    @property
    def error(self) -> float:
        """The standard error that the interval's half width stands for, taken as of 95 %."""
        return (self.interval[1] - self.interval[0]) / (2 * _Z)


def registered_score(blessing: Blessing, metrics: Sequence[str]) -> RegisteredScore | None:
    """The score that a version was blessed with: an area under the ROC curve, or else the first of some metrics.

    Args:
        blessing: The version's blessing.
        metrics: The metrics that are preferred, the first most; None of them recorded: any other.
    """
    scores = {}
    for check in (check for gate in blessing.gates if gate.name == "model" for check in gate.checks):
        name = check.name.removeprefix("metric[").removesuffix("]")
        value = check.observed
        if check.name == f"metric[{name}]" and isinstance(value, int | float) and math.isfinite(value):
            scores[name] = RegisteredScore(name, float(value), check.interval or (float(value), float(value)))
    names = [name for name in (*metrics, *scores) if name in scores]
    return scores[min(names, key=lambda name: not name.startswith("roc_auc"))] if names else None


def concept_drift_check(
    test: pl.LazyFrame,
    *,
    project: Project,
    champion: OpenedVersion,
    metrics: Sequence[str],
    trusted_types: Collection[str],
    policy: ConceptDrift,
    rule: OnInconclusive,
) -> Check:
    """Predicts new test rows with the champion, and judges how much of its registered skill their labels leave it.

    These are rows that the champion was not trained on, as long as the split is the same.

    Args:
        test: The test split.
        project: The project.
        champion: The champion, opened.
        metrics: The metrics of the policy, the first most preferred.
        trusted_types: Types that the policy trusts in models.
        policy: The least skill, and how many rows to predict.
        rule: What an inconclusive check does.

    Raises:
        DamagedError: the champion's model is not the one that was blessed; it was not loaded.
    """
    version = champion.version.number
    registered = registered_score(champion.blessing, metrics)
    if registered is None:
        message = f"champion version {version} was registered without a score to compare with; the next will have one"
        return inconclusive(_NAME, message, rule=rule)
    rows = draw(test, list(test.collect_schema()), limit=policy.sample_rows).table.drop_nulls(project.label)
    if len(rows) < MINIMUM_ROWS:
        message = f"{len(rows):,} test rows have a label; {MINIMUM_ROWS} are needed to measure the champion's skill"
        return inconclusive(_NAME, message, rule=rule, observed=len(rows), threshold=MINIMUM_ROWS)
    group = project.data.split.group
    groups = rows[group].rank("dense").fill_null(0).to_numpy() if group in rows.columns else None
    with TemporaryDirectory() as work:
        folder = champion.download(work)
        try:
            predictions = predict_table(load_model(folder, trusted_types), rows, project=project)
            return skill_check(predictions, registered, groups=groups, limit=policy.skill, rule=rule, version=version)
        except ModelwayError as error:
            message = f"champion version {version} cannot be judged on these rows: {error.message}"
            return inconclusive(_NAME, message, rule=rule)


def skill_check(
    predictions: Predictions,
    registered: RegisteredScore,
    *,
    groups: Array | None = None,
    limit: float,
    rule: OnInconclusive,
    version: str,
) -> Check:
    """The check ``concept_drift``: how much of its registered skill a model keeps on new labels.

    Skill is how far a score is from that of the same predictions where the labels are shuffled, so that every metric
    has it: with unrelated labels none is left, and with inverted ones it is negative. The kept part is a ratio of two
    differences; its interval is by the delta method, from bootstrap resamples of the new rows, or of whole groups, and
    the registered interval.

    Args:
        predictions: The model's, of the new rows.
        registered: What it was registered with.
        groups: Each row's group, where rows of a group are alike.
        limit: The least part of the skill.
        rule: What an inconclusive check does.
        version: The model's version.

    Raises:
        ModelwayError: the metric cannot be computed from such predictions.
    """
    dice, metric, count = np.random.default_rng(0), registered.metric, len(predictions.truth)
    value = score(metric, predictions)
    chance = float(np.mean([_shuffled(metric, predictions, dice.permutation(count)) for _ in range(_PERMUTATIONS)]))
    skill = registered.value - chance
    if not math.isfinite(value - chance) or abs(skill) <= _Z * registered.error or not skill:
        message = (
            f"champion version {version} was registered with {metric} {registered.value:.4f}, and unrelated labels "
            f"give {chance:.4f}: it had no skill that could be lost"
        )
        return inconclusive(_NAME, message, rule=rule, observed=value if math.isfinite(value) else None)
    kept = (value - chance) / skill
    error = math.hypot(_error(metric, predictions, groups, dice=dice), kept * registered.error) / abs(skill)
    interval = kept - _Z * error, kept + _Z * error
    verdict = Verdict.INCONCLUSIVE if math.isnan(error) else Threshold(min=limit).judge(interval)
    message = (
        f"champion version {version} has {metric} {value:.4f} on {count:,} new test rows, and was registered with "
        f"{registered.value:.4f} ({registered.interval[0]:.4f} to {registered.interval[1]:.4f}); {chance:.4f} is what "
        f"unrelated labels give, so it keeps {kept:.0%} of its skill ({CONFIDENCE:.0%} interval {interval[0]:.0%} to "
        f"{interval[1]:.0%}); the policy requires {limit:.0%}"
    )
    message += f"; {_REMEDIES[verdict]}" if verdict in _REMEDIES else ""
    rounded = None if math.isnan(error) else (round(interval[0], 6), round(interval[1], 6))
    observed = round(kept, 6)
    return judged(_NAME, verdict, message=message, rule=rule, observed=observed, threshold=limit, interval=rounded)


def _shuffled(metric: str, predictions: Predictions, order: Array) -> float:
    return score(
        metric,
        Predictions(predictions.truth[order], predictions.predicted, predictions.probabilities, predictions.classes),
    )


def _error(metric: str, predictions: Predictions, groups: Array | None, *, dice: np.random.Generator) -> float:
    """The standard error of a score, by the bootstrap; NaN where most resamples have no such score."""
    codes = np.arange(len(predictions.truth)) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    scores = []
    for _ in range(_RESAMPLES):
        rows = np.concatenate([members[place] for place in dice.integers(0, len(members), len(members))])
        try:
            scores.append(score(metric, predictions.take(rows)))
        except ModelwayError:
            scores.append(float("nan"))
    finite = np.array(scores)[np.isfinite(scores)]
    return float(finite.std(ddof=1)) if len(finite) > _RESAMPLES // 2 else float("nan")
