"""The `modelway` command."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from modelway.components.core.errors import ModelwayError, exit_code_of
from modelway.pipelines.cli import live
from modelway.pipelines.cli import output as console
from modelway.pipelines.cli.compile import compile_
from modelway.pipelines.cli.doctor import doctor
from modelway.pipelines.cli.failures import guard
from modelway.pipelines.cli.image import image
from modelway.pipelines.cli.options import (
    BASE,
    TARGET,
    Champion,
    DataVersion,
    Debug,
    Folder,
    Home,
    Json,
    Project,
    Reason,
    Store,
    home_of,
    project_folder,
    recorded_outcome,
)
from modelway.pipelines.cli.resolve import resolve
from modelway.pipelines.cli.runs import runs
from modelway.pipelines.project.workspace import Workspace, tracking_uri

app = typer.Typer(
    help="CI/CD for machine-learning models on Kubeflow Pipelines: judge, register, release, promote and roll back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(live.app)
app.command("compile")(compile_)
app.command()(resolve)
app.command()(doctor)
app.command()(image)
app.command()(runs)


def main() -> None:
    """Runs the command."""
    app()


@app.command()
def run(
    project: Folder = None,
    data: Annotated[str | None, typer.Option(help="Another data source than the project's: a path or s3://.")] = None,
    home: Home = None,
    store: Store = None,
    data_version: DataVersion = "",
    champion: Champion = "",
    reason: Reason = "",
    base: Annotated[str, BASE] = "",
    target: Annotated[str, TARGET] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Runs the whole release pipeline here, through kfp.local; with a serving base, what is blessed is packaged too.

    Exits with 0 if a model was registered, 1 if a gate rejected it, 2 on any error.
    """
    from modelway.pipelines.local.runner import run_release

    if base:
        from modelway.components.package.stage import check_inputs

        check_inputs(base, target)
    folder = project_folder(project)
    place = home_of(folder, home)
    workspace = Workspace.load(folder, data)
    progress = console.Progress(verbose=debug)
    try:
        result = run_release(
            workspace,
            place,
            store=store or str(place),
            on_event=progress,
            data_version=data_version,
            champion=champion,
            reason=reason,
            packaging={"serving_base": base, "image": target} if base else None,
        )
    finally:
        seconds = progress.stop()
    summary = console.summary(result, seconds)
    if as_json:
        console.print_json(summary)
    else:
        console.print_summary(result, seconds, tracking=tracking_uri(place))
    if result.error is not None:
        raise typer.Exit(exit_code_of(result.error))
    raise typer.Exit(2 if result.outcome is None else console.exit_code(result.outcome))


@app.command()
def init(
    name: Annotated[str, typer.Argument(help="The project's name, and the folder to make.")],
    data: Annotated[str, typer.Option(help="A CSV or Parquet file, a folder of them, or an s3:// URI.")],
    label: Annotated[str, typer.Option(help="The column to predict.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the files that are there.")] = False,
    as_json: Json = False,
) -> None:
    """Proposes project.yaml, contract.yaml and policy.yaml from the data, for review."""
    from modelway.pipelines.project.propose import propose
    from modelway.pipelines.project.schemas import DOCUMENTS, published

    folder = Path(name)
    proposal = propose(folder, folder.name, source=data, label=label)
    existing = [folder / file for file in proposal.files if (folder / file).exists()]
    if existing and not force:
        raise ModelwayError(
            f"{existing[0]} is already there",
            file=str(existing[0]),
            remedy="choose another name, or replace the files with --force",
        )
    texts = {**proposal.files, **{f".schemas/{kind}.schema.json": published(kind) for kind in DOCUMENTS}}
    for file, text in texts.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text, encoding="utf-8")
    written = [folder / file for file in proposal.files]
    if as_json:
        console.print_json(
            {
                "files": [str(file) for file in written],
                "task": proposal.task,
                "features": proposal.features,
                "unused": proposal.unused,
            }
        )
    else:
        console.print_written(
            written,
            f"a {proposal.task} project with {len(proposal.features)} features, {len(proposal.unused)} columns unused; "
            f"review the files, then: modelway run {name}",
        )


@app.command()
def schema(kind: Annotated[str, typer.Argument(help="project, contract or policy.")]) -> None:
    """Prints the JSON Schema of one of the three files."""
    from modelway.pipelines.project.schemas import DOCUMENTS, published

    if kind not in DOCUMENTS:
        raise ModelwayError(f"there is no file {kind!r}", value=kind, remedy=f"choose {', '.join(DOCUMENTS)}")
    typer.echo(published(kind), nl=False)


@app.command()
def report(
    data: Annotated[str, typer.Option(help="The data in question: a path or s3://.")],
    project: Folder = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML page to write.")] = Path("evidently.html"),
    as_json: Json = False,
) -> None:
    """Writes Evidently's report of some data against the project's own; needs modelway[evidently]."""
    from modelway.pipelines.cli.report import compare, summary

    found = compare(project_folder(project), data, output=output)
    if as_json:
        console.print_json({"report": str(output), **asdict(found)})
    else:
        console.print_written([output], summary(found))


@app.command()
def explain(
    run: Annotated[str | None, typer.Argument(help="The run's id. Without one: the run that ended last.")] = None,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a comment for a pull request.")] = False,
    as_json: Json = False,
) -> None:
    """Says what became of a run and why, in plain sentences, worst first; of a cluster's runs too, by their store.

    Exits with 0 if a model was registered or promoted, 1 if it was rejected, refused or undone, 2 if the run failed or
    was stopped.
    """
    from modelway.components.core.evidence import explanation

    place = home_of(project_folder(project), home)
    outcome = recorded_outcome(store or str(place), run)
    if as_json:
        console.print_json(explanation.as_json(outcome))
    elif markdown:
        typer.echo(explanation.as_markdown(outcome), nl=False)
    else:
        console.print_explanation(explanation.sentences(outcome), outcome.state)
    raise typer.Exit(console.exit_code(outcome))


@app.command()
def drill(
    project: Folder = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="Only this fault, by its name; may be given several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Injects faults into a copy of the project, one at a time, and shows which gate catches each.

    Exits with 0 if all were caught by the gate meant for them and a clean run passes, 1 if not, 2 on an error.
    """
    from modelway.pipelines.drill.drill import drill as run_drill
    from modelway.pipelines.drill.drill import named

    faults = named(fault or [])
    progress = console.DrillProgress(len(faults) + 1)
    try:
        results = run_drill(Workspace.load(project_folder(project)), faults, on_result=progress)
    finally:
        seconds = progress.stop()
    if as_json:
        console.print_json([asdict(result) for result in results if result.expected_gate])
    else:
        console.print_drill(results, seconds)
    raise typer.Exit(0 if all(result.caught for result in results) else 1)


guard(app)
