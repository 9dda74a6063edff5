"""Every command is there, in the module of its name."""

from __future__ import annotations

import subprocess
import sys

import typer
from typer.testing import CliRunner

from modelway.pipelines.cli import audit, contract
from modelway.pipelines.cli.main import app


def _callbacks(group: typer.Typer) -> dict[str, str]:
    """The module of each command's function, by the command's name."""
    return {
        command.name or "": command.callback.__module__ for command in group.registered_commands if command.callback
    }


def test_a_command_is_in_the_module_of_its_name() -> None:
    modules = _callbacks(app)
    assert len(modules) == 18
    assert modules == {name: f"modelway.pipelines.cli.{name}" for name in modules}
    assert set(_callbacks(audit.app).values()) == {"modelway.pipelines.cli.audit"}
    assert set(_callbacks(contract.app).values()) == {"modelway.pipelines.cli.contract"}


def test_the_help_names_every_command() -> None:
    output = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert all(f" {name} " in output for name in (*_callbacks(app), "audit", "contract"))


def test_a_command_starts_without_what_only_others_need() -> None:
    heavy = {"kfp", "mlflow", "numpy", "pandas", "polars", "sklearn"}
    code = f"import sys, modelway.pipelines.cli.main; print(*{heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
