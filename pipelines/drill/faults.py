"""The faults that `modelway drill` injects, one at a time, and the gate that each is meant for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.checks import Gate
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project, Split
from modelway.components.core.config.waivers import Waiver
from modelway.components.ingest.split import Splits, split_table
from modelway.pipelines.drill.changed_code import changed_helper

DAY, CONSENT = "drill_day", "drill_consent"


@dataclass(frozen=True)
class DrillInput:
    """What a fault changes: a project's files and data as they go through the stages."""

    project: Project
    contract: Contract
    policy: Policy
    table: pl.DataFrame
    splits: Splits
    serving: pl.DataFrame | None = None  # the project names none

    @property
    def numeric(self) -> str:
        """The numeric feature that faults go into: the one with the most distinct values."""
        return max(self.project.features.numeric, key=lambda name: self.table[name].n_unique())

    @property
    def categorical(self) -> str:
        """The categorical feature that faults go into."""
        return self.project.features.categorical[0]

    def with_table(self, table: pl.DataFrame) -> DrillInput:
        """The same with another table, and so with other splits."""
        splits = split_table(table, self.project.data.split, label=self.project.label)
        return replace(self, table=table, splits=splits)

    def with_training(self, train: pl.DataFrame) -> DrillInput:
        """The same with another training split alone."""
        return replace(self, splits=replace(self.splits, train=train))

    def with_model(self, fault: str) -> DrillInput:
        """The same with a faulty model in the place of the project's own."""
        parameters = {"fault": fault, "model": self.project.canonical()}
        model: dict[str, Any] = {"entrypoint": "modelway.pipelines.drill.models:fit", "parameters": parameters}
        model["class_weight"] = self.project.model.class_weight
        return replace(self, project=Project.model_validate({**self.project.model_dump(), "model": model}))


