"""`modelway image`: the project's own code on the image of the components."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from modelway.pipelines.cli.options import Folder, Insecure, project_folder
from modelway.pipelines.cli.output import Answer, Console
from modelway.pipelines.project.workspace import Workspace

if TYPE_CHECKING:
    from modelway.pipelines.project.image import ProjectImage


def image(
    image: Annotated[
        str,
        typer.Option(
            help="The image of the components, host/repository@sha256:…, or an OCI layout.", envvar="MODELWAY_IMAGE"
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            help="Where the project's image goes, host/repository:tag, or a folder.", envvar="MODELWAY_PROJECT_TARGET"
        ),
    ],
    *,
    project: Folder = None,
    platform: Annotated[str, typer.Option(help="The image's platform, os/architecture.")] = "linux/amd64",
    insecure: Insecure = False,
) -> Answer:
    """Puts the project's modules and locked packages on the image of the components, without a container daemon.

    The image gets the module that model.entrypoint names, the modules beside project.yaml that it imports, and the
    packages that requirements.txt there locks. The same code gives the same digest.
    """
    from modelway.pipelines.project.image import make_project_image

    workspace = Workspace.load(project_folder(project))
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading the project")
        result = make_project_image(
            workspace,
            image,
            target=target,
            platform=platform,
            insecure=insecure,
            report=lambda text: progress.update(task, description=text),
        )
    return Answer(asdict(result), lambda: _print(result))


def _print(result: ProjectImage) -> None:
    printer = Console(markup=False, soft_wrap=True)  # so that the reference can be copied
    printer.print(result.image)
    printer.print(f"  code      {result.code}, {len(result.modules)} files")
    printer.print(f"  packages  {', '.join(result.packages) or 'none that the image of the components lacks'}")
    printer.print(f"  layer     {result.layer_bytes / 1000:,.0f} KB")
    printer.print(f"compile the project's pipeline with `--project-image {result.image}`")
