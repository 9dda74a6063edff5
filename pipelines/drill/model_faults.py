"""Faults of what is learned and of the model itself, that the gates after training are meant to catch."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from modelway.components.core.config.project import Project, Split
from modelway.pipelines.drill.changed_code import changed_helper
from modelway.pipelines.drill.drill_input import (
    DAY,
    Change,
    DrillInput,
    Fault,
    random_rows,
    rarest,
    with_other_labels,
    with_values,
)


def _shuffled_labels(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    label = inputs.table[inputs.project.label]
    return inputs.with_table(inputs.table.with_columns(label.gather(rng.permutation(len(label)))))


def _monthly_snapshots(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """Three snapshots, each more than the test split's share, a split by their day, and labels that tell nothing."""
    name = (*inputs.project.features.datetime, DAY)[0]
    days = pl.Series(name, [dt.date(2021, int(month), 1) for month in rng.integers(1, 4, len(inputs.table))])
    data = inputs.project.data.model_copy(update={"split": Split(by="time", column=name)})
    by_time = replace(inputs, project=inputs.project.model_copy(update={"data": data}))
    return _shuffled_labels(replace(by_time, table=inputs.table.with_columns(days.cast(inputs.table[name].dtype))), rng)


def _concept_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """What the model learns does not hold in most of the rows that it is judged on: their labels are changed."""
    return _other_labels(inputs, random_rows(inputs.splits.train, 0.65, rng=rng))


def _weak_model(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    return _other_labels(inputs, random_rows(inputs.splits.train, 0.42, rng=rng))


def _broken_slice(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    slices = inputs.policy.model.slices
    column = inputs.splits.train[slices.columns[0] if slices is not None else inputs.categorical]
    return _other_labels(inputs, (column == rarest(column)).fill_null(value=False))


def _unfair_group(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """Of the rarest group of a sensitive column nearly all have the best label."""
    table, label, fairness = inputs.splits.train, inputs.project.label, inputs.policy.model.fairness
    columns = fairness.columns if fairness is not None else ()
    name = (*columns, *inputs.project.sensitive, inputs.categorical)[0]
    best = table[label].max() if inputs.project.positive is None else inputs.project.positive
    group = (table[name] == rarest(inputs.table[name])).fill_null(value=False)
    rows = group & random_rows(table, 0.95, rng=rng)
    return inputs.with_training(with_values(table, label, rows=rows, value=pl.lit(best).cast(table[label].dtype)))


def _other_labels(inputs: DrillInput, rows: pl.Series) -> DrillInput:
    """Another label in some training rows: the next class, or for regression the label mirrored at the mean."""
    return inputs.with_training(with_other_labels(inputs.splits.train, inputs, rows=rows))


def _tampered_file(folder: Path) -> None:
    largest = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(bytes(content))


def _faulty_model(fault: str) -> Change:
    return lambda inputs, _: inputs.with_model(fault)


def _crash_on_null(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    features = inputs.project.features.model_copy(update={"impute": "none"})
    return replace(inputs, project=inputs.project.model_copy(update={"features": features})).with_model("crash")


def _one_feature(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    estimator = "Ridge" if inputs.project.task == "regression" else "LogisticRegression"
    sections = {
        "features": {"numeric": [inputs.numeric]},
        "model": {"estimator": f"sklearn.linear_model.{estimator}"},  # the project's own may name other features
    }
    return replace(inputs, project=Project.model_validate({**inputs.project.model_dump(), **sections}))


def _weaker_policy(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    model = inputs.policy.model
    name, bounds = next(iter(model.metrics.items()))
    weaker = {"min": bounds.min - 0.1} if bounds.min is not None else {"max": (bounds.max or 0.0) + 0.1}
    metrics = {**model.metrics, name: bounds.model_copy(update=weaker)}
    policy = inputs.policy.model_copy(update={"model": model.model_copy(update={"metrics": metrics})})
    return replace(inputs, policy=policy)


MODEL_FAULTS = (
    Fault("shuffled labels", "model", ("metric[",), _shuffled_labels, after_data_gate=True),
    Fault(
        "monthly snapshots, labels shuffled",
        "model",
        ("metric[",),
        _monthly_snapshots,
        after_data_gate=True,
    ),
    Fault("concept shift", "model", ("metric[",), _concept_shift, after_data_gate=True),
    Fault(
        "champion better by more than the margin",
        "model",
        ("no_regression[",),
        _weak_model,
        after_data_gate=True,
    ),
    Fault("one slice broken", "model", ("slice[", "slice_gap["), _broken_slice, after_data_gate=True),
    Fault("unfair group", "model", ("fairness[",), _unfair_group, after_data_gate=True),
    Fault("miscalibrated", "model", ("calibration",), _faulty_model("overconfident"), after_data_gate=True),
    Fault(
        "non-deterministic predictions",
        "model",
        ("deterministic",),
        _faulty_model("random"),
        after_data_gate=True,
    ),
    Fault("tampered model file", "model", ("model_hash",), after_data_gate=True, tamper=_tampered_file),
    Fault("policy weakened between runs", "model", ("policy[",), _weaker_policy, after_data_gate=True),
    Fault("slow model", "serving", ("latency[",), _faulty_model("slow"), after_data_gate=True),
    Fault(
        "user's class that is not packaged",
        "serving",
        ("server_starts",),
        _faulty_model("unpackaged"),
        after_data_gate=True,
    ),
    Fault("changed helper module", "code", ("code_version",), code=changed_helper),
    Fault("server crash on null", "serving", ("malformed",), _crash_on_null, after_data_gate=True),
    Fault("project of one feature", "serving", (), _one_feature, after_data_gate=True, harmless=True),
)
