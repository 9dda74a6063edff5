"""What fails around a command is an error with exit code 2, a file and a remedy; nothing is left half-written."""

from __future__ import annotations

import json
import os
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import make_read_only
from office import Office
from small_projects import write_small_project

Ran = subprocess.CompletedProcess[str]
Command = Callable[..., Ran]
Disk = Callable[[str], Path]


def error_of(ran: Ran, code: int = 2) -> dict[str, str]:
    """The error that a command ended by, with ``--json``."""
    assert ran.returncode == code, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    error: dict[str, str] = json.loads(ran.stdout)["error"]
    assert len(error["remedy"]) > 10
    return error


@pytest.mark.parametrize(
    "command",
    [
        ("run", "--home", "{place}/home"),
        ("run", "--store", "{place}/store"),
        ("init", "claims", "--data", "{project}/visits.csv", "--label", "ill"),
        ("keys", "keys"),
        ("manifests", "-p", "{project}", "-o", "out"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_read_only_disk_is_named_with_the_place(
    command: tuple[str, ...], small: Path, disk: Disk, modelway: Command
) -> None:
    place = disk("64k")
    make_read_only(place)
    arguments = [part.format(place=place, project=small) for part in command]
    ran = modelway(*arguments, "--json", cwd=small if command[0] == "run" else place)
    error = error_of(ran)
    assert "cannot be written: the file system is read-only (Read-only file system)" in error["message"]
    assert error["file"].startswith(str(place)) or not error["file"].startswith("/")
    assert "name another place" in error["remedy"]


@pytest.mark.parametrize("option", ["--home", "--store"])
def test_a_place_below_a_file_is_named(option: str, small: Path, modelway: Command) -> None:
    file = small / "visits.csv"
    error = error_of(modelway("run", option, file / "below", "--json", cwd=small))
    assert "cannot be written: a file is where a folder must be" in error["message"]
    assert error["file"].startswith(f"{file}/below")


def test_keys_do_not_replace_a_file(small: Path, modelway: Command) -> None:
    error = error_of(modelway("keys", "visits.csv", "--json", cwd=small))
    assert error["file"] == "visits.csv"


def test_an_account_without_a_name_and_a_home_can_work_and_is_told_what_it_may_not(tmp_path: Path) -> None:
    prefix = ("unshare", "--user", "--map-user=12345")  # in which the file modes count for an administrator too
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespace of users can be made here")
    folder = write_small_project(tmp_path)
    (folder / "closed").mkdir(mode=0o500)
    names = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME")
    unnamed = {name: value for name, value in os.environ.items() if name not in names and "MODELWAY" not in name}

    def command(*arguments: str) -> Ran:
        program = [*prefix, sys.executable, "-m", "modelway.pipelines.cli", *arguments, "--json"]
        return subprocess.run(program, cwd=folder, env=unnamed, capture_output=True, text=True, check=False)

    history = command("history", "--home", "open")
    assert (history.returncode, history.stderr) == (0, "")
    error = error_of(command("history", "--home", "closed/home"))
    assert "cannot be written: this account has no permission (Permission denied)" in error["message"]
    assert error["file"] == str(folder / "closed" / "home")


@pytest.mark.parametrize(
    ("command", "code"),
    [("schema policy", 0), ("runs", 0), ("runs --json", 0), ("explain nobody --json", 2)],
)
def test_a_reader_that_has_gone_does_not_change_how_a_command_exits(command: str, code: int, small: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m modelway.pipelines.cli {command}"
    script = f"{program} | true; echo ${{PIPESTATUS[0]}} >&2"
    ran = subprocess.run(["bash", "-c", script], cwd=small, capture_output=True, text=True, check=True)
    assert ran.stderr == f"{code}\n"


@pytest.mark.parametrize("command", ["schema policy", "runs", "runs --json"])
def test_an_output_that_is_full_is_an_error(command: str, small: Path) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        program = [sys.executable, "-m", "modelway.pipelines.cli", *command.split()]
        ran = subprocess.run(program, cwd=small, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "No space left on device" in ran.stderr


def test_a_terminal_without_unicode_gets_escapes(office: Office, modelway: Command) -> None:
    run = next((office.folder / ".modelway" / "runs").glob("2*"))
    outcome = json.loads((run / "outcome.json").read_bytes()) | {
        "project": "Köln",
        "state": "failed",
        "error": "zu groß",
    }
    (run / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    for encoding, says in (("ascii", "zu gro\\xdf"), ("utf-8", "zu groß")):
        ran = modelway("explain", run.name, cwd=office.folder, env={"PYTHONIOENCODING": encoding})
        assert (ran.returncode, says in ran.stdout) == (2, True), ran
    ran = modelway("explain", run.name, "--json", cwd=office.folder, env={"PYTHONIOENCODING": "ascii"})
    assert json.loads(ran.stdout)["error"] == "zu groß"


def test_a_database_that_is_none_is_named(office: Office) -> None:
    database = office.folder / ".modelway" / "mlflow.db"
    database.write_bytes(b"not a database" * 100)
    error = error_of(office("history", "--json"))
    assert error["message"].endswith("mlflow.db cannot be used: it is not a database")
    assert error["file"] == str(database)


def test_a_database_that_is_locked_is_named_and_works_again_afterwards(office: Office) -> None:
    database = office.folder / ".modelway" / "mlflow.db"
    connection = sqlite3.connect(database)
    connection.execute("BEGIN EXCLUSIVE")
    error = error_of(office("history", "--json"))
    assert "another process has locked it" in error["message"]
    connection.close()
    assert office("history").returncode == 0


def test_a_kubeconfig_that_is_none_is_named(small: Path, modelway: Command) -> None:
    (small / "kubeconfig").write_text("a: [b", encoding="utf-8")
    ran = modelway("doctor", "--json", cwd=small, env={"KUBECONFIG": str(small / "kubeconfig")})
    (finding,) = [finding for finding in json.loads(ran.stdout)["findings"] if finding["subject"] == "cluster"]
    assert ran.returncode == 2
    assert "no cluster is configured: it is not a kubeconfig file" in finding["message"]


FULL_AT_THE_END = """
import sys
from pathlib import Path
sys.path.append(sys.argv.pop(1))
from disks import fill
from modelway.pipelines.cli import main
from modelway.pipelines.local import runner

class Run(runner._Run):
    def _run_task(self, full_command, env_vars=None):
        if "record_outcome" in full_command:
            fill(Path(sys.argv[-1]))
        return super()._run_task(full_command, env_vars)

runner._Run = Run
main.main()
"""


@pytest.mark.runs
def test_a_disk_that_is_full_at_the_last_stage_hides_nothing_that_was_registered(
    small: Path, disk: Disk, modelway: Command
) -> None:
    store = disk("1m")
    support = str(Path(__file__).parents[1] / "support")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MODELWAY_", "MLFLOW_"))}
    ran = subprocess.run(
        [sys.executable, "-c", FULL_AT_THE_END, support, "run", "--json", "--store", str(store)],
        cwd=small,
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    error = error_of(ran)
    assert (error["stage"], "the disk is full" in error["message"]) == ("record_outcome", True)
    assert "visits version 1 is registered, and the same run returns it" in error["remedy"]
    summary = json.loads(ran.stdout)
    assert (summary["state"], summary["model"]["version"], summary["model"]["alias"]) == ("registered", "1", "champion")
    (store / "ballast").unlink()
    again = modelway("run", "--json", "--store", store, cwd=small)
    assert again.returncode == 0, again.stdout
    summary = json.loads(again.stdout)
    assert (summary["state"], summary["model"]["version"]) == ("registered", "1")
    assert list(store.rglob(".*")) == []
