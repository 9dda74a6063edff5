"""Finds what to fit: an estimator by its import path, or the user's own function."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from sklearn.base import is_classifier, is_regressor

from modelway.components.core.config.project import Model, Project
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.termination import TerminatedError


def build_estimator(project: Project) -> Any:
    """The unfitted estimator with its parameters and seed.

    Raises:
        ModelwayError: it cannot be imported, is no estimator, does not fit the task, or refuses a parameter.
    """
    model = project.model
    path = str(model.estimator)
    module, _, name = path.rpartition(".")
    kind = _attribute(module, name, path=path, key="model.estimator")
    refusal = partial(ModelwayError, key="model.estimator", value=path)
    if not (hasattr(kind, "fit") and hasattr(kind, "predict") and hasattr(kind, "get_params")):
        raise refusal(
            f"{path} is not a scikit-learn-compatible estimator: it lacks fit, predict or get_params",
            remedy="name an estimator class, or use `model.entrypoint` for a function of your own",
        )
    try:
        known_parameters = kind().get_params()
    except TypeError as error:
        raise refusal(
            f"{path} cannot be made without arguments: {first_line(error)}",
            remedy="make and fit it in a function of your own, and name that as `model.entrypoint`",
        ) from error
    for parameter in model.parameters:
        if parameter.split("__")[0] not in known_parameters:
            raise ModelwayError(
                f"{path} has no parameter {parameter!r}",
                key=f"model.parameters.{parameter}",
                value=parameter,
                remedy=_suggestion(parameter, known_parameters),
            )
    seed = {"random_state": model.seed} if "random_state" in known_parameters else {}
    try:
        estimator = kind().set_params(**{**seed, **model.parameters})
    except (AttributeError, TypeError, ValueError) as error:
        raise ModelwayError(
            f"{path} refuses its parameters: {first_line(error)}",
            key="model.parameters",
            value=path,
            remedy="correct them, or make and fit the model in a function of your own, as `model.entrypoint`",
        ) from error
    fits, right = (is_regressor, "regressor") if project.task == "regression" else (is_classifier, "classifier")
    if not fits(estimator):
        raise refusal(f"{path} does not fit the task {project.task}", remedy=f"name a {right}, or correct `task`")
    return estimator


def import_function(model: Model) -> Callable[..., Any]:
    """The user's own training function.

    Raises:
        ModelwayError: it cannot be imported or cannot be called.
    """
    path = str(model.entrypoint)
    module, _, name = path.partition(":")
    function = _attribute(module, name, path=path, key="model.entrypoint")
    if not callable(function):
        raise ModelwayError(
            f"{path} is not a function",
            key="model.entrypoint",
            value=path,
            remedy="name a function that takes (features, label, **parameters) and returns a fitted estimator",
        )
    return function  # type: ignore[no-any-return]


def _attribute(module: str, name: str, *, path: str, key: str) -> Any:
    try:
        loaded_module = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        remedy = "correct the module, so that importing it does not fail"
        if isinstance(error, ImportError):
            remedy = "correct the path, or install its package here and in the image that the pipeline runs in"
        raise ModelwayError(
            f"{path} cannot be imported: {failure_of(error)}", key=key, value=path, remedy=remedy
        ) from error
    try:
        return getattr(loaded_module, name)
    except AttributeError as error:
        raise ModelwayError(
            f"{module} has no {name!r}",
            key=key,
            value=path,
            remedy=_suggestion(name, [attribute for attribute in dir(loaded_module) if not attribute.startswith("_")]),
        ) from error


def failure_of(error: BaseException) -> str:
    """Why a project's code failed, in a line; what tells this process to end is raised again."""
    if isinstance(error, TerminatedError):
        raise error
    return f"it calls sys.exit({error.code!r})" if isinstance(error, SystemExit) else first_line(error)


def _suggestion(wrong: str, candidates: Any) -> str:
    close = difflib.get_close_matches(wrong, list(candidates), n=3)
    return f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(sorted(candidates)[:12])}, …"
