from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.errors import RequestError
from modelway.components.serve.loading import load_bundle
from modelway.components.serve.onnx_predictor import OnnxPredictor
from modelway.components.serve.signature import InputColumn, Signature


def test_the_converted_model_answers_as_the_pipeline_does(release: Any, trained_model: Any) -> None:
    model = load_bundle(release.folder, release.keys / "key.pub")
    assert isinstance(model.predictor, OnnxPredictor)
    assert (model.name, model.version, model.bounds) == ("loans", "3", (0.0075,))
    for rows in (trained_model.raw, trained_model.raw.head(1)):
        columns = {str(name): rows[name].to_numpy() for name in rows.columns}
        outputs = model.predictor.predict(columns)
        assert outputs["predict"].tolist() == trained_model.pipeline.predict(rows).tolist()
        np.testing.assert_allclose(outputs["predict_proba"], trained_model.pipeline.predict_proba(rows), atol=1e-5)
        only = model.predictor.predict(columns, ["predict_proba"])
        np.testing.assert_array_equal(only["predict_proba"], outputs["predict_proba"])
    assert model.predictor.dtypes == {"predict": np.dtype(object), "predict_proba": np.dtype(float)}


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
