"""`modelway rollback`: back to the last version that served an environment well, or to another that it served."""

from __future__ import annotations

from typing import Annotated

import typer

from modelway.components.core.audit.environments import environment_named
from modelway.pipelines.cli.options import Context, Home, Insecure, Project, Reason, Store, by_option
from modelway.pipelines.cli.output import Answer, deploy_answer, print_progress


def rollback(
    environment: Annotated[str, typer.Argument(help="The environment: staging or production.")],
    reason: Reason,
    to: Annotated[
        str, typer.Option("--to", help="A version's number. Default: the last version that served well.")
    ] = "",
    by: Annotated[str | None, by_option("rolls back")] = None,
    project: Project = None,
    home: Home = None,
    store: Store = None,
    insecure: Insecure = False,
) -> Answer:
    """Returns an environment to the last version that served well there, at once, even during a promotion.

    Exits with 0 if that version serves now, 1 if it was refused or undone, 2 on an error.
    """
    from modelway.components.deploy import rollback as deploy_rollback

    context = Context.load(project, home, store=store, by=by)
    result = deploy_rollback.rollback(
        context.model,
        environment_named(environment),
        actor=context.by,
        reason=reason,
        to=to,
        policy=context.workspace.policy,
        progress=print_progress,
        insecure=insecure,
    )
    return deploy_answer(result)
