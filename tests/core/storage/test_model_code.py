"""A model's own modules come from its folder, each model's from its own, and leave its hash as it is."""

from __future__ import annotations

import collections
import pickle
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.model_code import (
    MOST_LISTED,
    code_facts,
    pickled_modules,
    separate_modules,
)
from modelway.components.core.storage.models import folder_sha256, load_model, required_modules

CLASS = "class Constant:\n    def predict(self, rows):\n        import own_rule\n        return own_rule.VALUE\n"


def write(folder: Path, value: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of a class in its own module, which imports another when it predicts."""
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "own_constant.py").write_text(CLASS, encoding="utf-8")
    (code / "own_rule.py").write_text(f"VALUE = {value}\n", encoding="utf-8")
    with monkeypatch.context() as patch, separate_modules():
        patch.setattr(sys, "dont_write_bytecode", True)
        sys.path.insert(0, str(code))
        import own_constant  # type: ignore[import-not-found]

        (folder / "model.pkl").write_bytes(cloudpickle.dumps(own_constant.Constant()))
    flavor = {"pickled_model": "model.pkl", "serialization_format": "cloudpickle", "code": "code"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")
    return folder


def test_each_model_has_its_own_modules_also_those_that_it_imports_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [write(tmp_path / str(value), value, monkeypatch) for value in (1, 2)]
    with separate_modules():
        candidate = load_model(folders[0])
        assert candidate.predict(None) == 1
        with separate_modules():
            assert load_model(folders[1]).predict(None) == 2
        assert candidate.predict(None) == 1
    assert not {"own_constant", "own_rule"} & set(sys.modules)
    assert not any(str(folder / "code") in sys.path for folder in folders)


def test_loading_leaves_the_models_hash_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "model", 1, monkeypatch)
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    before = folder_sha256(folder)
    with separate_modules():
        load_model(folder).predict(None)
    assert folder_sha256(folder) == before
    assert sys.dont_write_bytecode is False


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        (
            "open(__file__.replace('own_constant.py', 'settings.json'))",
            "its code reads settings.json, which",
            "package",
        ),
        ("open('/no/such/file')", r"\[Errno 2\] No such file or directory: '/no/such/file'", "beside project.yaml"),
        ("1 / 0", "division by zero", "beside project.yaml"),
    ],
)
def test_modules_that_fail_where_the_model_is_loaded_are_an_error_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str, remedy: str
) -> None:
    folder = write(tmp_path / "model", 1, monkeypatch)
    (folder / "code" / "own_constant.py").write_text(f"{line}\n{CLASS}", encoding="utf-8")
    with separate_modules(), pytest.raises(ModelwayError, match=f"the model cannot be loaded: {message}") as error:
        load_model(folder)
    assert remedy in error.value.remedy


def test_the_modules_that_a_model_needs_are_those_that_it_does_not_bring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "model", 1, monkeypatch)
    assert "own_constant" not in required_modules(folder)
    (folder / "code" / "own_constant.py").unlink()
    assert "own_constant" in required_modules(folder)
    (folder / "model.pkl").write_bytes(b"no pickle")
    with pytest.raises(ModelwayError, match="cannot be read as a model"):
        required_modules(folder)


class _Spy(pickle.Unpickler):
    """Python's own unpickler, which hears what it looks up."""

    modules: set[str]

    def find_class(self, module: str, name: str) -> Any:
        self.modules.add(module)
        return super().find_class(module, name)


MODELS = [
    make_pipeline(StandardScaler(), LogisticRegression()).fit(np.eye(4), [0, 1, 0, 1]),
    collections.OrderedDict(a=Path("x"), b=[np.float64(1), np.arange(3)]),
    [LogisticRegression(), LogisticRegression(), "own_text.that.is.no.module"],
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("number", range(len(MODELS)))
def test_the_modules_in_a_pickle_are_those_that_unpickling_looks_up(number: int, protocol: int) -> None:
    import io

    pickled = pickle.dumps(MODELS[number], protocol=protocol)
    unpickler = _Spy(io.BytesIO(pickled))
    unpickler.modules = set()
    unpickler.load()
    renamed = {"__builtin__": "builtins", "copy_reg": "copyreg"}
    assert {renamed.get(name, name) for name in pickled_modules(pickled)} == {
        renamed.get(name, name) for name in unpickler.modules
    }


def test_a_report_says_which_files_are_in_the_codes_version(tmp_path: Path) -> None:
    def facts(metadata: object) -> dict[str, Any]:
        (tmp_path / "MLmodel").write_text(yaml.safe_dump({"metadata": metadata}), encoding="utf-8")
        return code_facts(tmp_path)

    code = {"files": ["a.py", "b.py"], "data_files": ["lookup.csv"], "problem": "too slow"}
    assert facts({"modelway_code": code}) == {
        "code_files": "a.py, b.py",
        "data_files_read_by_code": "lookup.csv: not in the code's version, a change trains nothing",
        "code_could_not_be_called": "too slow",
    }
    many = {"files": [f"{number}.py" for number in range(MOST_LISTED + 3)], "data_files": [], "problem": ""}
    assert str(facts({"modelway_code": many})["code_files"]).endswith("and 3 more")
    assert facts(None) == {}
    assert facts({"modelway_code": "damaged"}) == {}
