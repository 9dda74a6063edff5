from __future__ import annotations

import importlib
import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.models import HeldTypes, folder_sha256, load_model, load_skops, model_metadata


@pytest.fixture
def pipeline() -> Pipeline:
    features = np.array([[0.0], [1.0], [2.0], [3.0]])
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]).fit(features, [0, 0, 1, 1])


def test_a_model_of_trusted_types_is_loaded(tmp_path: Path, pipeline: Pipeline) -> None:
    skops.io.dump(pipeline, tmp_path / "model.skops")
    model = load_skops(tmp_path / "model.skops")
    assert model.predict([[0.0], [3.0]]).tolist() == [0, 1]
    assert HeldTypes.read((tmp_path / "model.skops").read_bytes()).untrusted == ()


def test_a_foreign_type_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    pipeline.steps.insert(0, ("spy", FunctionTransformer(os.mkdir)))
    file = tmp_path / "model.skops"
    skops.io.dump(pipeline, file)
    assert any(name.endswith("mkdir") for name in HeldTypes.read(file.read_bytes()).untrusted)
    with pytest.raises(ModelwayError, match="mkdir: not among the types") as error:
        load_skops(file)
    assert error.value.file == str(file)


def test_a_file_that_was_tampered_with_is_refused(tmp_path: Path, pipeline: Pipeline) -> None:
    good, bad = tmp_path / "good.skops", tmp_path / "bad.skops"
    skops.io.dump(pipeline, good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                schema["__module__"], schema["__class__"] = "subprocess", "Popen"
                content = json.dumps(schema).encode()
            target.writestr(name, content)
    with pytest.raises(ModelwayError, match=r"subprocess\.Popen: not among the types"):
        load_skops(bad)


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        "just text",
        "flavors: {}",
        "flavors: {python_function: {loader_module: os}}",
        "flavors: {sklearn: {pickled_model: model.pkl}}",
        "flavors: [unclosed",
    ],
)
def test_a_folder_without_a_model_of_ours_is_refused(tmp_path: Path, metadata: str | None) -> None:
    if metadata is not None:
        (tmp_path / "MLmodel").write_text(metadata, encoding="utf-8")
    with pytest.raises(ModelwayError, match="holds no scikit-learn model") as error:
        load_model(tmp_path)
    assert error.value.file == str(tmp_path)


@pytest.mark.parametrize(
    ("module", "reason"),
    [("own_models = None", "Can't get attribute 'Cautious'"), (None, "No module named 'own_models'")],
)
def test_a_model_whose_module_is_not_here_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str | None, reason: str
) -> None:
    import cloudpickle

    text = "from sklearn.linear_model import LogisticRegression\n\n\nclass Cautious(LogisticRegression):\n    pass\n"
    (tmp_path / "own_models.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    flavor = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle"}
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")
    (tmp_path / "model.pkl").write_bytes(cloudpickle.dumps(importlib.import_module("own_models").Cautious()))
    assert type(load_model(tmp_path)).__name__ == "Cautious"
    monkeypatch.delitem(sys.modules, "own_models")
    (tmp_path / "own_models.py").unlink()
    if module is not None:
        (tmp_path / "own_models.py").write_text(module, encoding="utf-8")
    with pytest.raises(ModelwayError) as error:
        load_model(tmp_path)
    assert f"the model cannot be loaded: {reason}" in error.value.message
    assert "beside project.yaml" in error.value.remedy


def test_what_the_metadata_claims_to_be_trusted_is_not_believed(tmp_path: Path, pipeline: Pipeline) -> None:
    pipeline.steps.insert(0, ("spy", FunctionTransformer(os.getcwd)))
    skops.io.dump(pipeline, tmp_path / "model.skops")
    flavor = {
        "pickled_model": "model.skops",
        "serialization_format": "skops",
        "skops_trusted_types": ["posix.getcwd", "nt.getcwd"],
    }
    (tmp_path / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")
    with pytest.raises(ModelwayError, match="getcwd"):
        load_model(tmp_path)


def test_the_hash_of_a_folder_covers_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_bytes(b"1")
    (folder / "sub" / "b").write_bytes(b"2")
    hashes = [folder_sha256(folder)]
    (folder / "sub" / "b").write_bytes(b"3")
    hashes.append(folder_sha256(folder))
    (folder / "sub" / "b").rename(folder / "b")
    hashes.append(folder_sha256(str(folder)))
    (folder / "b").rename(folder / "c")
    hashes.append(folder_sha256(folder))
    assert len(set(hashes)) == 4
    os.utime(folder / "a", (1, 1))
    assert folder_sha256(folder) == hashes[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata: {out_of_fold_sha256: abc}", {"out_of_fold_sha256": "abc"}),
        ("metadata: null", {}),
        ("flavors: {}", {}),
        ("metadata: [a]", {}),
        ("[", {}),
        (None, {}),
    ],
)
def test_a_models_metadata_is_empty_where_it_has_none_that_is_readable(
    tmp_path: Path, text: str | None, expected: dict[str, str]
) -> None:
    if text is not None:
        (tmp_path / "MLmodel").write_text(text, encoding="utf-8")
    assert model_metadata(tmp_path) == expected
