"""Robustness: how much a metric drops on the same rows when the input is disturbed."""

from __future__ import annotations

import numpy as np
import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.model_policy import Noise, Perturbation, Robustness
from modelway.components.core.config.project import Features
from modelway.components.core.config.thresholds import Threshold, threshold_check
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.predicting import Predict, sane_check
from modelway.components.evaluate.statistics.intervals import Subset, compare
from modelway.components.evaluate.statistics.resampling import Resampling

UNSEEN = "a category never seen"


def robustness_checks(
    predict: Predict,
    table: pl.DataFrame,
    *,
    predictions: Predictions,
    features: Features,
    resampling: Resampling,
    policy: Robustness,
    rule: OnInconclusive,
) -> list[Check]:
    """A check ``robustness[kind]`` for each disturbance of the policy that applies to some feature.

    Args:
        predict: Predicts a table's rows with the model.
        table: The test rows.
        predictions: Of the undisturbed rows.
        features: The project's.
        resampling: How the rows were drawn.
        policy: The policy's `robustness` section.
        rule: What an inconclusive check does, unless the section says so itself.
    """
    sections: dict[str, Perturbation | None] = {
        "missing_values": policy.missing_values,
        "unseen_categories": policy.unseen_categories,
        "noise": policy.noise,
    }
    checks = []
    for kind, section in sections.items():
        disturbed_table = (
            None
            if section is None
            else disturbed(kind, table, features=features, section=section, seed=resampling.seed)
        )
        if section is None or disturbed_table is None:
            continue
        checks.append(
            _check(
                kind,
                section,
                predict=predict,
                disturbed_table=disturbed_table,
                predictions=predictions,
                resampling=resampling,
                metric=policy.metric,
                rule=policy.on_inconclusive or rule,
            )
        )
    return checks


def disturbed(
    kind: str, table: pl.DataFrame, *, features: Features, section: Perturbation, seed: int = 0
) -> pl.DataFrame | None:
    """The table with a share of each feature's values disturbed; the same seed disturbs the same ones.

    Args:
        kind: ``missing_values`` (any feature), ``unseen_categories`` or ``noise`` (numbers with more than two values).
        table: The rows.
        features: The project's.
        section: How much to disturb.
        seed: Of the choice of values.

    Returns:
        The disturbed table; None where the disturbance applies to no feature.
    """
    dice = np.random.default_rng(seed)
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
    kind: str,
    section: Perturbation,
    *,
    predict: Predict,
    disturbed_table: pl.DataFrame,
    predictions: Predictions,
    resampling: Resampling,
    metric: str,
    rule: OnInconclusive,
) -> Check:
    name = f"robustness[{kind}]"
    words = kind.replace("_", " ")
    try:
        answers = predict(disturbed_table)
        insane = sane_check(answers)
        if insane.blocks:
            message = f"with {words}, {insane.message}"
            return passed_or_failed(name, passed=False, message=message, threshold=section.max_drop)
        comparison = compare(metric, Subset(predictions), second=Subset(answers), resampling=resampling)
    except ModelwayError as error:
        message = f"with {words} in {section.share:.0%} of the values, {error.message}; make the model handle them"
        return passed_or_failed(name, passed=False, message=message, threshold=section.max_drop)
    if np.isnan(comparison.value):
        return inconclusive(name, f"{metric} is not defined on the test split; bring rows of every class", rule=rule)
    return threshold_check(
        name,
        comparison.value,
        threshold=Threshold(max=section.max_drop),
        rule=rule,
        scope=f"lost in {metric} with {words} in {section.share:.0%} of each feature's values, on the same "
        f"{resampling.rows:,} test rows",
        interval=comparison.interval,
        confidence=resampling.confidence,
    )
