"""`modelway manifests`: the policy as Kubernetes manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelway.pipelines.cli.options import Project, project_folder
from modelway.pipelines.cli.output import Answer, written
from modelway.pipelines.project.workspace import Workspace


def manifests(
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write to.")] = Path("manifests"),
    project: Project = None,
) -> Answer:
    """Compiles the policy into Kubernetes manifests: Rollout, AnalysisTemplates, Services and alert rules."""
    from modelway.components.deploy.objects import kubernetes_name
    from modelway.pipelines.manifests import write_manifests

    workspace = Workspace.load(project_folder(project))
    files = write_manifests(workspace.policy, kubernetes_name(workspace.project.name), folder=output)
    return written(files, "compiled from the policy; apply an overlay with `kubectl apply -k`")
