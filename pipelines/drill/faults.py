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
class Scene:
    """What a fault changes: a project's files and data on their way through the stages.

    Attributes:
        project: The project file.
        contract: The contract file.
        policy: The policy file.
        table: The source's rows.
        splits: What the table was split into; None before.
        serving: What the model is asked in production; None: unknown.
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
        policy, name = self.policy.model.fairness, (*self.project.sensitive, self.categorical)[0]
        if policy is not None and policy.columns:
            name = policy.columns[0]
        return name, _rarest(self.table[name])

    def with_model(self, fault: str) -> Scene:
        """The same with a faulty model in the place of the project's own."""
        parameters = {"fault": fault, "model": self.project.canonical()}
        model = {"entrypoint": "modelway.pipelines.drill.models:fit", "parameters": parameters}
        return self.with_project({"model": {**model, "class_weight": self.project.model.class_weight}})

    def with_project(self, changes: dict[str, Any]) -> Scene:
        """The same with some keys of the project changed."""
        return replace(self, project=Project.model_validate(_changed(self.project.model_dump(), changes)))


Change = Callable[[Scene, np.random.Generator], Scene]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong.

    Attributes:
        name: What it is called.
        gate: The gate that is meant to catch it.
        check: What the name of the check that is meant to catch it begins with; several are alternatives.
        at: Where it happens: ``table``, ``splits`` (what is served with them), ``training`` (data after the data
            gate), ``model`` or ``folder`` (the model's files).
        change: How; a fault in the model's folder changes files instead.
        tamper: What is done to the model's folder.
    """

    name: str
    gate: str
    check: tuple[str, ...]
    at: str
    change: Change | None = None
    tamper: Callable[[Path], None] | None = None


def _changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    for key, value in changes.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict) and key != "model"
        merged[key] = _changed(merged[key], value) if nested else value
    return merged


def _on_table(change: Callable[[Scene, np.random.Generator], pl.DataFrame]) -> Change:
    return lambda scene, rng: replace(scene, table=change(scene, rng))


def _on_training(change: Callable[[Scene, np.random.Generator], pl.DataFrame]) -> Change:
    return lambda scene, rng: replace(scene, training=change(scene, rng))


def _some(rows: int, share: float, *, rng: np.random.Generator) -> pl.Series:
    return pl.Series(rng.random(rows) < share)


def _rarest(series: pl.Series) -> Any:
    return series.drop_nulls().value_counts(sort=True)[series.name][-1]


def _put(table: pl.DataFrame, name: str, *, where: pl.Series, value: Any) -> pl.DataFrame:
    return table.with_columns(pl.when(where).then(value).otherwise(pl.col(name)).alias(name))


def _schema_break(scene: Scene, _: np.random.Generator) -> pl.DataFrame:
    return scene.table.rename({scene.numeric: f"{scene.numeric}_renamed"})


def _type_change(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    table, name = scene.table.with_columns(pl.col(scene.numeric).cast(pl.String)), scene.numeric
    return _put(table, name, where=_some(len(table), 0.02, rng=rng), value=pl.lit("n/a"))


def _unit_change(scene: Scene, _: np.random.Generator) -> pl.DataFrame:
    return scene.table.with_columns((pl.col(scene.numeric).cast(pl.Float64) * 100).alias(scene.numeric))


def _null_burst(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    return _put(scene.table, scene.numeric, where=_some(len(scene.table), 0.3, rng=rng), value=None)


def _category_explosion(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    codes = pl.Series([f"code-{number}" for number in rng.integers(0, 10**9, len(scene.table))])
    table = scene.table.with_columns(pl.col(scene.categorical).cast(pl.String))
    return _put(table, scene.categorical, where=_some(len(table), 0.5, rng=rng), value=codes)


def _duplicate_rows(scene: Scene, _: np.random.Generator) -> pl.DataFrame:
    return pl.concat([scene.table, scene.table.head(max(1, len(scene.table) // 20))])


def _shuffled_labels(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    label = scene.table[scene.project.label]
    return scene.table.with_columns(label.gather(rng.permutation(len(label))))


def _label_copied(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    label, feature = scene.table[scene.project.label], scene.table[scene.numeric]
    codes = label.rank("dense").cast(pl.Float64) if not label.dtype.is_numeric() else label.cast(pl.Float64)
    spread = (codes - codes.min()) / max(float(codes.max() - codes.min()), 1e-9)  # type: ignore[operator,arg-type]
    low, high = float(feature.quantile(0.05) or 0.0), float(feature.quantile(0.95) or 1.0)
    noise = pl.Series(rng.normal(0, (high - low) / 50, len(label)))
    copied = (low + spread * (high - low) + noise).clip(feature.min(), feature.max())
    return scene.table.with_columns(copied.alias(scene.numeric))


def _label_in_nulls(scene: Scene, _: np.random.Generator) -> Scene:
    label = scene.table[scene.project.label]
    table = _put(scene.table, scene.numeric, where=label == label.max(), value=None)
    columns = {name: column.model_dump(exclude_none=True) for name, column in scene.contract.columns.items()}
    columns[scene.numeric]["max_nulls"] = 1.0
    contract = Contract.model_validate({**scene.contract.model_dump(exclude_none=True), "columns": columns})
    return replace(scene, table=table, contract=contract)


def _future_timestamp(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    name = (*scene.project.features.datetime, DAY)[0]
    later = pl.lit(dt.date(2199, 1, 1)).cast(scene.table[name].dtype)
    return _put(scene.table, name, where=_some(len(scene.table), 0.01, rng=rng), value=later)


def _no_consent(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    return _put(scene.table, CONSENT, where=_some(len(scene.table), 0.001, rng=rng), value=pl.lit(value=False))


def _covariate_shift(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    ranks = scene.table[scene.numeric].rank("ordinal").to_numpy() / len(scene.table)
    return scene.table.filter(pl.Series(rng.random(len(ranks)) < np.nan_to_num(ranks) ** 2))


def _label_shift(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    label = scene.table[scene.project.label]
    common = label.drop_nulls().median() if scene.project.task == "regression" else label.mode()[0]
    keep = (label > common) if scene.project.task == "regression" else (label != common)
    return scene.table.filter(keep | _some(len(label), 0.2, rng=rng))


def _joint_shift(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    """Every feature keeps its distribution, and loses what it had to do with the others."""
    shuffled = [scene.table[name].gather(rng.permutation(len(scene.table))) for name in scene.project.features.columns]
    return scene.table.with_columns(shuffled)


def _serving_skew(scene: Scene, _: np.random.Generator) -> Scene:
    return replace(scene, serving=_served(scene).with_columns(pl.col(scene.numeric) * 100))


def _absent_at_serving(scene: Scene, _: np.random.Generator) -> Scene:
    return replace(scene, serving=_served(scene).drop(scene.numeric))


def _served(scene: Scene) -> pl.DataFrame:
    return scene.table.sample(min(2_000, len(scene.table)), seed=1).drop(scene.project.label)


def _test_rows_in_train(scene: Scene, _: np.random.Generator) -> Scene:
    assert scene.splits is not None  # noqa: S101 - faults in the splits come after them
    train, test = scene.splits.train, scene.splits.test
    return replace(scene, splits=replace(scene.splits, train=pl.concat([train, test.head(len(test) // 10)])))


def _empty_test_set(scene: Scene, _: np.random.Generator) -> Scene:
    assert scene.splits is not None  # noqa: S101
    return replace(scene, splits=replace(scene.splits, test=scene.splits.test.clear()))


def _concept_shift(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    """What the model learns holds no more in most of the rows that it is judged on: the labels there change sides."""
    return _other_labels(scene, _some(len(_training(scene)), 0.65, rng=rng))


def _weak_model(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    return _other_labels(scene, _some(len(_training(scene)), 0.42, rng=rng))


def _broken_slice(scene: Scene, _: np.random.Generator) -> pl.DataFrame:
    slices = scene.policy.model.slices
    name = slices.columns[0] if slices is not None else scene.categorical
    column = _training(scene)[name]
    return _other_labels(scene, (column == _rarest(column)).fill_null(value=False))


def _unfair_group(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    table, label = _training(scene), scene.project.label
    name, group = scene.group
    best = table[label].max() if scene.project.positive is None else scene.project.positive
    hit = (table[name] == group).fill_null(value=False) & _some(len(table), 0.95, rng=rng)
    return _put(table, label, where=hit, value=pl.lit(best).cast(table[label].dtype))


def _training(scene: Scene) -> pl.DataFrame:
    assert scene.training is not None  # noqa: S101 - faults in the training come after the data gate
    return scene.training


def _other_labels(scene: Scene, where: pl.Series) -> pl.DataFrame:
    """Another label in some rows: the next class, or for regression that of another row, mirrored at the mean."""
    table, name = _training(scene), scene.project.label
    label = table[name]
    if scene.project.task == "regression":
        other = (2 * float(label.mean()) - label.cast(pl.Float64)).cast(label.dtype)  # type: ignore[arg-type]
    else:
        classes = label.unique().sort()
        following = dict(zip(classes, [*classes[1:], classes[0]], strict=True))
        other = label.replace_strict(following, return_dtype=label.dtype)
    return _put(table, name, where=where, value=other)


def _tampered(folder: Path) -> None:
    largest = max((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 1
    largest.write_bytes(bytes(content))


def _model(fault: str) -> Change:
    return lambda scene, _: scene.with_model(fault)


def _crash_on_null(scene: Scene, _: np.random.Generator) -> Scene:
    return scene.with_project({"features": {"impute": "none"}}).with_model("crash")


def _weaker_policy(scene: Scene, _: np.random.Generator) -> Scene:
    model = scene.policy.model
    name, asked = next(iter(model.metrics.items()))
    less = {"min": asked.min - 0.1} if asked.min is not None else {"max": (asked.max or 0.0) + 0.1}
    metrics = {**model.metrics, name: asked.model_copy(update=less)}
    policy = scene.policy.model_copy(update={"model": model.model_copy(update={"metrics": metrics})})
    return replace(scene, policy=policy)


def _expired_waiver(scene: Scene, rng: np.random.Generator) -> Scene:
    waiver = Waiver(gate="data", check="*", reason="a drill", by="the drill", until=dt.date(2000, 1, 1))
    scene = replace(scene, policy=scene.policy.model_copy(update={"waivers": (waiver,)}))
    return replace(scene, table=_null_burst(scene, rng))


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
    Fault("tampered model file", "model", ("model_hash",), "folder", tamper=_tampered),
    Fault("policy weakened between runs", "model", ("policy[",), "model", _weaker_policy),
    Fault("slow model", "serving", ("latency[",), "model", _model("slow")),
    Fault("server crash on null", "serving", ("malformed",), "model", _crash_on_null),
)
