"""A project's own pipelines: its files, store and commit are their defaults, and its code is in their images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelway.components.core.images import Reference
from modelway.components.core.records import ReleaseGoal
from modelway.components.resolve.checks import check_files
from modelway.pipelines import backends
from modelway.pipelines.backends import Backend
from modelway.pipelines.cluster_settings import TaskSettings
from modelway.pipelines.compile import Compiled, compile_spec, write_pipelines
from modelway.pipelines.form import Form
from modelway.pipelines.promote import promote_pipeline
from modelway.pipelines.release import release_pipeline
from modelway.pipelines.workspace import Workspace


def compile_project(
    folder: Path,
    workspace: Workspace,
    *,
    store: str,
    until: ReleaseGoal = "registered",
    project_image: str = "",
    packaging: Mapping[str, str] = MappingProxyType({}),
    kubernetes: bool = False,
    backend: Backend = backends.DEFAULT,
) -> Compiled:
    """Writes a project's own pipelines, ``<name>-release.yaml`` and ``<name>-promote.yaml``.

    Args:
        folder: Where to.
        workspace: The project, whose files are put into the store by their content.
        store: The root of the project's store.
        until: How far a release goes.
        project_image: The image with the project's own code, by digest; empty: there is none.
        packaging: ``serving_base`` and ``image``, where a release goes further than registering.
        kubernetes: Also write the pipelines as objects for GitOps.
        backend: The server that they are for. What it does not know is left out.

    Raises:
        ModelwayError: a run of them would be sure to fail, or the store or the folder cannot be written.
    """
    if until != "registered":
        Reference.pinned(packaging.get("serving_base", ""), "base", "serving base")
        Reference.parse(packaging.get("image", ""), "target")
    check_files(workspace.files, workspace.names(), trains_here=False)
    pipelines = project_pipelines(workspace, store=store, goal=until, project_image=project_image, packaging=packaging)
    specs = {name: compile_spec(pipeline) for name, pipeline in pipelines.items()}
    return write_pipelines(folder, specs, kubernetes=kubernetes, backend=backend)


def project_pipelines(
    workspace: Workspace,
    *,
    store: str,
    goal: ReleaseGoal = "registered",
    project_image: str = "",
    packaging: Mapping[str, str],
) -> dict[str, Any]:
    """The pipelines of a project by their names: its release, which starts without an argument, and its promotion.

    Args:
        workspace: The project, whose files are put into the store by their content.
        store: The root of the project's store.
        goal: How far a release goes.
        project_image: The image with the project's own code, by digest; empty: there is none.
        packaging: ``serving_base`` and ``image``, where a release goes further than registering.

    Raises:
        ModelwayError: the store cannot be written.
    """
    name, settings = workspace.project.name, TaskSettings.of(workspace.project, code_image=project_image)
    arguments = workspace.arguments(store)
    constants = {"data_version": "", "project_code": arguments.pop("project_code")}
    del arguments["requested_by"]  # who compiles is not who starts a run
    release = Form(
        f"{name}-release",
        workspace.project.display_name,
        constants=constants,
        defaults={**arguments, **packaging},
    )
    promote = Form(f"{name}-promote", defaults={"model": name, "store": store})
    return {
        release.name: release_pipeline(goal, settings, form=release),
        promote.name: promote_pipeline(settings, form=promote),
    }
