"""`modelway explain`: what became of a run and why."""

from __future__ import annotations

from typing import Annotated

import typer

from modelway.components.core.errors import NotFoundError
from modelway.components.core.evidence.runs import LATEST, Outcome, State, read_outcome
from modelway.pipelines.cli.options import Home, Project, Store, home_of, project_folder, store_of
from modelway.pipelines.cli.output import Answer, Console, escape, exit_code


def explain(
    run: Annotated[str | None, typer.Argument(help="The run's id. Default: the run that ended last.")] = None,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="As a comment for a pull request.")] = False,
) -> Answer:
    """Explains how a run ended and why, in plain sentences, worst first; a cluster's run too, by its --store.

    Exits with 0 if a model was registered or promoted, 1 if it was rejected, refused or undone, 2 if the run failed or
    did not end.
    """
    from modelway.components.core.evidence import explanation

    outcome = recorded_outcome(store_of(store, home_of(project_folder(project), home)), run)

    def print_for_people() -> None:
        if markdown:
            typer.echo(explanation.as_markdown(outcome), nl=False)
        else:
            _print(explanation.sentences(outcome), outcome.state)

    return Answer(explanation.as_json(outcome), print_for_people, exit_code(outcome))


def recorded_outcome(store: str, run: str | None) -> Outcome:
    """The outcome of a run, or of the one that ended last.

    Raises:
        NotFoundError: the store has no such run.
    """
    outcome = read_outcome(store, run or LATEST)
    if outcome is None:
        raise NotFoundError(
            f"{store} has no outcome of {'the run ' + run if run else 'any run'}",
            file=store,
            value=run,
            remedy="`modelway runs` lists the runs of a store; name the store with --store",
        )
    return outcome


def _print(sentences: list[str], state: State) -> None:
    console = Console(soft_wrap=True)
    colour = "green" if state in {State.REGISTERED, State.PROMOTED} else "red"
    console.print(f"[{colour}]{escape(sentences[0])}[/{colour}]")
    for sentence in sentences[1:]:
        console.print(f"  - {escape(sentence)}")
