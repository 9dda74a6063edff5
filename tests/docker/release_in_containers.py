"""Runs the release pipeline with every task in a locked-down container of the image that MODELWAY_IMAGE names.

A process of its own, since components read MODELWAY_IMAGE when they are imported.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kfp import local

from modelway.pipelines.project.workspace import Workspace
from modelway.pipelines.release import release_pipeline


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("project", type=Path)
    parser.add_argument("--root", required=True, help="the only folder that containers see")
    parser.add_argument("--store", required=True)
    parser.add_argument("--tracking", required=True)
    parser.add_argument("--champion", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--label", required=True)
    options = parser.parse_args()
    runner = local.DockerRunner(
        user=options.user,
        labels=[options.label],
        environment={"MLFLOW_TRACKING_URI": options.tracking},
        network_mode="host",
        read_only=True,
        tmpfs={"/tmp": ""},  # noqa: S108 - the container's
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
    )
    local.init(runner, pipeline_root=options.root, raise_on_error=False, enable_caching=True)
    workspace = Workspace.load(options.project)
    workspace.files.keep(options.store)
    arguments = workspace.arguments(options.store)
    release_pipeline()(**arguments, champion=options.champion)


if __name__ == "__main__":
    main()
