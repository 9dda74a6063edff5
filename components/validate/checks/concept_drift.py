"""Concept drift: whether the champion's predictions still fit the labels."""

from __future__ import annotations

import math
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
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
from modelway.components.core.storage.model_code import separate_modules
from modelway.components.core.storage.models import load_model
from modelway.components.validate.checks.bad_rows import is_present
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
    """A metric that a version was registered with: its value on the rows of its own release, and its interval."""

    metric: str
    value: float
    interval: Interval | None

    @property
    def error(self) -> float | None:
        """The standard error that the interval's half width stands for, taken as of 95 %; None where it has none."""
        width = 0.0 if self.interval is None else self.interval[1] - self.interval[0]
        return width / (2 * _Z) if width > 0 else None


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
            scores[name] = RegisteredScore(name, float(value), check.interval)
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

    These are rows that the champion was not trained on, as long as the split is the same. Rows of a class that it does
    not know are left out, and named.

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
    rows = draw(test, list(test.collect_schema()), limit=policy.sample_rows).table
    rows = rows.filter(is_present(project.label, rows.schema[project.label]))
    if len(rows) < MINIMUM_ROWS:
        return _too_few(f"{len(rows):,} test rows have a label", len(rows), rule=rule)
    group = project.data.split.group
    groups = rows[group].rank("dense").fill_null(0).to_numpy() if group in rows.columns else None
    with TemporaryDirectory() as work:
        folder = champion.download(work)
        try:
            with separate_modules():  # it may have other versions of the candidate's
                predictions = predict_table(load_model(folder, trusted_types), rows, project=project)
            note = ""
            if predictions.untrained:
                known = np.flatnonzero(predictions.truth < len(predictions.classes))
                names, unknown_rows = ", ".join(map(repr, predictions.untrained)), len(rows) - len(known)
                note = f"it knows no {names}, whose {unknown_rows:,} rows are left out"
                predictions, groups = predictions.take(known), groups[known] if groups is not None else None
                if len(known) < MINIMUM_ROWS:
                    rows_text = f"champion version {version}: {note}; {len(known):,} rows are left"
                    return _too_few(rows_text, len(known), rule=rule)
            check = skill_check(predictions, registered, groups=groups, limit=policy.skill, rule=rule, version=version)
        except ModelwayError as error:
            message = f"champion version {version} cannot be judged on these rows: {error.message}; {error.remedy}"
            return inconclusive(_NAME, message, rule=rule)
    return check.model_copy(update={"message": f"{check.message}; {note}"}) if note else check


def _too_few(rows_text: str, rows: int, *, rule: OnInconclusive) -> Check:
    message = f"{rows_text}; {MINIMUM_ROWS} are needed to measure the champion's skill: bring more"
    return inconclusive(_NAME, message, rule=rule, observed=rows, threshold=MINIMUM_ROWS)


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
    the registered interval. A score that was registered without one is taken to be as uncertain as the new one.

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
    was = f"champion version {version} was registered with {metric} {registered.value:.4f}"
    if len(np.unique(predictions.truth)) < 2:
        label = f"of {predictions.class_name(predictions.truth[0])!r}" if predictions.classes else "of one value"
        message = f"{was}, and all labels of {count:,} new test rows are {label}: bring rows of others"
        return inconclusive(_NAME, message, rule=rule)
    missing = _missing_classes(predictions)
    try:
        with warnings.catch_warnings(action="ignore"):  # of scores that are not defined, which their values tell
            value = score(metric, predictions)
            draws = [_shuffled(metric, predictions, dice.permutation(count)) for _ in range(_PERMUTATIONS)]
            own_error = _error(metric, predictions, groups, dice=dice)
    except ModelwayError:
        if not missing:
            raise
        value, draws, own_error = math.nan, [math.nan], math.nan
    chance = float(np.mean(draws))
    if not math.isfinite(value - chance):
        return inconclusive(_NAME, f"{was}, which is not defined on {count:,} new test rows{missing}", rule=rule)
    skill, registered_error = registered.value - chance, own_error if registered.error is None else registered.error
    if not skill or not abs(skill) > _Z * registered_error:
        message = f"{was}, and unrelated labels give {chance:.4f}: it had no skill that could be lost"
        return inconclusive(_NAME, message, rule=rule, observed=value)
    remaining = (value - chance) / skill
    error = math.hypot(own_error, remaining * registered_error) / abs(skill)
    interval = remaining - _Z * error, remaining + _Z * error
    verdict = Verdict.INCONCLUSIVE if math.isnan(error) else Threshold(min=limit).judge(interval)
    bounds = registered.interval
    registered_interval = f" ({bounds[0]:.4f} to {bounds[1]:.4f})" if bounds is not None else ""
    message = (
        f"champion version {version} has {metric} {value:.4f} on {count:,} new test rows, and was registered with "
        f"{registered.value:.4f}{registered_interval}; {chance:.4f} is what unrelated labels give, so it keeps "
        f"{remaining:.0%} of its skill ({CONFIDENCE:.0%} interval {interval[0]:.0%} to {interval[1]:.0%}); the policy "
        f"requires {limit:.0%}"
    )
    message += f"; {_REMEDIES[verdict]}" if verdict in _REMEDIES else ""
    rounded = None if math.isnan(error) else (round(interval[0], 6), round(interval[1], 6))
    observed = round(remaining, 6)
    return judged(_NAME, verdict, message=message, rule=rule, observed=observed, threshold=limit, interval=rounded)


def _missing_classes(predictions: Predictions) -> str:
    """Which of the model's classes have no row, in words."""
    occurring = set(predictions.truth.tolist())
    names = [repr(name) for number, name in enumerate(predictions.classes) if number not in occurring]
    return f": none of them is of {', '.join(names[:5])}; bring such rows" if names else ""


def _shuffled(metric: str, predictions: Predictions, order: Array) -> float:
    return score(metric, replace(predictions, truth=predictions.truth[order]))


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
