from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression
from user_files import minimal_project

from modelway.components.core.code.estimators import build_estimator, failure_of, import_function
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.termination import TerminatedError


def project(estimator: str | None, task: str = "binary", entrypoint: str | None = None, **model: Any) -> Project:
    return minimal_project(task=task, model={"estimator": estimator, "entrypoint": entrypoint, **model})


@pytest.mark.parametrize(
    ("estimator", "task"),
    [
        ("sklearn.linear_model.LogisticRegression", "binary"),
        ("sklearn.ensemble.RandomForestClassifier", "multiclass"),
        ("sklearn.ensemble.HistGradientBoostingClassifier", "binary"),
        ("sklearn.naive_bayes.GaussianNB", "multiclass"),
        ("sklearn.calibration.CalibratedClassifierCV", "binary"),
        ("sklearn.linear_model.Ridge", "regression"),
        ("sklearn.ensemble.HistGradientBoostingRegressor", "regression"),
    ],
)
def test_any_estimator_by_its_path(estimator: str, task: str) -> None:
    result = build_estimator(project(estimator, task, seed=5))
    assert type(result).__name__ == estimator.rsplit(".", maxsplit=1)[-1]
    assert result.get_params().get("random_state", 5) == 5


def test_parameters_and_seed_are_given() -> None:
    estimator = build_estimator(project("sklearn.linear_model.LogisticRegression", parameters={"C": 0.5}, seed=7))
    assert isinstance(estimator, LogisticRegression)
    assert (estimator.C, estimator.random_state) == (0.5, 7)


def test_a_seed_among_the_parameters_wins() -> None:
    parameters = {"random_state": 1}
    estimator = build_estimator(project("sklearn.linear_model.LogisticRegression", parameters=parameters, seed=7))
    assert estimator.random_state == 1


@pytest.mark.parametrize(("notation", "value"), [("1e-3", 0.001), ("2E5", 2e5), (".inf", float("inf"))])
def test_numbers_as_people_write_them(notation: str, value: float) -> None:
    text = (
        "name: a\ntask: binary\nlabel: y\ndata: {source: x}\nfeatures: {numeric: [x]}\n"
        f"model: {{estimator: sklearn.linear_model.LogisticRegression, parameters: {{C: {notation}}}}}"
    )
    assert value == build_estimator(Project.parse(text)).C
    assert value == build_estimator(Project.parse(Project.parse(text).canonical())).C


@pytest.mark.parametrize(
    ("estimator", "task", "model", "key", "says", "remedy"),
    [
        (
            "sklearn.ensemble.RandomForest",
            "binary",
            {},
            "model.estimator",
            "no 'RandomForest'",
            "RandomForestClassifier",
        ),
        ("sklearn.linear_models.Ridge", "binary", {}, "model.estimator", "cannot be imported", "correct the path"),
        ("no_such_package.Model", "binary", {}, "model.estimator", "cannot be imported", "install its package"),
        ("sklearn.preprocessing.StandardScaler", "binary", {}, "model.estimator", "not a scikit-learn", "entrypoint"),
        ("os.path.join", "binary", {}, "model.estimator", "not a scikit-learn-compatible", "name an estimator class"),
        ("sklearn.linear_model.Ridge", "binary", {}, "model.estimator", "does not fit the task", "name a classifier"),
        ("sklearn.svm.SVC", "regression", {}, "model.estimator", "does not fit the task", "name a regressor"),
        ("sklearn.multiclass.OneVsRestClassifier", "binary", {}, "model.estimator", "without arguments", "entrypoint"),
        (
            "sklearn.ensemble.RandomForestClassifier",
            "binary",
            {"n_estimator": 5},
            "model.parameters.n_estimator",
            "no parameter 'n_estimator'",
            "n_estimators",
        ),
        (
            "sklearn.naive_bayes.GaussianNB",
            "binary",
            {"zzz": 5},
            "model.parameters.zzz",
            "no parameter 'zzz'",
            "choose one of priors, var_smoothing",
        ),
        (
            "sklearn.calibration.CalibratedClassifierCV",
            "binary",
            {"estimator__C": 5},
            "model.parameters",
            "refuses its parameters",
            "entrypoint",
        ),
    ],
)
def test_what_cannot_be_built_is_explained(
    estimator: str, task: str, model: dict[str, Any], key: str, says: str, remedy: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        build_estimator(project(estimator, task, parameters=model))
    assert error.value.key == key
    assert says in error.value.message
    assert remedy in error.value.remedy


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, beside the project."""
    (tmp_path / "own_functions.py").write_text(
        "def fit(features, label, depth=3):\n    return None\n\nlimit = 3\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_functions", raising=False)
    return "own_functions"


def test_a_function_of_the_users_own(module: str) -> None:
    assert import_function(project(None, entrypoint=f"{module}:fit").model).__name__ == "fit"


@pytest.mark.parametrize(
    ("entrypoint", "says", "remedy"),
    [
        ("own_functions:fitt", "no 'fitt'", "did you mean fit?"),
        ("own_functions:limit", "is not a function", "(features, label, **parameters)"),
        ("other_functions:fit", "cannot be imported", "correct the path"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_function_that_is_not_there(entrypoint: str, says: str, remedy: str) -> None:
    with pytest.raises(ModelwayError) as error:
        import_function(project(None, entrypoint=entrypoint).model)
    assert error.value.key == "model.entrypoint"
    assert says in error.value.message
    assert remedy in error.value.remedy


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1 / 0", "failing_functions:fit cannot be imported: division by zero"),
        ("raise SystemExit(3)", "failing_functions:fit cannot be imported: it calls sys.exit(3)"),
        ("x = (", "failing_functions:fit cannot be imported: '(' was never closed"),
    ],
)
def test_a_module_that_fails_when_it_is_imported_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, says: str
) -> None:
    (tmp_path / "failing_functions.py").write_text(f"{line}\ndef fit(features, label): ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelwayError, match=re.escape(says)) as error:
        import_function(project(None, entrypoint="failing_functions:fit").model)
    assert error.value.remedy == "correct the module, so that importing it does not fail"


def test_a_signal_that_ends_the_process_is_no_failure_of_the_code() -> None:
    with pytest.raises(TerminatedError):
        failure_of(TerminatedError(15))
