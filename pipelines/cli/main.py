"""The `modelway` command, put together from its commands."""

from __future__ import annotations

from collections.abc import Callable

import typer

from modelway.components.core.addresses import hide_secrets_in_output
from modelway.components.core.termination import on_first_signal, raise_terminated
from modelway.pipelines.cli import audit, contract
from modelway.pipelines.cli.approve import approve
from modelway.pipelines.cli.compile import compile_
from modelway.pipelines.cli.doctor import doctor
from modelway.pipelines.cli.drill import drill
from modelway.pipelines.cli.explain import explain
from modelway.pipelines.cli.failures import guard
from modelway.pipelines.cli.history import history
from modelway.pipelines.cli.image import image
from modelway.pipelines.cli.init import init
from modelway.pipelines.cli.keys import keys
from modelway.pipelines.cli.manifests import manifests
from modelway.pipelines.cli.output import prepare_output
from modelway.pipelines.cli.package import package
from modelway.pipelines.cli.promote import promote
from modelway.pipelines.cli.report import report
from modelway.pipelines.cli.resolve import resolve
from modelway.pipelines.cli.rollback import rollback
from modelway.pipelines.cli.run import run
from modelway.pipelines.cli.runs import runs
from modelway.pipelines.cli.schema import schema

app = typer.Typer(
    help="CI/CD for machine-learning models on Kubeflow Pipelines: judge, register, release, promote and roll back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS: tuple[Callable[..., object], ...] = (
    *(init, schema, doctor, run, runs, explain, report, drill, image, compile_, resolve),
    *(keys, package, manifests, approve, promote, rollback, history),
)
for command in _COMMANDS:
    app.command(command.__name__.rstrip("_"))(command)
app.add_typer(audit.app, name="audit")
app.add_typer(contract.app, name="contract")


def main() -> None:
    """Runs the command; Ctrl-C or SIGTERM ends it and what it began, a second one at once."""
    prepare_output()
    hide_secrets_in_output()
    with on_first_signal(raise_terminated):
        app()


guard(app)
