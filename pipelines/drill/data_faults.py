"""Faults of the data, and of what is said of it, that the data gate is meant to catch."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl

from modelway.components.core.config.project import Split
from modelway.components.core.config.waivers import Waiver
from modelway.pipelines.drill.drill_input import (
    CONSENT,
    DAY,
    DrillInput,
    Fault,
    random_rows,
    with_other_labels,
    with_values,
)


def _schema_break(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(inputs.table.rename({inputs.numeric: f"{inputs.numeric}_renamed"}))


def _type_change(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    table, name = inputs.table.with_columns(pl.col(inputs.numeric).cast(pl.String)), inputs.numeric
    return inputs.with_table(with_values(table, name, rows=random_rows(table, 0.02, rng=rng), value=pl.lit("n/a")))


def _unit_change(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(inputs.table.with_columns(pl.col(inputs.numeric).cast(pl.Float64) * 100))


def _null_burst(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    rows = random_rows(inputs.table, 0.3, rng=rng)
    return inputs.with_table(with_values(inputs.table, inputs.numeric, rows=rows, value=None))


def _category_explosion(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    codes = pl.Series([f"code-{number}" for number in rng.integers(0, 10**9, len(inputs.table))])
    table, name = inputs.table.with_columns(pl.col(inputs.categorical).cast(pl.String)), inputs.categorical
    return inputs.with_table(with_values(table, name, rows=random_rows(table, 0.5, rng=rng), value=codes))


def _duplicate_rows(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(pl.concat([inputs.table, inputs.table.head(max(1, len(inputs.table) // 20))]))


def _doubled_rows(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(pl.concat([inputs.table, inputs.table]))


def _survey(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """The first eight rows over and over, with other labels, in a project that was written without `equal_rows`."""
    split = Split(by="row", rule=1, test_fraction=0.5)
    project = inputs.project.model_copy(update={"data": inputs.project.data.model_copy(update={"split": split})})
    answers = inputs.table[rng.integers(0, min(8, len(inputs.table)), len(inputs.table))]
    return replace(inputs, project=project).with_table(answers.with_columns(inputs.table[project.label]))


def _label_copied(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    label, feature = inputs.table[inputs.project.label], inputs.table[inputs.numeric]
    codes = label.rank("dense").cast(pl.Float64) if not label.dtype.is_numeric() else label.cast(pl.Float64)
    spread = (codes - codes.min()) / max(float(codes.max() - codes.min()), 1e-9)  # type: ignore[operator,arg-type]
    low, high = float(feature.quantile(0.05) or 0.0), float(feature.quantile(0.95) or 1.0)
    noise = pl.Series(rng.normal(0, (high - low) / 50, len(label)))
    leak = (low + spread * (high - low) + noise).clip(feature.min(), feature.max())
    return inputs.with_numbers().with_table(inputs.table.with_columns(leak.alias(inputs.numeric)))


def _label_in_nulls(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    """The numeric feature is missing where the label is the greatest, and nowhere else."""
    label, feature = inputs.table[inputs.project.label], pl.col(inputs.numeric)
    filled = inputs.table.with_columns(feature.fill_null(feature.drop_nulls().first()))
    table = with_values(filled, inputs.numeric, rows=label == label.max(), value=None)
    return inputs.with_numbers(max_nulls=1.0).with_table(table)


def _strong_feature(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """A feature of ROC AUC 0.985, or of R² 0.985; the policy allows 0.97, since few rows cannot exceed 0.98."""
    label = inputs.table[inputs.project.label]
    if inputs.project.task == "regression":
        numbers = label.cast(pl.Float64).to_numpy()
        strong = numbers + rng.normal(0, np.nanstd(numbers) * 0.1234, len(numbers))
    else:
        strong = label.rank("dense").cast(pl.Float64).to_numpy() * 3.069 + rng.normal(size=len(label))
    leakage = inputs.policy.data.leakage.model_copy(update={"single_feature": 0.97})
    data = inputs.policy.data.model_copy(update={"leakage": leakage})
    policy = inputs.policy.model_copy(update={"data": data})
    table = inputs.table.with_columns(pl.Series(inputs.numeric, strong))
    return replace(inputs, policy=policy).with_numbers(minimum=None, maximum=None).with_table(table)


def _renamed_codes(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    """Every category has another name, and the contract does not say which there are."""
    name = inputs.categorical
    column = inputs.contract.columns[name].model_copy(
        update={"type": "string", "categories": None, "pattern": None, "minimum": None, "maximum": None}
    )
    contract = inputs.contract.model_copy(update={"columns": {**inputs.contract.columns, name: column}})
    renamed = pl.lit("new ") + pl.col(name).cast(pl.String)
    return replace(inputs, contract=contract).with_table(inputs.table.with_columns(renamed.alias(name)))


def _inverted_labels(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    rows = pl.repeat(value=True, n=len(inputs.table), eager=True)
    return inputs.with_table(with_other_labels(inputs.table, inputs, rows=rows))


def _future_timestamp(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    table, name = inputs.table, (*inputs.project.features.datetime, DAY)[0]
    later = pl.lit(dt.date(2199, 1, 1)).cast(table[name].dtype)
    return inputs.with_table(with_values(table, name, rows=random_rows(table, 0.01, rng=rng), value=later))


def _no_consent(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    rows = random_rows(inputs.table, 0.001, rng=rng)
    return inputs.with_table(with_values(inputs.table, CONSENT, rows=rows, value=pl.lit(value=False)))


def _covariate_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    ranks = inputs.table[inputs.numeric].rank("ordinal").to_numpy() / len(inputs.table)
    return inputs.with_table(inputs.table.filter(pl.Series(rng.random(len(ranks)) < np.nan_to_num(ranks) ** 2)))


def _label_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    label = inputs.table[inputs.project.label]
    common = label.drop_nulls().median() if inputs.project.task == "regression" else label.mode()[0]
    keep = (label > common) if inputs.project.task == "regression" else (label != common)
    return inputs.with_table(inputs.table.filter(keep | random_rows(inputs.table, 0.2, rng=rng)))


def _joint_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """Every feature keeps its distribution, and loses its relation to the others and to the label."""
    features = inputs.table.select(inputs.project.features.columns)
    shuffled = [feature.gather(rng.permutation(len(feature))) for feature in features]
    return inputs.with_table(inputs.table.with_columns(shuffled))


def _serving_skew(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return replace(inputs, serving=_serving_sample(inputs).with_columns(pl.col(inputs.numeric) * 100))


def _absent_at_serving(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return replace(inputs, serving=_serving_sample(inputs).drop(inputs.numeric))


def _serving_sample(inputs: DrillInput) -> pl.DataFrame:
    return inputs.table.sample(min(2_000, len(inputs.table)), seed=1).drop(inputs.project.label)


def _test_rows_in_train(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    train, test = inputs.splits.train, inputs.splits.test
    return inputs.with_training(pl.concat([train, test.head(len(test) // 10)]))


def _empty_test_set(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return replace(inputs, splits=replace(inputs.splits, test=inputs.splits.test.clear()))


def _expired_waiver(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    waiver = Waiver(gate="data", check="*", reason="a drill", by="the drill", until=dt.date(2000, 1, 1))
    policy = inputs.policy.model_copy(update={"waivers": (waiver,)})
    return _null_burst(replace(inputs, policy=policy), rng)


DATA_FAULTS = (
    Fault("schema break", "data", ("column[",), _schema_break),
    Fault("type change", "data", ("type[",), _type_change),
    Fault("unit change x100", "data", ("drift[", "maximum["), _unit_change),
    Fault("null burst", "data", ("nulls[",), _null_burst),
    Fault("category explosion", "data", ("categories[", "drift["), _category_explosion),
    Fault("duplicate rows", "data", ("unique[", "copies"), _duplicate_rows),
    Fault("rows doubled by a join", "data", ("unique[", "copies"), _doubled_rows),
    Fault("survey of eight distinct rows split by its answers", "data", ("split_rule", "drift["), _survey),
    Fault("no consent", "data", (f"rule[{CONSENT}]",), _no_consent),
    Fault("future timestamp", "data", ("future[", "rule["), _future_timestamp),
    Fault("label copied into a feature", "data", ("leakage[", "duplicate["), _label_copied),
    Fault("label told by missing values", "data", ("leakage[",), _label_in_nulls),
    Fault("feature of AUC 0.985", "data", ("leakage[",), _strong_feature),
    Fault("test rows in train", "data", ("shared_rows", "shared_groups["), _test_rows_in_train),
    Fault("empty test set", "data", ("rows[test]",), _empty_test_set),
    Fault("covariate shift", "data", ("drift[",), _covariate_shift),
    Fault("label shift", "data", ("label_drift[",), _label_shift),
    Fault("renamed codes", "data", ("new_values[",), _renamed_codes),
    Fault("inverted labels", "data", ("concept_drift",), _inverted_labels),
    Fault("joint shift of the features", "data", ("drift[multivariate]", "concept_drift"), _joint_shift),
    Fault("training-serving skew", "data", ("skew[",), _serving_skew),
    Fault("feature absent at serving", "data", ("at_serving[",), _absent_at_serving),
    Fault("expired waiver", "data", ("nulls[",), _expired_waiver),
)
