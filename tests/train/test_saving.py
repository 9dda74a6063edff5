from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest
import skops.io
import yaml
from sklearn.pipeline import Pipeline

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.models import load_model
from modelway.components.train.saving import save

Prepare = Callable[..., Any]
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 500}}
MODELS = {
    "logistic": ({**LOGISTIC}, "binary", "late"),
    "forest": (
        {"estimator": "sklearn.ensemble.RandomForestClassifier", "parameters": {"n_estimators": 5}},
        "multiclass",
        "grade",
    ),
    "boosting": (
        {"estimator": "sklearn.ensemble.HistGradientBoostingClassifier", "parameters": {"max_iter": 5}},
        "binary",
        "late",
    ),
    "bayes": ({"estimator": "sklearn.naive_bayes.GaussianNB"}, "multiclass", "grade"),
    "ridge": ({"estimator": "sklearn.linear_model.Ridge"}, "regression", "score"),
}


def save_model(data: Any, pipeline: Pipeline, folder: Path) -> str:
    return save(
        pipeline,
        str(folder),
        examples=data.raw.head(5),
        model_id="m-" + "0" * 32,
        run_id="1" * 32,
        location=(folder.parent / "artifacts").as_uri(),
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_as_before(prepare_rows: Prepare, tmp_path: Path, name: str) -> None:
    model, task, label = MODELS[name]
    data = prepare_rows(model, task=task, label=label)
    pipeline, folder = data.fit(), tmp_path / "model"
    assert save_model(data, pipeline, folder) == "skops"
    files = {file.name for file in folder.iterdir()}
    assert "model.skops" in files
    assert not [name for name in files if name.endswith((".pkl", ".pickle"))]
    expected = pipeline.predict(data.raw)
    ours, theirs = load_model(folder), mlflow.pyfunc.load_model(str(folder))
    np.testing.assert_array_equal(ours.predict(data.raw), expected)
    np.testing.assert_array_equal(theirs.predict(data.raw), expected)
    strange = data.raw.head(3).assign(region=["nowhere", None, ""], age=np.nan)
    np.testing.assert_array_equal(ours.predict(strange), pipeline.predict(strange))
    np.testing.assert_array_equal(theirs.predict(strange), pipeline.predict(strange))


@pytest.fixture
def logistic(prepare_rows: Prepare, tmp_path: Path) -> tuple[Any, Path]:
    data = prepare_rows(LOGISTIC)
    save_model(data, data.fit(), tmp_path / "model")
    return data, tmp_path / "model"


def test_the_signature_names_the_raw_columns_and_their_types(logistic: tuple[Any, Path]) -> None:
    _, folder = logistic
    metadata = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    inputs = json.loads(metadata["signature"]["inputs"])
    assert [(column["name"], column["type"]) for column in inputs] == [
        ("income", "double"),
        ("age", "double"),
        ("region", "string"),
        ("opened", "datetime"),
    ]
    assert json.loads(metadata["signature"]["outputs"])[0]["tensor-spec"]["dtype"] == "int64"
    assert metadata["model_uuid"] == metadata["model_id"] == "m-" + "0" * 32
    assert metadata["run_id"] == "1" * 32


def test_the_input_example_can_be_predicted(logistic: tuple[Any, Path]) -> None:
    _, folder = logistic
    example = json.loads((folder / "input_example.json").read_text(encoding="utf-8"))
    assert example["columns"] == ["income", "age", "region", "opened"]
    assert len(example["data"]) == 5
    model = mlflow.pyfunc.load_model(str(folder))
    assert len(model.predict(model.input_example)) == 5


def test_the_requirements_are_pinned_to_what_is_installed(logistic: tuple[Any, Path]) -> None:
    _, folder = logistic
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").split()
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+==[^=]+", line) for line in lines)
    pinned = dict(line.split("==") for line in lines)
    for name in ("scikit-learn", "skops", "numpy", "pandas", "modelway"):
        assert pinned[name] == version(name)
    conda = yaml.safe_load((folder / "conda.yaml").read_text(encoding="utf-8"))
    assert set(lines) <= set(conda["dependencies"][-1]["pip"])


def test_a_model_whose_file_was_tampered_with_is_refused(logistic: tuple[Any, Path]) -> None:
    from sklearn.preprocessing import FunctionTransformer

    _, folder = logistic
    pipeline = load_model(folder)
    pipeline.steps.insert(0, ("spy", FunctionTransformer(sys.exit)))
    skops.io.dump(pipeline, folder / "model.skops")
    with pytest.raises(ModelwayError, match="not among the types") as error:
        load_model(folder)
    assert error.value.file == str(folder / "model.skops")
    assert "exit" in (error.value.value or "")


OWN = """
from sklearn.linear_model import LogisticRegression

class Cautious(LogisticRegression):
    def predict(self, X):
        return (self.predict_proba(X)[:, 1] > 0.9).astype(int)

def fit(features, label):
    return Cautious(max_iter=500).fit(features, label)
"""


def test_a_model_of_the_users_own_class_is_pickled_and_says_so(
    prepare_rows: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own_class.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_class", raising=False)
    data = prepare_rows({"entrypoint": "own_class:fit"})
    pipeline, folder = data.fit(), tmp_path / "model"
    with caplog.at_level(logging.WARNING):
        assert save_model(data, pipeline, folder) == "cloudpickle"
    assert "the model is pickled, since it holds own_class.Cautious" in caplog.text
    assert "loading it will execute code" in caplog.text
    assert "cloudpickle==" in (folder / "requirements.txt").read_text(encoding="utf-8")
    np.testing.assert_array_equal(load_model(folder).predict(data.raw), pipeline.predict(data.raw))
    np.testing.assert_array_equal(mlflow.pyfunc.load_model(str(folder)).predict(data.raw), pipeline.predict(data.raw))
