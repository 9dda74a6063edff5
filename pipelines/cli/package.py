"""`modelway package`: a blessed version as a signed image."""

from __future__ import annotations

import sys
from dataclasses import asdict
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.pipelines.cli.options import BASE, TARGET, Context, Home, Insecure, Project, Store, Version
from modelway.pipelines.cli.output import Answer, print_line

if TYPE_CHECKING:
    from modelway.components.package.stage import Packaged


def package(
    version: Version,
    base: Annotated[str, BASE],
    target: Annotated[str, TARGET],
    project: Project = None,
    home: Home = None,
    store: Store = None,
    platform: Annotated[str, typer.Option(help="The image's platform.")] = "linux/amd64",
    insecure: Insecure = False,
) -> Answer:
    """Packages a blessed version as a signed OCI image, without a container daemon, and prints its digest."""
    from modelway.components.package import stage

    context = Context.load(project, home, store=store)
    sys.path.append(str(context.workspace.folder))  # where a pickled model's own modules are
    with TemporaryDirectory() as work:
        result = stage.package(
            context.model.version_named(version),
            base=base,
            target=target,
            bundle_path=f"{work}/bundle",
            platform=platform,
            insecure=insecure,
        )
    content = {name: value for name, value in asdict(result).items() if name != "sbom"}
    return Answer(content, lambda: _print(result))


def _print(result: Packaged) -> None:
    print_line(f"{result.release.name} version {result.release.version}: {result.image}")
    runtime = "ONNX Runtime" if result.release.onnx else "its pipeline"
    encrypted = ", encrypted" if result.sealed else ""
    print_line(f"  {result.layer_bytes / 1e6:,.1f} MB on the base, served by {runtime}{encrypted}, signed")
    print_line(f"  {result.conversion}")
