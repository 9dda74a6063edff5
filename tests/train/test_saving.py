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

from modelway.components.core.code.version import ProjectCode
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.model_code import separate_modules
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


@pytest.fixture
def own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectCode:
    """A project's code with a class of its own, and a module that the class imports late."""
    files = {
        "saved_own.py": "from sklearn.linear_model import LogisticRegression\n\n\nclass Own(LogisticRegression):\n"
        "    def predict(self, features):\n        import saved_late\n        return super().predict(features)\n\n\n"
        "def fit(features, label, own):\n"
        "    return (Own if own else LogisticRegression)(max_iter=500).fit(features, label)\n",
        "saved_late.py": "",
        "saved_unrelated.py": "",
    }
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(folder)
    return ProjectCode(folder, ("saved_late.py", "saved_own.py"))


@pytest.mark.parametrize(("own", "trusted"), [(True, ()), (True, ("saved_own.Own",)), (False, ())])
def test_a_model_brings_the_projects_code_if_it_names_a_module_of_it(
    prepare_rows: Prepare,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    own_code: ProjectCode,
    own: bool,
    trusted: tuple[str, ...],
) -> None:
    data = prepare_rows({"entrypoint": "saved_own:fit", "parameters": {"own": own}})
    pipeline, folder = data.fit(), tmp_path / "model"
    expected = pipeline.predict(data.raw.head(5))
    identity = {"model_id": "m-" + "0" * 32, "run_id": "1" * 32, "location": (tmp_path / "artifacts").as_uri()}
    kind = save(
        pipeline,
        str(folder),
        examples=data.raw.head(5),
        **identity,
        trusted_types=trusted,
        code=own_code,
        data_files=["lookup.csv"],
    )
    assert kind == ("cloudpickle" if own and not trusted else "skops")
    assert [path.name for path in sorted(folder.glob("code/*"))] == (list(own_code.files) if own else [])
    described = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["metadata"]["modelway_code"]
    assert described == {"files": list(own_code.files), "data_files": ["lookup.csv"], "problem": ""}
    monkeypatch.undo()  # the project's folder is no place to import from any more
    sys.modules.pop("saved_own", None)
    with separate_modules():
        assert load_model(folder, trusted).predict(data.raw.head(5)).tolist() == expected.tolist()
    if own:
        monkeypatch.syspath_prepend(tmp_path)  # undone at the end, with what MLflow prepends
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        loaded = mlflow.pyfunc.load_model(str(folder))
        assert np.asarray(loaded.predict(data.raw.head(5))).tolist() == expected.tolist()
        sys.modules.pop("saved_own", None)
        sys.modules.pop("saved_late", None)
