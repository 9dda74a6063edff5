"""`modelway resolve`: what a run would work on, and what to submit it with."""

from __future__ import annotations

from modelway.pipelines.cli import output as console
from modelway.pipelines.cli.options import Champion, Folder, Home, Json, Store, home_of, project_folder
from modelway.pipelines.project.workspace import Workspace


def resolve(
    project: Folder = None,
    home: Home = None,
    *,
    store: Store = None,
    champion: Champion = "",
    as_json: Json = False,
) -> None:
    """Prints what a run would work on: the data's version, the champion, the code; and a release's arguments.

    The three files are put into the store under their content's hash, so that the arguments stay short.
    """
    from modelway.pipelines.local.runner import warm_worker

    folder = project_folder(project)
    place = home_of(folder, home)
    workspace = Workspace.load(folder)
    with warm_worker(workspace, place) as worker:
        inputs = worker.preflight(workspace, champion=champion)
    root = store or str(place)
    workspace.files.keep(root)
    arguments = workspace.arguments(root)
    if as_json:
        console.print_json({**inputs, "notes": inputs["notes"].splitlines(), "arguments": arguments})
    else:
        console.print_resolution(inputs, arguments)
