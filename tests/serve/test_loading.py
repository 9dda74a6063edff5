from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.errors import ModelwayError
from modelway.components.serve.loading import load_bundle
from modelway.components.serve.predictor import PipelinePredictor


def test_without_a_converted_model_the_pipeline_is_served(release: Any, trained_model: Any) -> None:
    (release.folder / "model.onnx").unlink()
    model = load_bundle(release.sign().folder, release.keys / "key.pub")
    assert isinstance(model.predictor, PipelinePredictor)
    raw = trained_model.raw
    outputs = model.predictor.predict({str(name): raw[name].to_numpy() for name in raw.columns})
    np.testing.assert_array_equal(outputs["predict_proba"], trained_model.pipeline.predict_proba(trained_model.raw))


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