Change = Callable[[DrillInput, np.random.Generator], DrillInput]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What it is called.
        gate: The gate that is meant to catch it.
        check: What the name of the check that is meant to catch it begins with; several are alternatives.
        change: What goes wrong with the inputs; by default nothing.
        after_data_gate: Whether it goes wrong only then.
        harmless: Whether nothing is wrong, and the gate must let it pass.
        tamper: What goes wrong with the model's folder.
        code: What goes wrong with the project's code, written to a folder, and whether its version tells.
    """

    name: str
    gate: str
    check: tuple[str, ...]
    change: Change = lambda inputs, _: inputs
    after_data_gate: bool = False
    harmless: bool = False
    tamper: Callable[[Path], None] | None = None
    code: Callable[[Project, Contract, Path], Gate] | None = None


def _random_rows(table: pl.DataFrame, share: float, *, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.random(len(table)) < share)


def _rarest(series: pl.Series) -> Any:
    return series.drop_nulls().value_counts(sort=True)[series.name][-1]


def _replace(table: pl.DataFrame, name: str, *, rows: pl.Series, value: Any) -> pl.DataFrame:
    return table.with_columns(pl.when(rows).then(value).otherwise(pl.col(name)).alias(name))


def _schema_break(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(inputs.table.rename({inputs.numeric: f"{inputs.numeric}_renamed"}))


def _type_change(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    table, name = inputs.table.with_columns(pl.col(inputs.numeric).cast(pl.String)), inputs.numeric
    return inputs.with_table(_replace(table, name, rows=_random_rows(table, 0.02, rng=rng), value=pl.lit("n/a")))


def _unit_change(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return inputs.with_table(inputs.table.with_columns(pl.col(inputs.numeric).cast(pl.Float64) * 100))


def _null_burst(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    rows = _random_rows(inputs.table, 0.3, rng=rng)
    return inputs.with_table(_replace(inputs.table, inputs.numeric, rows=rows, value=None))


def _category_explosion(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    codes = pl.Series([f"code-{number}" for number in rng.integers(0, 10**9, len(inputs.table))])
    table, name = inputs.table.with_columns(pl.col(inputs.categorical).cast(pl.String)), inputs.categorical
    return inputs.with_table(_replace(table, name, rows=_random_rows(table, 0.5, rng=rng), value=codes))


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


def _label_copied(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    label, feature = inputs.table[inputs.project.label], inputs.table[inputs.numeric]
    codes = label.rank("dense").cast(pl.Float64) if not label.dtype.is_numeric() else label.cast(pl.Float64)
    spread = (codes - codes.min()) / max(float(codes.max() - codes.min()), 1e-9)  # type: ignore[operator,arg-type]
    low, high = float(feature.quantile(0.05) or 0.0), float(feature.quantile(0.95) or 1.0)
    noise = pl.Series(rng.normal(0, (high - low) / 50, len(label)))
    leak = (low + spread * (high - low) + noise).clip(feature.min(), feature.max())
    return inputs.with_table(inputs.table.with_columns(leak.alias(inputs.numeric)))


def _label_in_nulls(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    label = inputs.table[inputs.project.label]
    column = inputs.contract.columns[inputs.numeric].model_copy(update={"max_nulls": 1.0})
    contract = inputs.contract.model_copy(update={"columns": {**inputs.contract.columns, inputs.numeric: column}})
    table = _replace(inputs.table, inputs.numeric, rows=label == label.max(), value=None)
    return replace(inputs, contract=contract).with_table(table)


def _strong_feature(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """A feature of ROC AUC 0.985, or of R² 0.985, where the policy allows 0.98."""
    label = inputs.table[inputs.project.label]
    if inputs.project.task == "regression":
        numbers = label.cast(pl.Float64).to_numpy()
        strong = numbers + rng.normal(0, np.nanstd(numbers) * 0.1234, len(numbers))
    else:
        strong = label.rank("dense").cast(pl.Float64).to_numpy() * 3.069 + rng.normal(size=len(label))
    column = inputs.contract.columns[inputs.numeric].model_copy(update={"minimum": None, "maximum": None})
    contract = inputs.contract.model_copy(update={"columns": {**inputs.contract.columns, inputs.numeric: column}})
    leakage = inputs.policy.data.leakage.model_copy(update={"single_feature": 0.98})
    data = inputs.policy.data.model_copy(update={"leakage": leakage})
    policy = inputs.policy.model_copy(update={"data": data})
    table = inputs.table.with_columns(pl.Series(inputs.numeric, strong))
    return replace(inputs, contract=contract, policy=policy).with_table(table)


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
    return inputs.with_table(_with_other_labels(inputs.table, inputs, rows=rows))


def _future_timestamp(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    table, name = inputs.table, (*inputs.project.features.datetime, DAY)[0]
    later = pl.lit(dt.date(2199, 1, 1)).cast(table[name].dtype)
    return inputs.with_table(_replace(table, name, rows=_random_rows(table, 0.01, rng=rng), value=later))


def _no_consent(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    rows = _random_rows(inputs.table, 0.001, rng=rng)
    return inputs.with_table(_replace(inputs.table, CONSENT, rows=rows, value=pl.lit(value=False)))


def _covariate_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    ranks = inputs.table[inputs.numeric].rank("ordinal").to_numpy() / len(inputs.table)
    return inputs.with_table(inputs.table.filter(pl.Series(rng.random(len(ranks)) < np.nan_to_num(ranks) ** 2)))


def _label_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    label = inputs.table[inputs.project.label]
    common = label.drop_nulls().median() if inputs.project.task == "regression" else label.mode()[0]
    keep = (label > common) if inputs.project.task == "regression" else (label != common)
    return inputs.with_table(inputs.table.filter(keep | _random_rows(inputs.table, 0.2, rng=rng)))


def _joint_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """Every feature keeps its distribution, and loses its relation to the others."""
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


def _concept_shift(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """What the model learns does not hold in most of the rows that it is judged on: their labels are changed."""
    return _other_labels(inputs, _random_rows(inputs.splits.train, 0.65, rng=rng))


def _weak_model(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    return _other_labels(inputs, _random_rows(inputs.splits.train, 0.42, rng=rng))


def _broken_slice(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    slices = inputs.policy.model.slices
    column = inputs.splits.train[slices.columns[0] if slices is not None else inputs.categorical]
    return _other_labels(inputs, (column == _rarest(column)).fill_null(value=False))


def _unfair_group(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    """Of the rarest group of a sensitive column nearly all have the best label."""
    table, label, fairness = inputs.splits.train, inputs.project.label, inputs.policy.model.fairness
    columns = fairness.columns if fairness is not None else ()
    name = (*columns, *inputs.project.sensitive, inputs.categorical)[0]
    best = table[label].max() if inputs.project.positive is None else inputs.project.positive
    group = (table[name] == _rarest(inputs.table[name])).fill_null(value=False)
    rows = group & _random_rows(table, 0.95, rng=rng)
    return inputs.with_training(_replace(table, label, rows=rows, value=pl.lit(best).cast(table[label].dtype)))


def _other_labels(inputs: DrillInput, rows: pl.Series) -> DrillInput:
    """Another label in some training rows: the next class, or for regression the label mirrored at the mean."""
    return inputs.with_training(_with_other_labels(inputs.splits.train, inputs, rows=rows))


def _with_other_labels(table: pl.DataFrame, inputs: DrillInput, *, rows: pl.Series) -> pl.DataFrame:
    name = inputs.project.label
    label = table[name]
    if inputs.project.task == "regression":
        new_label = (2 * float(label.mean()) - label.cast(pl.Float64)).cast(label.dtype)  # type: ignore[arg-type]
    else:
        classes = label.unique().sort()
        successors = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
        new_label = label.replace_strict(successors, return_dtype=label.dtype)
    return _replace(table, name, rows=rows, value=new_label)


def _tamper(folder: Path) -> None:
    largest = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(bytes(content))


def _model(fault: str) -> Change:
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


def _expired_waiver(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    waiver = Waiver(gate="data", check="*", reason="a drill", by="the drill", until=dt.date(2000, 1, 1))
    policy = inputs.policy.model_copy(update={"waivers": (waiver,)})
    return _null_burst(replace(inputs, policy=policy), rng)


FAULTS = (
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
    Fault("joint shift of the features", "data", ("drift[multivariate]",), _joint_shift),
    Fault("training-serving skew", "data", ("skew[",), _serving_skew),
    Fault("feature absent at serving", "data", ("at_serving[",), _absent_at_serving),
    Fault("expired waiver", "data", ("nulls[",), _expired_waiver),
    Fault("shuffled labels", "model", ("metric[",), _shuffled_labels, after_data_gate=True),
    Fault("monthly snapshots, labels shuffled", "model", ("metric[",), _monthly_snapshots, after_data_gate=True),
    Fault("concept shift", "model", ("metric[",), _concept_shift, after_data_gate=True),
    Fault("champion better by more than the margin", "model", ("no_regression[",), _weak_model, after_data_gate=True),
    Fault("one slice broken", "model", ("slice[", "slice_gap["), _broken_slice, after_data_gate=True),
    Fault("unfair group", "model", ("fairness[",), _unfair_group, after_data_gate=True),
    Fault("miscalibrated", "model", ("calibration",), _model("overconfident"), after_data_gate=True),
    Fault("non-deterministic predictions", "model", ("deterministic",), _model("random"), after_data_gate=True),
    Fault("tampered model file", "model", ("model_hash",), after_data_gate=True, tamper=_tamper),
    Fault("policy weakened between runs", "model", ("policy[",), _weaker_policy, after_data_gate=True),
    Fault("slow model", "serving", ("latency[",), _model("slow"), after_data_gate=True),
    Fault(
        "user's class that is not packaged", "serving", ("server_starts",), _model("unpackaged"), after_data_gate=True
    ),
    Fault("changed helper module", "code", ("code_version",), code=changed_helper),
    Fault("server crash on null", "serving", ("malformed",), _crash_on_null, after_data_gate=True),
    Fault("project of one feature", "serving", (), _one_feature, after_data_gate=True, harmless=True),
)
