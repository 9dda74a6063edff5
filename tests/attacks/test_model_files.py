"""Attacks by who can write the model's files: in MLflow's artifact store, in the store, or in a folder of the user's.

What a file would run leaves a mark; no mark may be there, whatever the file was refused for.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
import yaml
from scipy.stats._continuous_distns import norm_gen
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from modelway.components.core.errors import RejectedError
from modelway.components.core.storage.models import load_model


def distribution(mark: Path) -> bytes:
    """A distribution of scipy: it executes a string of its state."""
    random_variable = norm_gen(name="norm")
    functions = "".join(f"def _parse_args{suffix}(*values): pass\n" for suffix in ("", "_rvs", "_stats"))
    random_variable._parse_arg_template = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n{functions}"
    return skops.io.dumps(pipeline(random_variable))


def call(mark: Path) -> bytes:
    """A function that is called when the model predicts."""
    return skops.io.dumps(pipeline(FunctionTransformer(partial(np.savetxt, str(mark)))))


def own_function(mark: Path) -> bytes:
    """A function of our own, called with arguments of the file's when it is loaded."""
    node = constructor("modelway.components.core.tables.parquet", "read_table", [str(mark)])
    return with_node(node)


def library_call(mark: Path) -> bytes:
    """A type that is trusted, called with a path of the file's, which it would read."""
    return with_node(constructor("lightgbm.basic", "Booster", [None, None, str(mark)]))


def list_call(mark: Path) -> bytes:
    """A type that is trusted, in the place of a list's, which is called with what the list holds."""
    node = {**constructor("xgboost.core", "Booster", []), "__loader__": "ListNode", "content": [text(str(mark))]}
    return with_node(node)


def constructor(module: str, name: str, arguments: list[str | None]) -> dict[str, Any]:
    """A node that calls a type with arguments."""
    values = [text(value) for value in arguments]
    content = {
        "__class__": "tuple",
        "__module__": "builtins",
        "__loader__": "TupleNode",
        "content": values,
        "__id__": 2,
    }
    about = {"__class__": name, "__module__": module, "__loader__": "ConstructorFromReduceNode", "__id__": 1}
    return {**about, "content": content}


def text(value: str | None) -> dict[str, Any]:
    about = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "is_json": True, "__id__": 3}
    return {**about, "content": json.dumps(value)}


def pipeline(step: Any) -> Pipeline:
    return Pipeline([("step", step), ("model", LogisticRegression())])


def with_node(node: dict[str, Any]) -> bytes:
    """A saved pipeline with a node of the attacker's in place of its model."""
    source, target = io.BytesIO(skops.io.dumps(LogisticRegression())), io.BytesIO()
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as output:
        schema = json.loads(archive.read("schema.json"))
        output.writestr(
            "schema.json", json.dumps({**node, **{key: schema[key] for key in ("protocol", "_skops_version")}})
        )
    return target.getvalue()


def write_model(folder: Path, content: bytes, *, file: str = "model.skops", serialization: str = "skops") -> None:
    folder.mkdir(exist_ok=True)
    (folder / file).write_bytes(content)
    flavor = {"pickled_model": file, "serialization_format": serialization}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")


@pytest.mark.parametrize("attack", [distribution, call, own_function, library_call, list_call])
def test_a_file_that_would_run_code_is_refused_and_named(attack: Callable[[Path], bytes], tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write_model(tmp_path / "model", attack(mark))
    with pytest.raises(RejectedError, match="not among the types that models may be made of") as error:
        load_model(tmp_path / "model")
    assert error.value.file == str(tmp_path / "model" / "model.skops")
    assert error.value.value in error.value.message
    assert not mark.exists()


def test_a_type_that_the_policy_names_is_loaded(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write_model(tmp_path / "model", distribution(mark))
    name = "scipy.stats._continuous_distns.norm_gen"
    with pytest.raises(RejectedError, match=name):
        load_model(tmp_path / "model", ("scipy.stats._continuous_distns.expon_gen",))
    assert type(load_model(tmp_path / "model", (name,))).__name__ == "Pipeline"
    assert mark.exists()  # it does run code: that is what the name is asked for


@pytest.mark.parametrize("name", ["../stolen.skops", "/{folder}/stolen.skops", "link.skops"])
def test_mlmodel_names_no_file_outside_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "stolen.skops").write_bytes(skops.io.dumps(LogisticRegression()))
    model = tmp_path / "model"
    write_model(model, b"")
    (model / "link.skops").symlink_to(tmp_path / "stolen.skops")
    flavor = {"pickled_model": name.format(folder=tmp_path), "serialization_format": "skops"}
    (model / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")
    with pytest.raises(RejectedError, match="outside its folder"):
        load_model(model)


def write_code(folder: Path, module: str, mark: Path, *, named: str = "code") -> None:
    """Gives a model's folder a module that leaves a mark when it is imported, and has MLmodel name its folder."""
    (folder / named).mkdir(parents=True, exist_ok=True)
    line = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n"
    (folder / named / f"{module}.py").write_text(line, encoding="utf-8")
    document = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))
    document["flavors"]["sklearn"]["code"] = named
    (folder / "MLmodel").write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.mark.parametrize("module", ["sklearn", "numpy", "json", "own_evil"])
def test_code_beside_a_model_of_trusted_types_is_not_imported(module: str, tmp_path: Path) -> None:
    """Against whoever adds a module to a model that needs none, under the name of a library that loading imports."""
    write_model(tmp_path, skops.io.dumps(LogisticRegression()))
    write_code(tmp_path, module, tmp_path / "mark")
    before = list(sys.path)
    assert isinstance(load_model(tmp_path, ["own_other.Model"]), LogisticRegression)
    assert not (tmp_path / "mark").exists()
    assert sys.path == before


def test_code_of_a_type_that_nobody_trusts_is_not_imported(tmp_path: Path) -> None:
    write_model(tmp_path, with_node(constructor("own_evil", "Model", [])))
    write_code(tmp_path, "own_evil", tmp_path / "mark")
    with pytest.raises(RejectedError, match=r"own_evil\.Model"):
        load_model(tmp_path)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize("named", ["../outside", ".", "inside/../../outside"])
def test_mlmodel_names_no_code_outside_its_folder(named: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    write_model(folder, skops.io.dumps(LogisticRegression()))
    (folder / "inside").mkdir()
    write_code(folder, "own_evil", tmp_path / "mark", named=named)
    with pytest.raises(RejectedError, match="a folder of code outside its own"):
        load_model(folder, ["own_evil.Model"])
    assert not (tmp_path / "mark").exists()
