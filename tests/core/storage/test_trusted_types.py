"""Every estimator is fitted, and its model is made of trusted types only and predicts the same when it is loaded."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import skops.io
import xgboost
from sklearn import ensemble, feature_selection, linear_model, neighbors, neural_network, preprocessing, svm
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor, kernels
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, StratifiedKFold
from sklearn.multiclass import OutputCodeClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils import all_estimators

from modelway.components.core.storage.models import HeldTypes, load_skops
from modelway.components.core.storage.trusted_types import TRUSTED_TYPES

_ROWS = np.random.default_rng(0).random((60, 4))
_NUMBER = _ROWS[:, 0] + 0.1
_TARGETS = {"two": (_ROWS[:, 0] > 0.5).astype(int), "three": np.digitize(_ROWS[:, 0], [0.3, 0.6]), "number": _NUMBER}
_CLASSIFIERS = [("linear", LogisticRegression()), ("tree", DecisionTreeClassifier())]
_REGRESSORS = [("linear", LinearRegression()), ("tree", DecisionTreeRegressor())]
# Birch has no format in skops; the others take more than one target, other models, one column, words or pictures.
_LEFT_OUT = """
    Birch CCA ClassifierChain ColumnTransformer DictVectorizer FeatureHasher FeatureUnion GaussianRandomProjection
    HashingVectorizer IsotonicRegression KernelCenterer LabelBinarizer LabelEncoder MissingIndicator MultiLabelBinarizer
    MultiOutputClassifier MultiOutputRegressor MultiTaskElasticNet MultiTaskElasticNetCV MultiTaskLasso MultiTaskLassoCV
    PLSCanonical PLSRegression PLSSVD PatchExtractor RegressorChain SelfTrainingClassifier SparseCoder
    SparseRandomProjection StackingClassifier StackingRegressor TSNE VotingClassifier VotingRegressor
