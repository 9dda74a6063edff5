"""Checks a project's files against each other and against what is installed, before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from modelway.components.core.code.estimators import build_estimator
from modelway.components.core.config.contract import check_agreement
from modelway.components.core.config.expressions import where_condition
from modelway.components.core.config.row_rules import check_rules
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import check_metric


def check_consistency(files: UserFiles, names: Mapping[str, str], *, trains_here: bool = True) -> None:
    """Checks the three files against each other and against what is installed.

    Args:
        files: The files.
        names: What to call ``project``, ``contract`` and ``policy`` in errors.
        trains_here: Whether the model is trained with what is installed here; else an estimator may be missing.

    Raises:
        ModelwayError: something would make the run fail later; names file and key.
    """
    check_agreement(files.project, files.contract, project_name=names["project"], contract_name=names["contract"])
    check_rules(files.contract, names["contract"])
    for metric in files.policy.metric_names:
        check_metric(metric, f"model.metrics.{metric}", file=names["policy"])
    _check_policy_columns(files, names)
    _check_conditions(files, names)
    _check_fairness(files, names)
    _check_label_time(files, names)
    estimator = files.project.model.estimator
    if estimator is not None and (trains_here or find_spec(estimator.partition(".")[0]) is not None):
        try:
            build_estimator(files.project)
        except ModelwayError as error:
            error.file = names["project"]
            raise


def _check_policy_columns(files: UserFiles, names: Mapping[str, str]) -> None:
    """Checks that the contract describes every column that the policy names."""
    model, data = files.policy.model, files.policy.data
    columns = [("model.slices.columns", column) for column in (model.slices.columns if model.slices else ())]
    columns += [("model.fairness.columns", column) for column in (model.fairness.columns if model.fairness else ())]
    columns += [(f"model.rules.{rule.name}", rule.invariant_to or rule.monotone or "") for rule in model.rules]
    columns += [("data.drift.columns", column) for column in data.drift.columns]
    columns += [("data.leakage.groups", column) for column in data.leakage.groups]
    for key, column in columns:
        if column and column not in files.contract.columns:
            raise ModelwayError(
                f"the policy names {column!r} at {key}, which {names['contract']} does not describe",
                file=names["policy"],
                key=key,
                column=column,
                remedy=f"choose among {', '.join(list(files.contract.columns)[:12])}",
            )


def _check_conditions(files: UserFiles, names: Mapping[str, str]) -> None:
    """Checks that each condition of a prediction rule can be read, before a model is trained for it."""
    for rule in files.policy.model.rules:
        if rule.where is not None:
            try:
                where_condition(rule.name, rule.where)
            except ModelwayError as error:
                error.file = names["policy"]
                raise


def _check_fairness(files: UserFiles, names: Mapping[str, str]) -> None:
    fairness, project = files.policy.model.fairness, files.project
    if fairness is None:
        return
    if not (fairness.columns or project.sensitive):
        raise ModelwayError(
            "the policy requires fairness, but names no columns to group by",
            file=names["policy"],
            key="model.fairness.columns",
            remedy=f"name columns there, or under `sensitive` in {names['project']}",
        )
    if fairness.metrics and project.task != "binary":
        raise ModelwayError(
            f"fairlearn's metrics require a binary label, but the task is {project.task}",
            file=names["policy"],
            key="model.fairness.metrics",
            remedy="use other metrics, under `model.fairness.groups`",
        )


def _check_label_time(files: UserFiles, names: Mapping[str, str]) -> None:
    label_time = files.project.data.label_time
    if label_time is not None and label_time not in files.contract.columns:
        raise ModelwayError(
            f"{names['project']} names the label's time {label_time!r}, which {names['contract']} does not describe",
            file=names["project"],
            key="data.label_time",
            column=label_time,
            remedy=f"describe it under `columns` in {names['contract']}, or correct the key",
        )
