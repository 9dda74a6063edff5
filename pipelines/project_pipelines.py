"""A project's own pipelines: its files, store and commit are their defaults, and its code is in their images."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

from modelway.components.core.decorator import IMAGE
from modelway.components.core.errors import CredentialsError, UnavailableError
from modelway.components.core.evidence.runs import ReleaseGoal
from modelway.components.core.oci.image import is_pinned
from modelway.components.core.oci.layout import Reference
from modelway.components.resolve.consistency import check_consistency
from modelway.pipelines import backends
from modelway.pipelines.backends import Backend
from modelway.pipelines.cluster_settings import CODE_STAGES, TaskSettings
from modelway.pipelines.compile import Compilation, compile_spec, write_pipelines
from modelway.pipelines.compile_checks.project import Problem, check_project, refuse_errors
from modelway.pipelines.compile_checks.quota import check_quota
from modelway.pipelines.form import Form
from modelway.pipelines.project.image import code_of_image
from modelway.pipelines.project.workspace import Workspace
from modelway.pipelines.promote import promote_pipeline
from modelway.pipelines.release import release_pipeline


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
    namespace: str | None = None,
    insecure: bool = False,
) -> tuple[Compilation, list[Problem]]:
    """Writes a project's own pipelines, ``<name>-release.yaml`` and ``<name>-promote.yaml``.

    Args:
        folder: The folder to write to.
        workspace: The project, whose files are put into the store by their content.
        store: The root of the project's store.
        until: How far a release goes.
        project_image: The image with the project's own code, by digest; empty: there is none.
        packaging: ``serving_base`` and ``image``, where a release goes further than registering.
        kubernetes: Also write the pipelines as objects for GitOps.
        backend: The server that they are for. Fields that it does not know are left out.
        namespace: The namespace of the runs, whose quotas the pipelines are compared with. None: no comparison.
        insecure: Whether plain HTTP is used for the image registries.

    Returns:
        The files that were written, and the problems that may, but need not, fail a run.

    Raises:
        ModelwayError: a run of them would be sure to fail, and nothing is written; or the store or the folder cannot be
            written.
    """
    if until != "registered":
        Reference.pinned(packaging.get("serving_base", ""), "base", title="serving base")
        Reference.parse(packaging.get("image", ""), "target")
    check_consistency(workspace.files, workspace.names(), trains_here=False)
    settings = TaskSettings.of(workspace.project, code_image=project_image)
    code_images = {settings.images[stage] for stage in CODE_STAGES if stage in settings.images}
    problems = check_project(
        workspace,
        image=IMAGE,
        store=store,
        project_image=project_image,
        codes=_codes(code_images, insecure=insecure),
    )
    pipelines = project_pipelines(workspace, settings, store=store, goal=until, packaging=packaging)
    specs = {name: compile_spec(pipeline) for name, pipeline in pipelines.items()}
    if namespace is not None:
        for spec in specs.values():
            problems += check_quota(spec.specification, workspace, namespace=namespace)
    refuse_errors(problems)
    workspace.files.keep(store)
    warnings = {str(problem.error): problem for problem in problems}  # both pipelines may give the same
    return write_pipelines(folder, specs, kubernetes=kubernetes, backend=backend), list(warnings.values())


def _codes(images: set[str], *, insecure: bool) -> dict[str, str | None]:
    """The code version in each image's label, for the images that can be looked up from here."""
    codes = {}
    for image in filter(is_pinned, images):
        with suppress(UnavailableError, CredentialsError):
            codes[image] = code_of_image(image, insecure=insecure)
    return codes


def project_pipelines(
    workspace: Workspace,
    settings: TaskSettings,
    *,
    store: str,
    goal: ReleaseGoal,
    packaging: Mapping[str, str],
) -> dict[str, Any]:
    """The pipelines of a project by their names: its release, which starts without an argument, and its promotion."""
    name = workspace.project.name
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
