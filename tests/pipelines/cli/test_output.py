"""What several commands print."""

from __future__ import annotations

from pathlib import Path

import pytest
from office import Office

from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import Outcome, State
from modelway.pipelines.cli.output import exit_code, print_error, print_written


@pytest.mark.parametrize("name", ["[red]", "a[evidently]", "[/]", "x[bold]y"])
def test_brackets_in_what_is_printed_reach_the_user(
    name: str, released: Office, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert name in released("manifests", "-o", str(tmp_path / name)).stdout
    print_written([Path(name) / "policy.yaml"], f"run {name}")
    assert capsys.readouterr().out == f"  {name}/policy.yaml\nrun {name}\n"
    print_error(ModelwayError(name, file=name, remedy=name))
    assert capsys.readouterr().err.count(name) == 3


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        (State.REGISTERED, "", 0),
        (State.REGISTERED, "packaging failed", 2),
        (State.PROMOTED, "", 0),
        (State.REJECTED, "", 1),
        (State.FAILED, "the disk is full", 2),
        (State.STOPPED, "", 2),
    ],
)
def test_a_command_about_a_run_exits_by_how_it_ended(state: State, error: str, code: int) -> None:
    assert exit_code(Outcome(run="run-1", project="loans", state=state, error=error)) == code
