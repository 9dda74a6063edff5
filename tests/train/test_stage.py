from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from modelway.components.core.code.version import code_version
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.out_of_fold import METADATA_KEY, OutOfFold
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256, model_metadata
from modelway.components.core.storage.uri import sha256_of
from modelway.components.train.stage import train

Prepare = Callable[..., Any]
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 500}}


@pytest.fixture(autouse=True)
def _tracking(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)


def test_training_logs_the_model_byte_for_byte(
    prepare_rows: Prepare, tmp_path: Path, rows: pl.DataFrame, tracking: Tracking
) -> None:
    prepared_rows = prepare_rows({**LOGISTIC, "class_weight": "balanced", "seed": 3})
    model = train(
        str(tmp_path / "prepared"),
        str(tmp_path / "train"),
        steps_path=str(tmp_path / "steps"),
        project_text=prepared_rows.project.canonical(),
        data_hash="data",
        model_path=str(tmp_path / "model"),
    )
    assert model.model_hash == folder_sha256(tmp_path / "model")
    assert model.rows == len(rows)
    assert model.fit_seconds > 0
    run = tracking.client.get_run(model.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model"] == LOGISTIC["estimator"]
    assert run.data.params["class_weight"] == "balanced"
    assert run.data.params["model.max_iter"] == "500"
    assert run.data.metrics["train_rows"] == len(rows)
    assert run.data.tags["modelway.serialization"] == "skops"
    assert run.data.tags["modelway.data_hash"] == "data"
    assert run.data.tags["modelway.project_hash"] == prepared_rows.project.sha256()
    logged_model = tracking.client.get_logged_model(model.model_id)
    assert logged_model.status == "READY"
    artifacts = Path(logged_model.artifact_location.removeprefix("file://"))
    assert folder_sha256(artifacts) == model.model_hash


def test_out_of_fold_predictions_are_written_and_the_model_names_their_hash(
    prepare_rows: Prepare, tmp_path: Path, rows: pl.DataFrame
) -> None:
    project = prepare_rows(LOGISTIC).project
    train(
        str(tmp_path / "prepared"),
        str(tmp_path / "train"),
        steps_path=str(tmp_path / "steps"),
        project_text=project.canonical(),
        data_hash="data",
        model_path=str(tmp_path / "model"),
        out_of_fold_path=str(tmp_path / "out_of_fold"),
    )
    assert model_metadata(tmp_path / "model") == {METADATA_KEY: sha256_of(tmp_path / "out_of_fold")}
    predictions = OutOfFold.read(str(tmp_path / "out_of_fold"), project, classes=("0", "1"))
    assert predictions.table.equals(rows)
    assert len(predictions.repeats) == 4


def test_training_that_fails_ends_its_run_as_failed(prepare_rows: Prepare, tmp_path: Path, tracking: Tracking) -> None:
    prepared_rows = prepare_rows(LOGISTIC, features={"impute": "none"})
    text = prepared_rows.project.canonical().replace('"name": "loans"', '"name": "loans-failing"')
    paths = [str(tmp_path / name) for name in ("prepared", "train")]
    about = {"project_text": text, "steps_path": str(tmp_path / "steps"), "data_hash": "data"}
    with pytest.raises(ModelwayError, match="contains NaN"):
        train(*paths, **about, model_path=str(tmp_path / "model"))
    experiment = tracking.client.get_experiment_by_name("loans-failing")
    assert experiment is not None
    (run,) = tracking.client.search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"
    assert not (tmp_path / "model").exists()


def test_other_code_than_the_run_was_version_at_start_is_not_trained(
    prepare_rows: Prepare, tmp_path: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_changed.py").write_text("def fit(features, label): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    prepared_rows = prepare_rows({"entrypoint": "own_changed:fit"})
    text = prepared_rows.project.canonical().replace('"name": "loans"', '"name": "loans-changed"')
    paths = [str(tmp_path / name) for name in ("prepared", "train")]
    about = {"project_text": text, "steps_path": str(tmp_path / "steps"), "data_hash": "data"}
    version_at_start = code_version(prepared_rows.project)
    (tmp_path / "own_changed.py").write_text("def fit(features, label): return None\n", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is not the code that the run was started for"):
        train(*paths, **about, code_version=version_at_start, model_path=str(tmp_path / "model"))
    assert tracking.client.get_experiment_by_name("loans-changed") is None
    assert "own_changed" not in sys.modules


HIDDEN = """
import importlib

from sklearn.linear_model import LogisticRegression


def fit(features, label):
    importlib.import_module("own_" + "hidden")
    return LogisticRegression(max_iter=500).fit(features, label)
"""


def test_training_that_loads_a_module_outside_the_version_saves_no_model(
    prepare_rows: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_loading.py").write_text(HIDDEN, encoding="utf-8")
    (tmp_path / "own_hidden.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    prepared_rows = prepare_rows({"entrypoint": "own_loading:fit"})
    paths = [str(tmp_path / name) for name in ("prepared", "train")]
    about = {"steps_path": str(tmp_path / "steps"), "data_hash": "data", "model_path": str(tmp_path / "model")}
    with pytest.raises(ModelwayError, match=r"training loaded own_hidden\.py") as error:
        train(
            *paths,
            **about,
            project_text=prepared_rows.project.canonical(),
            code_version=code_version(prepared_rows.project),
        )
    assert error.value.file == str(tmp_path / "own_hidden.py")
    assert not (tmp_path / "model").exists()
