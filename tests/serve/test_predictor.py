from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.storage.models import folder_sha256
from modelway.components.serve.errors import RequestError
from modelway.components.serve.loading import load_bundle
from modelway.components.serve.predictor import OnnxPredictor, PipelinePredictor
from modelway.components.serve.signature import InputColumn, Signature


def test_a_trained_pipeline_is_loaded_with_its_outputs(trained_model: Any) -> None:
    predictor = PipelinePredictor.load(str(trained_model.folder), folder_sha256(trained_model.folder))
    assert predictor.outputs == {"predict": np.dtype(object), "predict_proba": np.dtype(float)}
    columns = {str(name): trained_model.raw[name].to_numpy() for name in trained_model.raw.columns}
    outputs = predictor.predict(columns, ["predict_proba"])
    assert list(outputs) == ["predict_proba"]
    np.testing.assert_array_equal(outputs["predict_proba"], trained_model.pipeline.predict_proba(trained_model.raw))
    with pytest.raises(RequestError, match="no output 'shap'; it has predict and predict_proba"):
        predictor.predict(columns, ["shap"])


def test_text_stays_python_strings_for_the_model() -> None:
    class Looks:
        def predict(self, rows: pd.DataFrame) -> Any:
            return np.array([f"{rows['region'].dtype} {rows['income'].dtype}"])

    signature = Signature((InputColumn("income", "number"), InputColumn("region", "text")))
    columns = {"income": np.array([1.5]), "region": np.array(["north"], dtype=object)}
    assert PipelinePredictor(Looks(), signature).predict(columns)["predict"].tolist() == ["object float64"]


def test_files_with_another_hash_are_refused(light: Path) -> None:
    with pytest.raises(DamagedError, match="not those that were released") as error:
        PipelinePredictor.load(str(light), "0" * 64)
    assert error.value.value == folder_sha256(light)


def test_a_model_whose_class_cannot_be_loaded_is_refused(write_model: Callable[..., Path]) -> None:
    class Broken:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    with pytest.raises(ModelwayError, match="the model cannot be loaded: invalid literal"):
        PipelinePredictor.load(str(write_model(Broken())))


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
    assert model.predictor.outputs == {"predict": np.dtype(object), "predict_proba": np.dtype(float)}


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


@pytest.mark.parametrize(("income", "status"), [(1e300, 422), (7.0, None)])
def test_a_number_that_a_step_makes_infinite_is_the_clients_fault_if_it_is_huge(
    income: float, status: int | None
) -> None:
    class Model:
        def predict(self, _: object) -> object:
            raise ValueError("Input X contains infinity or a value too large for dtype('float32').")

    signature = Signature((InputColumn("age", "number"), InputColumn("income", "number")))
    columns = {"age": np.array([np.nan, 3.0]), "income": np.array([1.0, -income])}
    with pytest.raises(RequestError if status else ValueError) as error:
        PipelinePredictor(Model(), signature).predict(columns)
    if status:
        assert str(error.value) == "column 'income' holds a number of size 1e+300, too large for the model"