""".split()  # noqa: SIM905


def _named(kind: str) -> Iterator[Any]:
    """Every estimator of a kind, with its defaults; those that take another around one that is simple."""
    inner = LogisticRegression() if kind == "classifier" else LinearRegression()
    for name, estimator in all_estimators(type_filter=kind):
        if name in _LEFT_OUT or not estimator.__module__.startswith("sklearn."):
            continue
        for arguments in ((), (inner,)):
            try:
                model = estimator(*arguments)
            except TypeError:
                continue
            cheaper = {"n_estimators": 5, "max_iter": 50, "cv": 2, "Cs": 2}
            supported = model.get_params(deep=False)
            model.set_params(**{key: value for key, value in cheaper.items() if isinstance(supported.get(key), int)})
            yield pytest.param(model, id=name)
            break


def _with_models(transformers: Iterator[Any]) -> Iterator[Any]:
    for parameters in transformers:
        yield pytest.param(make_pipeline(parameters.values[0], LogisticRegression()), id=parameters.id)


def _variants() -> Iterator[Any]:
    """Models whose parts depend on parameters."""
    yield from (ensemble.StackingClassifier(_CLASSIFIERS), ensemble.VotingClassifier(_CLASSIFIERS, voting="soft"))
    yield from (ensemble.StackingRegressor(_REGRESSORS), ensemble.VotingRegressor(_REGRESSORS))
    grid = {"C": [0.1, 1.0]}
    yield from (GridSearchCV(LogisticRegression(), grid), RandomizedSearchCV(LogisticRegression(), grid, n_iter=2))
    yield GridSearchCV(LogisticRegression(), grid, scoring="roc_auc", cv=StratifiedKFold(3))
    yield from (CalibratedClassifierCV(method=method) for method in ("isotonic", "sigmoid", "temperature"))
    union = FeatureUnion([("scaled", preprocessing.StandardScaler()), ("powers", preprocessing.PolynomialFeatures())])
    columns = [("scaled", preprocessing.StandardScaler(), [0, 1]), ("bins", preprocessing.KBinsDiscretizer(), [2])]
    for step in (
        union,
        ColumnTransformer(columns, remainder="passthrough"),
        preprocessing.FunctionTransformer(np.log1p),
        preprocessing.SplineTransformer(extrapolation="periodic"),
        preprocessing.OneHotEncoder(handle_unknown="ignore"),
        *(feature_selection.SelectKBest(score, k=2) for score in _scores("classif")),
        *(preprocessing.KBinsDiscretizer(encode=encode) for encode in ("ordinal", "onehot-dense")),
    ):
        yield make_pipeline(step, LogisticRegression())
    for score in _scores("regression"):
        yield make_pipeline(feature_selection.SelectKBest(score, k=2), LinearRegression())
    yield TransformedTargetRegressor(LinearRegression(), func=np.log, inverse_func=np.exp)
    yield TransformedTargetRegressor(LinearRegression(), transformer=preprocessing.PowerTransformer())
    for solver in ("adam", "sgd", "lbfgs"):
        yield neural_network.MLPClassifier(solver=solver, max_iter=20)
    for loss in ("hinge", "log_loss", "modified_huber", "squared_hinge", "perceptron"):
        yield linear_model.SGDClassifier(loss=loss)
    for loss in ("squared_error", "huber", "epsilon_insensitive", "squared_epsilon_insensitive"):
        yield linear_model.SGDRegressor(loss=loss)
    for loss in ("squared_error", "absolute_error", "gamma", "poisson"):
        yield ensemble.HistGradientBoostingRegressor(loss=loss, max_iter=5)
    yield ensemble.HistGradientBoostingRegressor(loss="quantile", quantile=0.5, max_iter=5)
    yield ensemble.HistGradientBoostingClassifier(early_stopping=True, max_iter=5)
    for loss in ("squared_error", "absolute_error", "huber", "quantile"):
        yield ensemble.GradientBoostingRegressor(loss=loss, n_estimators=5)
    for init in ("zero", LogisticRegression()):
        yield ensemble.GradientBoostingClassifier(init=init, n_estimators=5)
    yield ensemble.GradientBoostingClassifier(loss="exponential", n_estimators=5)
    yield ensemble.RandomForestClassifier(random_state=np.random.RandomState(1), n_estimators=5)
    for power in (0, 1, 1.5, 2, 3):
        yield linear_model.TweedieRegressor(power=power)
    yield OutputCodeClassifier(svm.LinearSVC())
    for metric in sorted(set(neighbors.VALID_METRICS["ball_tree"]) - {"pyfunc", "haversine"}):
        matrix = {"seuclidean": np.ones(4), "mahalanobis": np.eye(4)}.get(metric)
        parameters = None if matrix is None else {"V": matrix}
        yield neighbors.KNeighborsClassifier(algorithm="ball_tree", metric=metric, metric_params=parameters)
    yield neighbors.KNeighborsClassifier(algorithm="kd_tree")
    yield neighbors.KNeighborsClassifier(algorithm="brute")
    for kernel in (
        kernels.Matern(),
        kernels.RationalQuadratic(),
        kernels.DotProduct(),
        kernels.WhiteKernel() + kernels.RBF(),
        kernels.RBF() ** 2,
        kernels.PairwiseKernel(),
    ):
        yield from (GaussianProcessRegressor(kernel), GaussianProcessClassifier(kernel))
    yield from (lightgbm.LGBMClassifier(verbose=-1), lightgbm.LGBMRegressor(verbose=-1))
    yield from (xgboost.XGBClassifier(n_estimators=5), xgboost.XGBRFClassifier(n_estimators=5))
    yield from (xgboost.XGBRegressor(n_estimators=5), xgboost.XGBRFRegressor(n_estimators=5))


def _scores(kind: str) -> list[Any]:
    names = {"classif": ("chi2", "f_classif", "mutual_info_classif")}
    return [
        getattr(feature_selection, name)
        for name in names.get(kind, ("f_regression", "r_regression", "mutual_info_regression"))
    ]


_MODELS = [
    *_named("classifier"),
    *_named("regressor"),
    *_with_models(_named("transformer")),
    *(pytest.param(model, id=f"{type(model).__name__}-{number}") for number, model in enumerate(_variants())),
]


@pytest.mark.parametrize("model", _MODELS)
def test_a_fitted_model_is_made_of_trusted_types_and_is_loaded(model: Any, tmp_path: Path) -> None:
    fits = 0
    for target in _TARGETS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fitted = clone(model).fit(_ROWS, target)
            except ValueError:  # it is for another kind of target
                continue
            skops.io.dump(fitted, tmp_path / "model.skops")
            dumped = (tmp_path / "model.skops").read_bytes()
            assert HeldTypes.read(dumped).untrusted == ()
            loaded = load_skops(tmp_path / "model.skops")
            if hasattr(fitted, "predict"):
                np.testing.assert_allclose(loaded.predict(_ROWS), fitted.predict(_ROWS), rtol=1e-9)
            fits += 1
    assert fits


@pytest.mark.parametrize("name", sorted(name for name in TRUSTED_TYPES if not name.startswith("catboost.")))
def test_a_trusted_type_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(importlib.import_module(module), attribute))
