"""`modelway resolve`: what a run would work on, and what to submit it with."""

from __future__ import annotations

from modelway.pipelines.cli.options import Champion, Folder, Home, Store, home_of, project_folder, store_of
from modelway.pipelines.cli.output import Answer, print_line
from modelway.pipelines.project.workspace import Workspace


def resolve(
    project: Folder = None,
    home: Home = None,
    *,
    store: Store = None,
    champion: Champion = "",
) -> Answer:
    """Prints what a run would work on: the data's version, the champion, the code; and a release's arguments.

    The three files are put into the store under their content's hash, so that the arguments stay short.
    """
    from modelway.pipelines.local.runner import warm_worker

    folder = project_folder(project)
    home = home_of(folder, home)
    workspace = Workspace.load(folder)
    root = store_of(store, home)
    with warm_worker(workspace, home) as worker:
        inputs = worker.preflight(workspace, champion=champion)
    workspace.files.keep(root)
    arguments = workspace.arguments(root)
    content = {**inputs, "notes": inputs["notes"].splitlines(), "arguments": arguments}
    return Answer(content, lambda: _print(inputs, arguments))


def _print(inputs: dict[str, str], arguments: dict[str, str]) -> None:
    lines = {
        "data's version": inputs["source_version"],
        "champion": inputs["champion"] or "none to compare with",
        "code": inputs["code_version"],
        "waivers as of": inputs["as_of"] or "no waivers",
    }
    for title, value in lines.items():
        print_line(f"  {title:<16} {value}")
    for note in inputs["notes"].splitlines():
        print_line(f"  ! {note}")
    print_line("submit a release with")
    for name, value in arguments.items():
        print_line(f"  {name:<16} {value}")
