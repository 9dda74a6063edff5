"""What is known to be wrong with a project's files before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.resolve.checks import check_files
from modelway.pipelines.workspace import Workspace


@pytest.mark.parametrize("project_code", ["", "m1"])
def test_an_estimator_that_is_not_installed_may_be_of_a_locked_package_alone(
    small: Path, edit: Callable[..., None], project_code: str
) -> None:
    edit(small / "project.yaml", {"model": {"estimator": "nowhere.to.be.Found"}})
    workspace = Workspace.load(small)
    check_files(workspace.files, workspace.names(), project_code="m1-r2")
    with pytest.raises(ModelwayError, match="cannot be imported"):
        check_files(workspace.files, workspace.names(), project_code=project_code)
    edit(small / "project.yaml", {"model": {"estimator": "sklearn.tree.Nothing"}})
    with pytest.raises(ModelwayError, match="has no 'Nothing'"):
        check_files(Workspace.load(small).files, workspace.names(), project_code="r2")
