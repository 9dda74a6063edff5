"""Robustness: how much a metric drops on the same rows when the input is disturbed."""

from __future__ import annotations

from functools import partial

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import Noise, Perturbation, Robustness
from modelway.components.core.config.project import Features
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.errors import ModelwayError
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.predicting import Candidate, sane_check
from modelway.components.evaluate.statistics.comparisons import compare
from modelway.components.evaluate.statistics.estimates import Subset

UNSEEN = "a category never seen"


def robustness_checks(
    candidate: Candidate, features: Features, *, policy: Robustness, rule: OnInconclusive
) -> list[Check]:
    """A check ``robustness[kind]`` for each disturbance of the policy that applies to some feature.

    Args:
        candidate: The model, on the test rows.
        features: The project's.
        policy: The policy's `robustness` section.
        rule: What an inconclusive check does, unless the section says so itself.
    """
    rule = policy.on_inconclusive or rule
    checks = []
    for kind in ("missing_values", "unseen_categories", "noise"):
        section: Perturbation | None = getattr(policy, kind)
        if section is None:
            continue
        table = disturbed(kind, candidate.table, features=features, section=section)
        if table is not None:
            checks.append(_check(kind, section, candidate=candidate, table=table, metric=policy.metric, rule=rule))
    return checks


def disturbed(kind: str, table: pl.DataFrame, *, features: Features, section: Perturbation) -> pl.DataFrame | None:
    """The table with a share of each feature's values disturbed, the same ones each time.

    Args:
        kind: ``missing_values`` (any feature), ``unseen_categories`` or ``noise`` (numbers with more than two values).
        table: The rows.
        features: The project's.
        section: How much to disturb.

    Returns:
        The disturbed table; None where the disturbance applies to no feature.
    """
    dice = np.random.default_rng(0)
    present = set(table.columns)
    columns = []
    for name in features.columns:
        if name not in present:
            continue
        hit = pl.Series(dice.random(len(table)) < section.share)
        new = _new_values(kind, table[name], is_category=name in features.categorical, section=section, dice=dice)
        if new is not None:
            old = table[name].cast(new.dtype) if table[name].dtype != new.dtype else table[name]
            columns.append(new.zip_with(hit, old).alias(name))
    return table.with_columns(columns) if columns else None


def _new_values(
    kind: str, series: pl.Series, *, is_category: bool, section: Perturbation, dice: np.random.Generator
) -> pl.Series | None:
    if kind == "missing_values":
        return pl.Series(series.name, [None], dtype=series.dtype).new_from_index(0, len(series))
    if kind == "unseen_categories":
        if not is_category or series.dtype == pl.Boolean:
            return None
        if series.dtype.is_numeric():  # codes stay numbers in the model's input
            last = series.cast(pl.Float64).max()
            return pl.Series(series.name, [float(last or 0) + 1], dtype=pl.Float64).new_from_index(0, len(series))  # type: ignore[arg-type]
        return pl.Series(series.name, [UNSEEN], dtype=pl.String).new_from_index(0, len(series))
    if is_category or not series.dtype.is_numeric() or series.n_unique() <= 2:
        return None
    numbers = series.cast(pl.Float64)
    spread = numbers.filter(numbers.is_finite()).std()
    scale = section.scale if isinstance(section, Noise) else 0.0
    return numbers + pl.Series(dice.normal(size=len(series)) * scale * float(spread or 0.0))  # type: ignore[arg-type]


def _check(
    kind: str, section: Perturbation, *, candidate: Candidate, table: pl.DataFrame, metric: str, rule: OnInconclusive
) -> Check:
    """The check of the loss between the candidate's table and the disturbed one."""
    name, words, resampling = f"robustness[{kind}]", kind.replace("_", " "), candidate.resampling
    fail = partial(passed_or_failed, name, passed=False, threshold=section.max_drop)
    try:
        answers = candidate.predict(table)
        sane = sane_check(answers)
        if sane.blocks:
            return fail(message=f"with {words}, {sane.message}")
        comparison = compare(metric, Subset(candidate.predictions), second=Subset(answers), resampling=resampling)
    except ModelwayError as error:
        share = f"{section.share:.0%} of the values"
        return fail(message=f"with {words} in {share}, {error.message}; make the model handle them")
    if np.isnan(comparison.value):
        return inconclusive(name, f"{metric} is not defined on the test split; bring rows of every class", rule=rule)
    scope = (
        f"lost in {metric} with {words} in {section.share:.0%} of each feature's values, on the same "
        f"{resampling.rows:,} test rows"
    )
    return estimate_check(name, comparison, threshold=Threshold(max=section.max_drop), rule=rule, scope=scope)
