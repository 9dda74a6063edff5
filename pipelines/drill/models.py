"""Models with one fault each, which the drill trains by their training function, as a project's own."""

from __future__ import annotations

import os
import sys
import time
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin

from modelway.components.core.code.estimators import build_estimator, import_function
from modelway.components.core.config.project import Project

SLOW_SECONDS = 0.4
_OVERCONFIDENCE = 6.0


class _Faulty(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Predicts as a fitted model does, except for its fault."""

    def __init__(self, inner: Any = None, fault: str = "") -> None:
        self.inner = inner
        self.fault = fault

    def __sklearn_is_fitted__(self) -> bool:
        return self.inner is not None

    def fit(self, X: Any, y: Any) -> _Faulty:  # noqa: ARG002,N803
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        self._misbehave(X)
        answer = self.inner.predict(X)
        if self.fault == "random":
            answer = answer.copy()
            odd = np.random.default_rng().random(len(answer)) < 0.05
            answer[odd] = np.random.default_rng().permutation(answer)[odd]
        return answer

    def _misbehave(self, X: Any) -> None:  # noqa: N803
        if self.fault == "slow":
            time.sleep(SLOW_SECONDS)
        if self.fault == "crash" and bool(np.isnan(np.asarray(X, dtype=float)).any()):
            os._exit(13)


class FaultyClassifier(ClassifierMixin, _Faulty):  # type: ignore[misc]
    """A classifier with a fault."""

    @property
    def classes_(self) -> Any:
        """The classes that the model underneath was fitted on."""
        return self.inner.classes_

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """The probabilities, with the fault in them."""
        self._misbehave(X)
        probabilities = np.asarray(self.inner.predict_proba(X), dtype=np.float64)
        if self.fault == "random":
            probabilities = np.clip(
                probabilities + np.random.default_rng().normal(0, 0.05, probabilities.shape), 1e-6, 1
            )
        elif self.fault == "overconfident":
            probabilities = np.clip(probabilities, 1e-9, 1) ** _OVERCONFIDENCE
        return probabilities / probabilities.sum(axis=1, keepdims=True)


class FaultyRegressor(RegressorMixin, _Faulty):  # type: ignore[misc]
    """A regressor with a fault."""


def fit(features: Any, label: Any, *, fault: str, model: str, sample_weight: Any = None) -> Any:
    """Fits a project's model and wraps it.

    Args:
        features: The prepared features.
        label: The label.
        fault: ``slow``, ``crash`` (on missing values), ``random`` (other answers each time), ``overconfident``,
            ``unpackaged`` (of a class whose module is not packaged), or empty.
        model: The project whose model it is, as text.
        sample_weight: Passed on where the project weighs classes.
    """
    project = Project.parse(model)
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    settings = project.model
    if settings.entrypoint is not None:
        inner = import_function(settings)(features, label, **weights, **settings.parameters)
    else:
        inner = build_estimator(project).fit(features, label, **weights)
    kind: type[_Faulty] = FaultyRegressor if project.task == "regression" else FaultyClassifier
    return (_elsewhere(kind) if fault == "unpackaged" else kind)(inner, fault)


def _elsewhere(kind: type[_Faulty]) -> type[_Faulty]:
    """A class of a module that this process has and that nothing packages."""
    module = ModuleType("drill_unpackaged")
    moved = type(kind.__name__, (kind,), {"__module__": module.__name__})
    setattr(module, kind.__name__, moved)
    sys.modules[module.__name__] = module
    return moved
