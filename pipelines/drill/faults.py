"""The faults that `modelway drill` injects, one at a time, and the gate that each is meant for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.waivers import Waiver
from modelway.components.ingest.split import Splits

DAY, CONSENT = "drill_day", "drill_consent"


@dataclass(frozen=True)
class DrillInput:
    """What a fault changes: a project's files and data as they go through the stages.

    Attributes:
        project: The project file.
        contract: The contract file.
        policy: The policy file.
        table: The source's rows.
        splits: What the table was split into; None before.
        serving: The serving data; None: the project names none.
        training: The training split as the model is fitted on it, after the data gate; None before.
    """

    project: Project
    contract: Contract
    policy: Policy
    table: pl.DataFrame
    splits: Splits | None = None
    serving: pl.DataFrame | None = None
    training: pl.DataFrame | None = None

    @property
    def numeric(self) -> str:
        """The numeric feature that faults go into: the one with the most distinct values."""
        return max(self.project.features.numeric, key=lambda name: self.table[name].n_unique())

    @property
    def categorical(self) -> str:
        """The categorical feature that faults go into."""
        return self.project.features.categorical[0]

    @property
    def group(self) -> tuple[str, Any]:
        """A sensitive column, and its group with the fewest rows."""
        fairness, name = self.policy.model.fairness, (*self.project.sensitive, self.categorical)[0]
        if fairness is not None and fairness.columns:
            name = fairness.columns[0]
        return name, _rarest(self.table[name])

    def with_model(self, fault: str) -> DrillInput:
        """The same with a faulty model in the place of the project's own."""
        parameters = {"fault": fault, "model": self.project.canonical()}
        model = {"entrypoint": "modelway.pipelines.drill.models:fit", "parameters": parameters}
        return self.with_project({"model": {**model, "class_weight": self.project.model.class_weight}})

    def with_project(self, changes: dict[str, Any]) -> DrillInput:
        """The same with some keys of the project changed."""
        return replace(self, project=Project.model_validate(_merge(self.project.model_dump(), changes)))


