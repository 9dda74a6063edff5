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
from modelway.components.serve.loading import load_release
from modelway.components.serve.onnx_predictor import OnnxPredictor
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.signature import Column, Signature


def columns_of(raw: Any) -> dict[str, Any]:
    return {str(name): raw[name].to_numpy() for name in raw.columns}


def test_the_converted_model_answers_as_the_pipeline_does(release: Any, trained: Any) -> None:
    served = load_release(release.folder, release.keys / "key.pub")
    assert isinstance(served.predictor, OnnxPredictor)
    assert (served.name, served.version, served.bounds) == ("loans", "3", (0.0075,))
    for rows in (trained.raw, trained.raw.head(1)):
        columns = columns_of(rows)
        found = served.predictor.predict(columns)
        assert found["predict"].tolist() == trained.pipeline.predict(rows).tolist()
        np.testing.assert_allclose(found["predict_proba"], trained.pipeline.predict_proba(rows), atol=1e-5)
        only = served.predictor.predict(columns, ["predict_proba"])
        np.testing.assert_array_equal(only["predict_proba"], found["predict_proba"])
    assert served.predictor.dtypes == {"predict": np.dtype(object), "predict_proba": np.dtype(float)}


def test_without_a_converted_model_the_pipeline_is_served(release: Any, trained: Any) -> None:
    (release.folder / "model.onnx").unlink()
    served = load_release(release.sign().folder, release.keys / "key.pub")
    assert isinstance(served.predictor, Predictor)
    found = served.predictor.predict(columns_of(trained.raw))
    np.testing.assert_array_equal(found["predict_proba"], trained.pipeline.predict_proba(trained.raw))


def test_missing_values_are_refused_where_the_pipeline_refuses_them(release: Any) -> None:
    whole = load_release(release.folder).predictor
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
        with pytest.raises(RequestError, match=f"column '{name}' holds one") as caught:
            picky.predict({**row, name: missing})
        assert caught.value.status == 422
    with pytest.raises(RequestError, match="no output 'shap'; it has predict and predict_proba"):
        picky.predict(row, ["shap"])


def test_a_converted_model_of_other_columns_is_refused(release: Any) -> None:
    with pytest.raises(ModelwayError, match="does not state") as caught:
        OnnxPredictor.load(release.folder / "model.onnx", Signature((Column("income", "number"),)))
    assert caught.value.column == "age"
    (release.folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ModelwayError, match="cannot be loaded"):
        OnnxPredictor.load(release.folder / "model.onnx", Signature(()))


@pytest.mark.parametrize("file", ["model.onnx", "model/MLmodel", "blessing.json", "baseline.json", "release.json"])
def test_a_tampered_release_is_refused(release: Any, file: str) -> None:
    path = release.folder / file
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ModelwayError) as caught:
        load_release(release.folder, release.keys / "key.pub")
    assert Path(file).name in str(caught.value)


def test_a_release_that_another_key_signed_is_refused(release: Any) -> None:
    new_keys(release.keys / "other", release.keys / "other.pub")
    with pytest.raises(ModelwayError, match="another key"):
        load_release(release.folder, release.keys / "other.pub")


def test_without_a_key_the_log_says_so(release: Any, caplog: pytest.LogCaptureFixture) -> None:
    load_release(release.folder)
    assert "the signature is not looked at" in caplog.text


def test_neither_pandas_nor_scikit_learn_is_imported_for_a_converted_model(release: Any) -> None:
    code = """
import json, sys
from pathlib import Path
from modelway.components.serve import __main__
from modelway.components.serve.app import App
from modelway.components.serve.loading import load_release
from modelway.components.serve.signature import Values
served = load_release(Path(sys.argv[1]), Path(sys.argv[2]))
App(served.predictor, served.name).metrics.exposition()
row = {"income": 1.0, "age": None, "region": "n", "opened": "2024-01-01"}
columns = served.predictor.signature.convert({name: Values([value]) for name, value in row.items()})
served.predictor.predict(columns)
served.drift.add(columns)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""
    command = [sys.executable, "-c", code, str(release.folder), str(release.keys / "key.pub")]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env={**os.environ})
    heavy = {"pandas", "sklearn", "scipy", "polars", "pydantic", "mlflow", "minio", "skops", "onnx"}
    assert heavy & set(json.loads(found.stdout)) == set()
