"""Tables of a few rows: whatever is in them, each ends in a verdict or in an error of ours, at every stage."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
import skops.io
import yaml
from hypothesis import given
from hypothesis import strategies as st
from properties import bounded

from modelway.components.core.checks import Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.out_of_fold import METADATA_KEY
from modelway.components.core.storage.models import STEPS_FILE
from modelway.components.core.storage.uri import sha256_of
from modelway.components.core.tables.parquet import read_table
from modelway.components.evaluate.stage import evaluate
from modelway.components.ingest.stage import ingest
from modelway.components.prepare.stage import prepare
from modelway.components.train.fit import fit_pipeline
from modelway.components.train.out_of_fold import out_of_fold
from modelway.components.validate.stage import validate
from modelway.pipelines.project.propose import propose

STAGES = ("init", "ingest", "validate", "prepare", "train", "evaluate")
NUMBERS = st.one_of(st.none(), st.integers(-3, 3), st.floats(-1e6, 1e6, width=32))
TEXTS = st.sampled_from(["a", "b", "ü", ""])
DAYS = st.dates(dt.date(1999, 12, 31), dt.date(2030, 1, 1))
LABELS = {
    "classes": st.sampled_from(["no", "yes", "maybe"]),
    "two": st.integers(0, 1),
    "numbers": st.floats(-100, 100, width=32),
    "wholes": st.integers(-2, 60),
}
SPLITS: tuple[dict[str, Any], ...] = (
    {"by": "row"},
    {"by": "group", "column": "code"},
    {"by": "time", "column": "day"},
    {"by": "row", "unseen_fraction": 0.3},
    {"by": "row", "equal_rows": "apart"},
)


def with_gaps(strategy: Any) -> Any:
    """Values of one column: complete, or some of them missing."""
    return st.sampled_from([strategy, strategy, st.one_of(st.none(), strategy)])


CLASSIFIERS: dict[str, dict[str, Any]] = {
    "tree": {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 2}},
    "linear": {"estimator": "sklearn.linear_model.LogisticRegression"},
    "scores": {"estimator": "sklearn.svm.LinearSVC"},
    "neighbours": {"estimator": "sklearn.neighbors.KNeighborsClassifier"},
    "boosting": {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "parameters": {"max_iter": 2}},
}
REGRESSORS: dict[str, dict[str, Any]] = {
    "tree": {"estimator": "sklearn.tree.DecisionTreeRegressor", "parameters": {"max_depth": 2}},
    "linear": {"estimator": "sklearn.linear_model.Ridge"},
    "scores": {"estimator": "sklearn.svm.LinearSVR"},
    "neighbours": {"estimator": "sklearn.neighbors.KNeighborsRegressor"},
    "boosting": {"estimator": "sklearn.ensemble.HistGradientBoostingRegressor", "parameters": {"max_iter": 2}},
}


@st.composite
def tables(draw: Any) -> pl.DataFrame:
    rows = draw(st.integers(1, 16))
    label = LABELS[draw(st.sampled_from(sorted(LABELS)))]

    def values(strategy: Any) -> list[Any]:
        return list(draw(st.lists(strategy, min_size=rows, max_size=rows)))

    return pl.DataFrame(
        {
            "size": pl.Series(values(NUMBERS), dtype=pl.Float64, strict=False),
            "code": pl.Series(values(draw(with_gaps(TEXTS))), dtype=pl.String),
            "day": pl.Series(values(draw(with_gaps(DAYS))), dtype=pl.Date),
            "label": values(label),
        }
    )


def sections(*, is_regression: bool) -> dict[str, Any]:
    """Every part of the model gate that a policy may ask for."""
    metrics = {"r2": {"min": -9}} if is_regression else {"accuracy": {"min": 0.1}}
    drop = {"max_drop": 0.5}
    return {
        "minimum_rows": 2,
        "metrics": metrics if is_regression else {name: {"min": 0.1} for name in ("accuracy", "f1_macro")},
        "slices": {
            "columns": ["code", "size"],
            "metrics": metrics,
            "max_gap": {next(iter(metrics)): 0.5},
            "minimum_rows": 2,
        },
        "weak_segments": {"metrics": metrics, "minimum_rows": 20},
        "fairness": {"groups": {next(iter(metrics)): {"difference": 0.5}}, "minimum_rows": 2},
        "robustness": {"metric": next(iter(metrics)), "noise": drop, "missing_values": drop, "unseen_categories": drop},
        "rules": [{"name": "same_by_day", "invariant_to": "day", "tolerance": 0.1}],
        **({} if is_regression else {"calibration": {"expected_calibration_error": 0.5}}),
    }


def judged(
    folder: Path, table: pl.DataFrame, *, split: dict[str, Any], model: str = "tree"
) -> tuple[str, Verdict | None]:
    """The stage that a table's way ends at, with the model gate's verdict where it is the last."""
    stage = "init"
    try:
        table.write_parquet(folder / "table.parquet")
        proposal = propose(folder, "tiny", source=str(folder / "table.parquet"), label="label")
        documents = {name: yaml.safe_load(text) for name, text in proposal.files.items()}
        project = documents["project.yaml"]
        project["data"]["source"] = str(folder / "table.parquet")
        project["data"]["split"] = {**project["data"]["split"], **split}
        if "column" in split:
            del project["data"]["split"]["equal_rows"]
        project["sensitive"] = ["code"]
        is_regression = project["task"] == "regression"
        project["model"] = (REGRESSORS if is_regression else CLASSIFIERS)[model]
        documents["policy.yaml"]["model"].update(sections(is_regression=is_regression))
        documents["policy.yaml"]["data"]["mode"] = "dry_run"  # so that whatever the data gate says, training is tried
        texts = {f"{name.removesuffix('.yaml')}_text": yaml.safe_dump(text) for name, text in documents.items()}
        paths = {f"{name}_path": str(folder / name) for name in ("train", "test", "unseen", "serving")}
        stage = "ingest"
        ingest(texts["project_text"], texts["contract_text"], **paths)
        stage = "validate"
        gate = validate(
            paths["train_path"],
            paths["test_path"],
            **texts,
            data_hash="d",
            baseline_path=str(folder / "baseline"),
            report_path=str(folder / "data.html"),
        )
        if not gate.proceed:
            return stage, gate.verdict
        stage = "prepare"
        steps, prepared = str(folder / "steps"), str(folder / "prepared")
        prepare(paths["train_path"], texts["project_text"], steps_path=steps, prepared_path=prepared)
        stage = "train"
        parsed = Project.parse(texts["project_text"])
        pipeline = fit_pipeline(parsed, read_table(prepared), steps=Path(steps) / STEPS_FILE)
        predictions = out_of_fold(parsed, read_table(paths["train_path"]), pipeline=pipeline, fit_seconds=60)
        predictions.write(str(folder / "out_of_fold"))
        write_model(folder / "model", pipeline, out_of_fold_hash=sha256_of(folder / "out_of_fold"))
        stage = "evaluate"
        evaluation = evaluate(
            str(folder / "model"),
            paths["test_path"],
            unseen_path=paths["unseen_path"],
            out_of_fold_path=str(folder / "out_of_fold"),
            project_text=texts["project_text"],
            policy_text=texts["policy_text"],
            report_path=str(folder / "model.html"),
        )
    except ModelwayError:
        return stage, None
    return stage, evaluation.gate.verdict


def write_model(folder: Path, pipeline: Any, *, out_of_fold_hash: str) -> None:
    folder.mkdir()
    skops.io.dump(pipeline, folder / "model.skops")
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops"}
    content = {"flavors": {"sklearn": flavor}, "metadata": {METADATA_KEY: out_of_fold_hash}}
    (folder / "MLmodel").write_text(yaml.safe_dump(content), encoding="utf-8")


@bounded(25)
@given(table=tables(), split=st.sampled_from(SPLITS), model=st.sampled_from(sorted(CLASSIFIERS)))
def test_any_table_ends_in_a_verdict_or_an_error_of_ours(
    table: pl.DataFrame, split: dict[str, Any], model: str
) -> None:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stage, verdict = judged(Path(folder), table, split=split, model=model)
    assert stage in STAGES
    assert verdict is None or verdict in Verdict


SNAPSHOTS = [dt.date(2024, month, 1) for month in (1, 2, 3) for _ in range(40)]


@pytest.mark.parametrize(
    ("table", "split", "expected"),
    [
        pytest.param({"size": [1.0], "label": ["a"]}, {}, "init", id="one row"),
        pytest.param({"size": [1.0, 2.0], "label": ["a", "b"]}, {}, "evaluate", id="two rows"),
        pytest.param(
            {"size": [number % 7 for number in range(120)], "day": SNAPSHOTS, "label": [0, 1, 1, 0] * 30},
            {"by": "time", "column": "day"},
            "evaluate",
            id="three monthly snapshots",
        ),
    ],
)
def test_few_rows_come_as_far_as_they_can(
    tmp_path: Path, table: dict[str, Any], split: dict[str, Any], expected: str
) -> None:
    columns = {"code": pl.lit("a"), "day": pl.lit(dt.date(2024, 1, 1))}
    content = pl.DataFrame(table)
    content = content.with_columns(**{name: value for name, value in columns.items() if name not in content.columns})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        stage, _ = judged(tmp_path, content, split=split)
    assert stage == expected