Change = Callable[[DrillInput, np.random.Generator], DrillInput]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What it is called.
        gate: The gate that is meant to catch it.
        check: What the name of the check that is meant to catch it begins with; several are alternatives.
        at: Where it happens: ``table``, ``splits`` (and the serving data), ``training`` (data after the data
            gate), ``model`` or ``folder`` (the model's files).
        change: How; a fault in the model's folder changes files instead.
        tamper: Changes the model's folder.
    """

    name: str
    gate: str
    check: tuple[str, ...]
    at: str
    change: Change | None = None
    tamper: Callable[[Path], None] | None = None


def _merge(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = dict(content)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(result.get(key), dict) and key != "model"
        result[key] = _merge(result[key], value) if nested else value
    return result


def _on_table(change: Callable[[DrillInput, np.random.Generator], pl.DataFrame]) -> Change:
    return lambda inputs, rng: replace(inputs, table=change(inputs, rng))


def _on_training(change: Callable[[DrillInput, np.random.Generator], pl.DataFrame]) -> Change:
    return lambda inputs, rng: replace(inputs, training=change(inputs, rng))


def _random_rows(count: int, share: float, *, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.random(count) < share)


def _rarest(series: pl.Series) -> Any:
    return series.drop_nulls().value_counts(sort=True)[series.name][-1]


def _replace(table: pl.DataFrame, name: str, *, rows: pl.Series, value: Any) -> pl.DataFrame:
    return table.with_columns(pl.when(rows).then(value).otherwise(pl.col(name)).alias(name))


def _schema_break(inputs: DrillInput, _: np.random.Generator) -> pl.DataFrame:
    return inputs.table.rename({inputs.numeric: f"{inputs.numeric}_renamed"})


def _type_change(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    table, name = inputs.table.with_columns(pl.col(inputs.numeric).cast(pl.String)), inputs.numeric
    return _replace(table, name, rows=_random_rows(len(table), 0.02, rng=rng), value=pl.lit("n/a"))


def _unit_change(inputs: DrillInput, _: np.random.Generator) -> pl.DataFrame:
    return inputs.table.with_columns((pl.col(inputs.numeric).cast(pl.Float64) * 100).alias(inputs.numeric))


def _null_burst(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    return _replace(inputs.table, inputs.numeric, rows=_random_rows(len(inputs.table), 0.3, rng=rng), value=None)


def _category_explosion(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    codes = pl.Series([f"code-{number}" for number in rng.integers(0, 10**9, len(inputs.table))])
    table = inputs.table.with_columns(pl.col(inputs.categorical).cast(pl.String))
    return _replace(table, inputs.categorical, rows=_random_rows(len(table), 0.5, rng=rng), value=codes)


def _duplicate_rows(inputs: DrillInput, _: np.random.Generator) -> pl.DataFrame:
    return pl.concat([inputs.table, inputs.table.head(max(1, len(inputs.table) // 20))])


def _shuffled_labels(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    label = inputs.table[inputs.project.label]
    return inputs.table.with_columns(label.gather(rng.permutation(len(label))))


def _label_copied(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    label, feature = inputs.table[inputs.project.label], inputs.table[inputs.numeric]
    codes = label.rank("dense").cast(pl.Float64) if not label.dtype.is_numeric() else label.cast(pl.Float64)
    spread = (codes - codes.min()) / max(float(codes.max() - codes.min()), 1e-9)  # type: ignore[operator,arg-type]
    low, high = float(feature.quantile(0.05) or 0.0), float(feature.quantile(0.95) or 1.0)
    noise = pl.Series(rng.normal(0, (high - low) / 50, len(label)))
    leak = (low + spread * (high - low) + noise).clip(feature.min(), feature.max())
    return inputs.table.with_columns(leak.alias(inputs.numeric))


def _label_in_nulls(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    label = inputs.table[inputs.project.label]
    table = _replace(inputs.table, inputs.numeric, rows=label == label.max(), value=None)
    columns = {name: column.model_dump(exclude_none=True) for name, column in inputs.contract.columns.items()}
    columns[inputs.numeric]["max_nulls"] = 1.0
    contract = Contract.model_validate({**inputs.contract.model_dump(exclude_none=True), "columns": columns})
    return replace(inputs, table=table, contract=contract)


def _future_timestamp(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    name = (*inputs.project.features.datetime, DAY)[0]
    later = pl.lit(dt.date(2199, 1, 1)).cast(inputs.table[name].dtype)
    return _replace(inputs.table, name, rows=_random_rows(len(inputs.table), 0.01, rng=rng), value=later)


def _no_consent(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    return _replace(
        inputs.table, CONSENT, rows=_random_rows(len(inputs.table), 0.001, rng=rng), value=pl.lit(value=False)
    )


def _covariate_shift(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    ranks = inputs.table[inputs.numeric].rank("ordinal").to_numpy() / len(inputs.table)
    return inputs.table.filter(pl.Series(rng.random(len(ranks)) < np.nan_to_num(ranks) ** 2))


def _label_shift(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    label = inputs.table[inputs.project.label]
    common = label.drop_nulls().median() if inputs.project.task == "regression" else label.mode()[0]
    keep = (label > common) if inputs.project.task == "regression" else (label != common)
    return inputs.table.filter(keep | _random_rows(len(label), 0.2, rng=rng))


def _joint_shift(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    """Every feature keeps its distribution, and loses its relation to the others."""
    shuffled = [
        inputs.table[name].gather(rng.permutation(len(inputs.table))) for name in inputs.project.features.columns
    ]
    return inputs.table.with_columns(shuffled)


def _serving_skew(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return replace(inputs, serving=_serving_sample(inputs).with_columns(pl.col(inputs.numeric) * 100))


def _absent_at_serving(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    return replace(inputs, serving=_serving_sample(inputs).drop(inputs.numeric))


def _serving_sample(inputs: DrillInput) -> pl.DataFrame:
    return inputs.table.sample(min(2_000, len(inputs.table)), seed=1).drop(inputs.project.label)


def _test_rows_in_train(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    assert inputs.splits is not None  # noqa: S101 - faults in the splits come after them
    train, test = inputs.splits.train, inputs.splits.test
    return replace(inputs, splits=replace(inputs.splits, train=pl.concat([train, test.head(len(test) // 10)])))


def _empty_test_set(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    assert inputs.splits is not None  # noqa: S101
    return replace(inputs, splits=replace(inputs.splits, test=inputs.splits.test.clear()))


def _concept_shift(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    """What the model learns does not hold in most of the rows that it is judged on: their labels are changed."""
    return _other_labels(inputs, _random_rows(len(_training(inputs)), 0.65, rng=rng))


def _weak_model(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    return _other_labels(inputs, _random_rows(len(_training(inputs)), 0.42, rng=rng))


def _broken_slice(inputs: DrillInput, _: np.random.Generator) -> pl.DataFrame:
    slices = inputs.policy.model.slices
    name = slices.columns[0] if slices is not None else inputs.categorical
    column = _training(inputs)[name]
    return _other_labels(inputs, (column == _rarest(column)).fill_null(value=False))


def _unfair_group(inputs: DrillInput, rng: np.random.Generator) -> pl.DataFrame:
    table, label = _training(inputs), inputs.project.label
    name, group = inputs.group
    best = table[label].max() if inputs.project.positive is None else inputs.project.positive
    hit = (table[name] == group).fill_null(value=False) & _random_rows(len(table), 0.95, rng=rng)
    return _replace(table, label, rows=hit, value=pl.lit(best).cast(table[label].dtype))


def _training(inputs: DrillInput) -> pl.DataFrame:
    assert inputs.training is not None  # noqa: S101 - faults in the training come after the data gate
    return inputs.training


def _other_labels(inputs: DrillInput, rows: pl.Series) -> pl.DataFrame:
    """Another label in some rows: the next class, or for regression the label mirrored at the mean."""
    table, name = _training(inputs), inputs.project.label
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
    return inputs.with_project({"features": {"impute": "none"}}).with_model("crash")


def _weaker_policy(inputs: DrillInput, _: np.random.Generator) -> DrillInput:
    model = inputs.policy.model
    name, bounds = next(iter(model.metrics.items()))
    weaker = {"min": bounds.min - 0.1} if bounds.min is not None else {"max": (bounds.max or 0.0) + 0.1}
    metrics = {**model.metrics, name: bounds.model_copy(update=weaker)}
    policy = inputs.policy.model_copy(update={"model": model.model_copy(update={"metrics": metrics})})
    return replace(inputs, policy=policy)


def _expired_waiver(inputs: DrillInput, rng: np.random.Generator) -> DrillInput:
    waiver = Waiver(gate="data", check="*", reason="a drill", by="the drill", until=dt.date(2000, 1, 1))
    inputs = replace(inputs, policy=inputs.policy.model_copy(update={"waivers": (waiver,)}))
    return replace(inputs, table=_null_burst(inputs, rng))


FAULTS = (
    Fault("schema break", "data", ("column[",), "table", _on_table(_schema_break)),
    Fault("type change", "data", ("type[",), "table", _on_table(_type_change)),
    Fault("unit change x100", "data", ("drift[", "maximum["), "table", _on_table(_unit_change)),
    Fault("null burst", "data", ("nulls[",), "table", _on_table(_null_burst)),
    Fault("category explosion", "data", ("categories[", "drift["), "table", _on_table(_category_explosion)),
    Fault("duplicate rows", "data", ("unique[",), "table", _on_table(_duplicate_rows)),
    Fault("no consent", "data", (f"rule[{CONSENT}]",), "table", _on_table(_no_consent)),
    Fault("future timestamp", "data", ("future[", "rule["), "table", _on_table(_future_timestamp)),
    Fault("label copied into a feature", "data", ("leakage[", "duplicate["), "table", _on_table(_label_copied)),
    Fault("label told by missing values", "data", ("leakage[",), "table", _label_in_nulls),
    Fault("test rows in train", "data", ("shared_rows", "shared_groups["), "splits", _test_rows_in_train),
    Fault("empty test set", "data", ("rows[test]",), "splits", _empty_test_set),
    Fault("covariate shift", "data", ("drift[",), "table", _on_table(_covariate_shift)),
    Fault("label shift", "data", ("label_drift[",), "table", _on_table(_label_shift)),
    Fault("joint shift of the features", "data", ("drift[multivariate]",), "table", _on_table(_joint_shift)),
    Fault("training-serving skew", "data", ("skew[",), "splits", _serving_skew),
    Fault("feature absent at serving", "data", ("at_serving[",), "splits", _absent_at_serving),
    Fault("expired waiver", "data", ("nulls[",), "table", _expired_waiver),
    Fault("shuffled labels", "model", ("metric[",), "table", _on_table(_shuffled_labels)),
    Fault("concept shift", "model", ("metric[",), "training", _on_training(_concept_shift)),
    Fault(
        "champion better by more than the margin", "model", ("no_regression[",), "training", _on_training(_weak_model)
    ),
    Fault("one slice broken", "model", ("slice[", "slice_gap["), "training", _on_training(_broken_slice)),
    Fault("unfair group", "model", ("fairness[",), "training", _on_training(_unfair_group)),
    Fault("miscalibrated", "model", ("calibration",), "model", _model("overconfident")),
    Fault("non-deterministic predictions", "model", ("deterministic",), "model", _model("random")),
    Fault("tampered model file", "model", ("model_hash",), "folder", tamper=_tamper),
    Fault("policy weakened between runs", "model", ("policy[",), "model", _weaker_policy),
    Fault("slow model", "serving", ("latency[",), "model", _model("slow")),
    Fault("server crash on null", "serving", ("malformed",), "model", _crash_on_null),
)
