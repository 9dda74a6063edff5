"""`modelway compile`: the pipelines as Kubeflow Pipelines takes them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelway.components.core.evidence.runs import ReleaseGoal
from modelway.pipelines import backends
from modelway.pipelines.backends import Backend
from modelway.pipelines.cli.options import BASE, TARGET, Home, Insecure, Store, home_of, store_of
from modelway.pipelines.cli.output import Answer, Console, print_error
from modelway.pipelines.project.workspace import Workspace

if TYPE_CHECKING:
    from modelway.pipelines.compile import Compilation
    from modelway.pipelines.compile_checks.project import Problem


def compile_(
    project: Annotated[
        Path | None,
        typer.Argument(help="The project's folder. Default: this folder, if it holds a project; else none."),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")] = Path("dist"),
    *,
    until: Annotated[ReleaseGoal, typer.Option(help="How far a release goes.")] = "registered",
    image: Annotated[
        str | None,
        typer.Option(help="The image that the components run in, preferably by digest.", envvar="MODELWAY_IMAGE"),
    ] = None,
    project_image: Annotated[
        str,
        typer.Option(
            help="The image with the project's own code, as `modelway image` prints it.",
            envvar="MODELWAY_PROJECT_IMAGE",
        ),
    ] = "",
    home: Home = None,
    store: Store = None,
    base: Annotated[str, BASE] = "",
    target: Annotated[str, TARGET] = "",
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="Also write Kubernetes Pipeline objects for GitOps.")
    ] = False,
    backend: Annotated[
        str,
        typer.Option(
            metavar="VERSION",
            help=f"The Kubeflow Pipelines server, {backends.OLDEST} or later; what it does not know is left out.",
        ),
    ] = str(backends.DEFAULT),
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Compare the tasks' requests with the quotas of the runs' namespace.")
    ] = False,
    namespace: Annotated[str, typer.Option(help="The namespace of the runs, with --cluster.")] = "kubeflow",
    insecure: Insecure = False,
) -> Answer:
    """Compiles a project's own pipelines, whose release starts without an argument; or pipelines for any project.

    For a project, writes NAME-release.yaml and NAME-promote.yaml; its files are put into the store by their content,
    and are the release's defaults. Without one, release.yaml, promote.yaml and every component's component.yaml.
    """
    server = Backend.parse(backend)
    if image is not None:
        os.environ["MODELWAY_IMAGE"] = image  # the components read it when they are imported
    from modelway.pipelines.compile import compile_all
    from modelway.pipelines.project_pipelines import compile_project

    folder = project or (Path() if Path("project.yaml").exists() else None)
    warnings: list[Problem] = []
    if folder is None:
        compilation = compile_all(output, until=until, kubernetes=kubernetes, backend=server)
    else:
        workspace = Workspace.load(folder.resolve())
        compilation, warnings = compile_project(
            output,
            workspace,
            store=store_of(store, home_of(workspace.folder, home)),
            until=until,
            project_image=project_image,
            packaging={} if until == "registered" else {"serving_base": base, "image": target},
            kubernetes=kubernetes,
            backend=server,
            namespace=namespace if cluster else None,
            insecure=insecure,
        )
    return Answer(_as_json(compilation, warnings), lambda: _print(compilation, warnings))


def _as_json(compilation: Compilation, warnings: Sequence[Problem]) -> dict[str, Any]:
    return {
        "files": [str(file) for file in compilation.files],
        "backend": str(compilation.backend),
        "pipelines": {
            name: {**asdict(pipeline), "file": str(pipeline.file)} for name, pipeline in compilation.pipelines.items()
        },
        "lost": [asdict(loss) for loss in compilation.losses],
        "warnings": [problem.as_json() for problem in warnings],
    }


def _print(compilation: Compilation, warnings: Sequence[Problem]) -> None:
    terminal = Console(markup=False, soft_wrap=True)
    pipelines = {pipeline.file: pipeline for pipeline in compilation.pipelines.values()}
    for file in compilation.files:
        pipeline = pipelines.get(file)
        about = f"  {pipeline.levels} levels on the critical path, {pipeline.bytes / 1000:.1f} KB" if pipeline else ""
        terminal.print(f"  {file}{about}")
    terminal.print(f"{len(compilation.files)} files for Kubeflow Pipelines {compilation.backend} and later")
    for name, pipeline in compilation.pipelines.items():
        terminal.print(f"  {name} {_arguments(pipeline.parameters)}")
        for image, stages in _other_images(pipeline.images).items():
            terminal.print(f"    {', '.join(stages)} run in {image}")
    if compilation.losses:
        terminal.print(f"Left out, since Kubeflow Pipelines {compilation.backend} does not know them:")
    tasks = defaultdict(list)
    for loss in compilation.losses:
        tasks[loss.field, loss.consequence].append(f"{loss.pipeline}/{loss.task}")
    for (field, consequence), names in tasks.items():
        subject = names[0] if len(names) == 1 else f"{len(names)} tasks"
        terminal.print(f"  {field} of {subject}: {consequence}")
    for problem in warnings:
        print_error(problem.error, severity=problem.severity)


def _arguments(parameters: Mapping[str, Any]) -> str:
    """The arguments that a run needs, and those that it may have beside."""
    needed_names = [name for name, default in parameters.items() if default is None]
    optional_names = [name for name, default in parameters.items() if default == ""]
    needs = f"needs {', '.join(needed_names)}" if needed_names else "starts without an argument"
    return f"{needs}; optional: {', '.join(optional_names)}" if optional_names else needs


def _other_images(images: Mapping[str, str]) -> dict[str, list[str]]:
    """The images that only some tasks run in, with these tasks."""
    tasks = {image: [task for task, task_image in images.items() if task_image == image] for image in images.values()}
    return dict(sorted(tasks.items(), key=lambda entry: len(entry[1]))[:-1])
