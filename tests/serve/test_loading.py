from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.components.core.bundle.signing import new_keys
from modelway.components.core.errors import ModelwayError
from modelway.components.serve.errors import RequestError
from modelway.components.serve.loading import load_bundle
from modelway.components.serve.onnx_predictor import OnnxPredictor
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.signature import InputColumn, Signature


def columns_of(raw: Any) -> dict[str, Any]:
    return {str(name): raw[name].to_numpy() for name in raw.columns}


def test_the_converted_model_answers_as_the_pipeline_does(release: Any, trained_model: Any) -> None:
    model = load_bundle(release.folder, release.keys / "key.pub")
    assert isinstance(model.predictor, OnnxPredictor)
    assert (model.name, model.version, model.bounds) == ("loans", "3", (0.0075,))
    for rows in (trained_model.raw, trained_model.raw.head(1)):
        columns = columns_of(rows)
        outputs = model.predictor.predict(columns)
        assert outputs["predict"].tolist() == trained_model.pipeline.predict(rows).tolist()
        np.testing.assert_allclose(outputs["predict_proba"], trained_model.pipeline.predict_proba(rows), atol=1e-5)
        only = model.predictor.predict(columns, ["predict_proba"])
        np.testing.assert_array_equal(only["predict_proba"], outputs["predict_proba"])
    assert model.predictor.dtypes == {"predict": np.dtype(object), "predict_proba": np.dtype(float)}


def test_without_a_converted_model_the_pipeline_is_served(release: Any, trained_model: Any) -> None:
    (release.folder / "model.onnx").unlink()
    model = load_bundle(release.sign().folder, release.keys / "key.pub")
    assert isinstance(model.predictor, Predictor)
    outputs = model.predictor.predict(columns_of(trained_model.raw))
    np.testing.assert_array_equal(outputs["predict_proba"], trained_model.pipeline.predict_proba(trained_model.raw))


def test_missing_values_are_refused_where_the_pipeline_refuses_them(release: Any) -> None:
    whole = load_bundle(release.folder).predictor
    assert isinstance(whole, OnnxPredictor)
    picky = OnnxPredictor(whole.session, whole.signature, ("opened", "income", "region"))
    row = {
        "income": np.array([1.0]),
        "age": np.array([np.nan]),
        "region": np.array(["n"], dtype=object),
        "opened": np.array(["2024-01-01"], dtype="datetime64[us]"),
    }
    assert len(picky.predict(row)["predict"]) == 1
    for name, missing in {
        "income": np.array([np.nan]),
        "region": np.array([None]),
        "opened": np.array(["NaT"], dtype="datetime64[us]"),
    }.items():
        with pytest.raises(RequestError, match=f"column '{name}' holds one") as error:
            picky.predict({**row, name: missing})
        assert error.value.status == 422
    with pytest.raises(RequestError, match="no output 'shap'; it has predict and predict_proba"):
        picky.predict(row, ["shap"])


def test_a_converted_model_of_other_columns_is_refused(release: Any) -> None:
    with pytest.raises(ModelwayError, match="does not have") as error:
        OnnxPredictor.load(release.folder / "model.onnx", Signature((InputColumn("income", "number"),)))
    assert error.value.column == "age"
    (release.folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelwayError, match="cannot be loaded"):
        OnnxPredictor.load(release.folder / "model.onnx", Signature(()))


@pytest.mark.parametrize("file", ["model.onnx", "model/MLmodel", "blessing.json", "baseline.json", "release.json"])
def test_a_tampered_release_is_refused(release: Any, file: str) -> None:
    path = release.folder / file
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ModelwayError) as error:
        load_bundle(release.folder, release.keys / "key.pub")
    assert Path(file).name in str(error.value)


def test_a_release_that_another_key_signed_is_refused(release: Any) -> None:
    new_keys(release.keys / "other", release.keys / "other.pub")
    with pytest.raises(ModelwayError, match="another key"):
        load_bundle(release.folder, release.keys / "other.pub")


def test_without_a_key_the_log_says_so(release: Any, caplog: pytest.LogCaptureFixture) -> None:
    load_bundle(release.folder)
    assert "signature is not verified" in caplog.text


def test_neither_pandas_nor_scikit_learn_is_imported_for_a_converted_model(release: Any) -> None:
    code = """
import json, sys
from pathlib import Path
from modelway.components.serve import __main__
from modelway.components.serve.app import App
from modelway.components.serve.loading import load_bundle
from modelway.components.serve.signature import Values
served = load_bundle(Path(sys.argv[1]), Path(sys.argv[2]))
App(served.predictor, served.name).metrics.exposition()
row = {"income": 1.0, "age": None, "region": "n", "opened": "2024-01-01"}
columns = served.predictor.signature.convert({name: Values([value]) for name, value in row.items()})
served.predictor.predict(columns)
served.drift.add(columns)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    command = [sys.executable, "-c", code, str(release.folder), str(release.keys / "key.pub")]
    process = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ})
    heavy = {"pandas", "sklearn", "scipy", "polars", "pydantic", "mlflow", "minio", "skops", "onnx"}
    assert heavy & set(json.loads(process.stdout)) == set()
