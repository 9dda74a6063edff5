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
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.signature import InputColumn, Signature


def test_a_trained_pipeline_is_loaded_with_its_outputs(trained_model: Any) -> None:
    predictor = Predictor.load(str(trained_model.folder), folder_sha256(trained_model.folder))
    assert predictor.outputs == ("predict", "predict_proba")
    assert predictor.dtypes["predict_proba"] == np.dtype(float)
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
    assert Predictor(Looks(), signature).predict(columns)["predict"].tolist() == ["object float64"]


def test_files_with_another_hash_are_refused(light: Path) -> None:
    with pytest.raises(DamagedError, match="not those that were released") as error:
        Predictor.load(str(light), "0" * 64)
    assert error.value.value == folder_sha256(light)


def test_a_model_whose_class_cannot_be_loaded_is_refused(write_model: Callable[..., Path]) -> None:
    class Broken:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    with pytest.raises(ModelwayError, match="the model cannot be loaded: invalid literal"):
        Predictor.load(str(write_model(Broken())))
