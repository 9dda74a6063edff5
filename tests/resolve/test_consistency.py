"""What is wrong between a project's files is found before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.resolve.consistency import check_consistency
from modelway.pipelines.project.workspace import Workspace

Edit = Callable[..., None]


@pytest.mark.parametrize(
    ("file", "keys", "says", "expected"),
    [
        (
            "project.yaml",
            {"model.estimator": "nowhere.to.be.Found"},
            "nowhere.to.be.Found cannot be imported",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"model": {"estimator": "sklearn.tree.DecisionTreeRegressor"}},
            "does not fit the task binary",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"model": {"estimator": "pathlib.Path"}},
            "is not a scikit-learn-compatible estimator",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"features": {"numeric": ["age", "city"]}},
            "'city' is of type string, which does not fit `features.numeric`",
            {"column": "city", "file": "contract.yaml"},
        ),
        (
            "project.yaml",
            {"data.split": {"by": "group", "column": "household", "test_fraction": 0.2}},
            "uses the column 'household'",
            {"column": "household", "key": "data.split.column"},
        ),
        (
            "contract.yaml",
            {"rules": [{"name": "cheap", "rule": "paid <"}]},
            "the rule 'cheap' is not a SQL expression",
            {"key": "rules.cheap"},
        ),
        (
            "policy.yaml",
            {"model.no_regression": {"metric": "roc_auk"}},
            "scikit-learn has no metric 'roc_auk'",
            {"file": "policy.yaml", "remedy": "roc_auc"},
        ),
        (
            "policy.yaml",
            {"model.slices": {"columns": ["region"], "metrics": {"roc_auc": {"min": 0.5}}}},
            "the policy names 'region' at model.slices.columns",
            {"column": "region", "file": "policy.yaml"},
        ),
    ],
)
def test_what_would_fail_later_is_refused(
    file: str, keys: dict[str, Any], says: str, expected: dict[str, str], small: Path, edit: Edit
) -> None:
    edit(small / file, keys)
    workspace = Workspace.load(small)
    with pytest.raises(ModelwayError) as error:
        check_consistency(workspace.files, workspace.names())
    assert says in error.value.message
    fields = error.value.fields()
    assert {name: part for name, part in expected.items() if part not in fields.get(name, "")} == {}
    assert len(fields["remedy"]) > 10


def test_an_estimator_that_is_not_installed_matters_only_where_the_model_is_trained(small: Path, edit: Edit) -> None:
    edit(small / "project.yaml", {"model.estimator": "nowhere.to.be.Found"})
    workspace = Workspace.load(small)
    check_consistency(workspace.files, workspace.names(), trains_here=False)
    with pytest.raises(ModelwayError, match="cannot be imported"):
        check_consistency(workspace.files, workspace.names())


def test_fairness_needs_columns_to_group_by(small: Path, edit: Edit) -> None:
    edit(small / "policy.yaml", {"model.fairness": {"groups": {"roc_auc": {"min": 0.5}}}})
    workspace = Workspace.load(small)
    with pytest.raises(ModelwayError, match="names no columns to group by") as error:
        check_consistency(workspace.files, workspace.names())
    assert error.value.key == "model.fairness.columns"
