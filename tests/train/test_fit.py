from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.utils.class_weight import compute_sample_weight

from modelway.components.core.errors import ModelwayError

Prepare = Callable[..., Any]
LOGISTIC = "sklearn.linear_model.LogisticRegression"
FOREST = "sklearn.ensemble.RandomForestClassifier"


@pytest.mark.parametrize(
    ("estimator", "parameters", "features"),
    [
        (LOGISTIC, {"max_iter": 500}, {"scale": "standard"}),
        (FOREST, {"n_estimators": 20}, {}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 5}, {"impute": "none"}),
        ("sklearn.naive_bayes.GaussianNB", {}, {}),
        ("sklearn.neighbors.KNeighborsClassifier", {}, {"scale": "standard"}),
        ("sklearn.neural_network.MLPClassifier", {"hidden_layer_sizes": [4, 2], "max_iter": 20}, {"scale": "standard"}),
    ],
)
@pytest.mark.parametrize(("task", "label"), [("binary", "late"), ("multiclass", "grade")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_classifiers_take_raw_columns(
    prepare_rows: Prepare,
    estimator: str,
    parameters: dict[str, Any],
    features: dict[str, Any],
    task: str,
    label: str,
) -> None:
    dataset = prepare_rows(
        {"estimator": estimator, "parameters": parameters}, task=task, label=label, features=features
    )
    pipeline = dataset.fit()
    assert set(pipeline.classes_) == set(dataset.table[label])
    assert set(pipeline.predict(dataset.raw)) <= set(pipeline.classes_)
    assert pipeline.feature_names_in_.tolist() == list(dataset.project.features.columns)
    strange = dataset.raw.head(3).assign(region=["nowhere", None, ""], income=np.nan)
    assert pipeline.predict_proba(strange).shape == (3, len(pipeline.classes_))


@pytest.mark.parametrize("estimator", ["sklearn.linear_model.Ridge", "sklearn.ensemble.HistGradientBoostingRegressor"])
def test_regressors_take_raw_columns(prepare_rows: Prepare, estimator: str) -> None:
    features = {"scale": "standard", "datetime": []}
    dataset = prepare_rows({"estimator": estimator}, task="regression", label="score", features=features)
    assert dataset.fit().score(dataset.raw, dataset.table["score"].to_numpy()) > 0.7


def test_the_preparation_in_the_model_is_that_of_the_features_stage(prepare_rows: Prepare) -> None:
    dataset = prepare_rows({"estimator": LOGISTIC, "parameters": {"max_iter": 500}}, features={"scale": "standard"})
    features = dataset.fit()[:-1].transform(dataset.raw)
    np.testing.assert_array_equal(features.to_numpy(), dataset.table.drop("late").to_numpy())
    assert list(features.columns) == dataset.table.columns[:-1]


@pytest.mark.parametrize("estimator", [FOREST, "sklearn.neural_network.MLPClassifier"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_same_seed_gives_the_same_model(prepare_rows: Prepare, estimator: str) -> None:
    parameters = {"n_estimators": 5} if estimator == FOREST else {"max_iter": 5}

    def answers(seed: int) -> np.ndarray[Any, Any]:
        dataset = prepare_rows({"estimator": estimator, "seed": seed, "parameters": parameters})
        return np.asarray(dataset.fit().predict_proba(dataset.raw))

    np.testing.assert_array_equal(answers(1), answers(1))
    assert (answers(1) != answers(2)).any()


def reference(dataset: Any, weights: Any) -> np.ndarray[Any, Any]:
    """The answers of the same forest, fitted by hand."""
    features = dataset.table.drop("late").to_pandas()
    forest = RandomForestClassifier(n_estimators=5, random_state=0)
    forest.fit(features, dataset.table["late"].to_numpy(), sample_weight=weights)
    return np.asarray(forest.predict_proba(features))


@pytest.mark.parametrize("weight", [None, "balanced", {"0": 1, "1": 25}, {0: 1, 1: 25}])
def test_classes_are_weighted(prepare_rows: Prepare, weight: Any) -> None:
    dataset = prepare_rows({"estimator": FOREST, "class_weight": weight, "parameters": {"n_estimators": 5}})
    label = dataset.table["late"].to_numpy()
    weights = None
    if weight == "balanced":
        weights = compute_sample_weight("balanced", label)
    elif weight is not None:
        weights = np.where(label == 1, 25.0, 1.0)
    np.testing.assert_array_equal(dataset.fit().predict_proba(dataset.raw), reference(dataset, weights))


@pytest.mark.parametrize(
    ("weight", "wrong"),
    [({"0": 1}, "1"), ({"0": 1, "1": 2, "2": 3}, "2"), ({"no": 1, "yes": 2}, "0")],
)
def test_weights_of_other_classes(prepare_rows: Prepare, weight: dict[str, float], wrong: str) -> None:
    dataset = prepare_rows({"estimator": FOREST, "class_weight": weight})
    with pytest.raises(ModelwayError, match="classes differ in") as error:
        dataset.fit()
    assert (error.value.key, error.value.column, error.value.value) == ("model.class_weight", "late", wrong)
    assert "each of 0, 1" in error.value.remedy


def test_an_estimator_without_sample_weights_cannot_weigh_classes(prepare_rows: Prepare) -> None:
    dataset = prepare_rows({"estimator": "sklearn.neighbors.KNeighborsClassifier", "class_weight": "balanced"})
    with pytest.raises(ModelwayError, match="takes no sample weights") as error:
        dataset.fit()
    assert error.value.key == "model.class_weight"


@pytest.mark.parametrize(
    ("model", "features", "says"),
    [
        ({"estimator": LOGISTIC}, {"impute": "none"}, "contains NaN"),
        ({"estimator": LOGISTIC, "parameters": {"C": -1}}, {}, "'C' parameter"),
        ({"estimator": LOGISTIC, "parameters": {"solver": "newton"}}, {}, "'solver' parameter"),
    ],
)
def test_a_fit_that_fails_is_explained(
    prepare_rows: Prepare, model: dict[str, Any], features: dict[str, Any], says: str
) -> None:
    with pytest.raises(ModelwayError, match="failed to fit") as error:
        prepare_rows(model, features=features).fit()
    assert says in error.value.message
    assert (error.value.key, error.value.value) == ("model.estimator", LOGISTIC)
    assert "model.parameters" in error.value.remedy
    assert error.value.__cause__ is not None


OWN = """
from sklearn.linear_model import LogisticRegression

seen = {}

def fit(features, label, **parameters):
    weights = parameters.pop("sample_weight", None)
    seen.update(columns=list(features.columns), kind=type(label).__name__, parameters=parameters, weights=weights)
    return LogisticRegression(max_iter=500, **parameters).fit(features, label, sample_weight=weights)

def nothing(features, label):
    return None

def broken(features, label):
    raise RuntimeError("out of luck\\nand more")

def silent(features, label):
    raise KeyError()

def exiting(features, label):
    raise SystemExit(3)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the user's own, beside the project."""
    (tmp_path / "own_training.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_training", raising=False)
    return "own_training"


def test_a_function_of_the_users_own_is_called(prepare_rows: Prepare, own: str) -> None:
    dataset = prepare_rows({"entrypoint": f"{own}:fit", "parameters": {"C": 0.5}})
    pipeline = dataset.fit()
    call = sys.modules[own].seen
    columns = dataset.table.columns[:-1]
    assert call == {"columns": columns, "kind": "Series", "parameters": {"C": 0.5}, "weights": None}
    assert pipeline[-1].C == 0.5
    assert pipeline.predict(dataset.raw).shape == (240,)


def test_a_function_of_the_users_own_gets_the_weights(prepare_rows: Prepare, own: str) -> None:
    dataset = prepare_rows({"entrypoint": f"{own}:fit", "class_weight": {"0": 1, "1": 3}})
    dataset.fit()
    weights = np.where(dataset.table["late"].to_numpy() == 1, 3.0, 1.0)
    np.testing.assert_array_equal(sys.modules[own].seen["weights"], weights)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("nothing", "returned NoneType, which has no predict"),
        ("broken", "out of luck"),
        ("silent", "KeyError"),
        ("exiting", "it calls sys.exit(3)"),
    ],
)
def test_a_function_that_fails_is_explained(prepare_rows: Prepare, own: str, function: str, says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        prepare_rows({"entrypoint": f"{own}:{function}"}).fit()
    assert says in error.value.message
    assert "\n" not in error.value.message
    assert (error.value.key, error.value.value) == ("model.entrypoint", f"{own}:{function}")


def test_labels_of_text_and_truth_values(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    for label in (pl.col("late").cast(pl.Boolean), pl.col("late").replace_strict([0, 1], ["no", "yes"])):
        dataset = prepare_rows({"estimator": "sklearn.naive_bayes.GaussianNB"}, table=rows.with_columns(late=label))
        pipeline = dataset.fit()
        assert set(pipeline.predict(dataset.raw)) == set(pipeline.classes_)
        assert pipeline.classes_.tolist() in [[0, 1], ["no", "yes"]]
