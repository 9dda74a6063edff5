"""How commands end that fail: exit codes, with --debug and --json too, crashes and their logs, and texts as written."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer
from office import ADA, Office, Ran
from typer.testing import CliRunner

from modelway.components.core.errors import ModelwayError, NotFoundError, RejectedError, UnavailableError
from modelway.pipelines.cli.failures import guard
from modelway.pipelines.cli.main import app
from modelway.pipelines.cli.options import Home, Project
from modelway.pipelines.cli.output import Answer

MISTAKES = {
    "run": ("run", "nowhere"),
    "init": ("init", "new", "--data", "nowhere.csv", "--label", "ill"),
    "schema": ("schema", "nothing"),
    "report": ("report", "--data", "nowhere.csv"),
    "explain": ("explain", "nobody"),
    "drill": ("drill", "--fault", "nothing"),
    "compile": ("compile", "--backend", "newest"),
    "resolve": ("resolve", "nowhere"),
    "doctor": ("doctor", "nowhere"),
    "image": ("image", "--image", "!", "--target", "!"),
    "runs": ("runs", "--store", "visits.csv"),
    "keys": ("keys",),
    "package": ("package", "7", "--base", "!", "--target", "!"),
    "approve": ("approve", "7", "--to", "production", "-m", "x"),
    "promote": ("promote", "7", "--to", "production"),
    "rollback": ("rollback", "moon", "-m", "x"),
    "manifests": ("manifests", "--project", "nowhere"),
    "history": ("history", "--at", "soon"),
    "audit verify": ("audit", "verify", "--store", "visits.csv"),
    "audit log": ("audit", "log", "--store", "visits.csv"),
    "audit witness": ("audit", "witness", "-m", " "),
    "contract diff": ("contract", "diff", "--data", "nowhere.csv"),
}
JUDGED = {
    "promote": ("promote", "1", "--to", "production", "--check"),
    "approve": ("approve", "1", "--to", "production", "-m", "my own"),
}
DONE = {
    "audit verify": ("audit", "verify"),
    "audit log": ("audit", "log"),
    "audit witness": ("audit", "witness", "-m", "nothing to accept"),
    "history": ("history",),
    "explain": ("explain",),
    "runs": ("runs",),
    "schema": ("schema", "policy"),
}


def commands(group: typer.Typer, before: str = "") -> Iterator[tuple[str, typer.models.CommandInfo]]:
    """Every command by its name, with its group's before it."""
    for command in group.registered_commands:
        callback = command.callback
        assert callback is not None
        yield f"{before}{command.name or callback.__name__}", command
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        yield from commands(inner.typer_instance, f"{inner.name} " if inner.name else "")


COMMANDS = dict(commands(app))


def run(office: Office, arguments: tuple[str, ...], extra: tuple[str, ...]) -> Ran:
    return office(*arguments, *extra, by=ADA)


def test_every_command_is_among_those_that_are_tested_here() -> None:
    assert set(MISTAKES) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_in_the_module_of_its_name(name: str) -> None:
    callback = COMMANDS[name].callback
    assert callback is not None
    assert callback.__module__ == f"modelway.pipelines.cli.{name.split(maxsplit=1)[0]}"


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_exits_with_2_and_a_remedy(name: str, debug: tuple[str, ...], released: Office) -> None:
    result = run(released, MISTAKES[name], debug)
    assert result.returncode == 2, result.stdout + result.stderr
    assert result.stdout == ""
    assert "error: " in result.stderr
    assert "remedy" in result.stderr
    assert ("Traceback" in result.stderr) is bool(debug)


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
@pytest.mark.parametrize("name", sorted(set(MISTAKES) - {"schema"}))
def test_a_mistake_is_one_json_object_that_exits_with_2(name: str, debug: tuple[str, ...], released: Office) -> None:
    result = run(released, MISTAKES[name], ("--json", *debug))
    assert result.returncode == 2, result.stdout + result.stderr
    assert {"message", "remedy"} <= set(json.loads(result.stdout)["error"])


@pytest.mark.parametrize("extra", [(), ("--debug",), ("--json",), ("--json", "--debug")], ids=" ".join)
@pytest.mark.parametrize("name", JUDGED)
def test_a_judged_no_exits_with_1(name: str, extra: tuple[str, ...], released: Office) -> None:
    result = run(released, JUDGED[name], extra)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "--json" not in extra or json.loads(result.stdout)


@pytest.mark.parametrize("name", DONE)
def test_what_is_done_exits_with_0_under_debug_too(name: str, released: Office) -> None:
    result = run(released, DONE[name], ("--debug",))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", MISTAKES)
def test_an_option_that_there_is_not_exits_with_2(name: str, released: Office) -> None:
    assert run(released, tuple(name.split()), ("--nothing", "--debug")).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("approve", "7", "--to", "production", "-m", "x"), "visits has no version and no alias '7'"),
        (("approve", "1", "--to", "moon", "-m", "x"), "there is no environment 'moon'"),
        (("approve", "1", "--to", "production", "-m", " "), "an approval needs `reason`"),
        (("promote", "nobody", "--to", "staging"), "no alias 'nobody'"),
        (("history", "--at", "soon"), "'soon' is not a time"),
    ],
)
def test_what_is_not_there_is_named_with_a_remedy(released: Office, arguments: tuple[str, ...], message: str) -> None:
    ran = released(*arguments)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "remedy" in ran.stderr


def small_app(error: BaseException) -> typer.Typer:
    """An app of two commands that end by an error, one of which works on a home."""
    small = typer.Typer(pretty_exceptions_enable=False)

    @small.command()
    def homeless() -> Answer:
        raise error

    @small.command()
    def at_home(project: Project = None, home: Home = None) -> Answer:  # noqa: ARG001 - read by what guards the command
        raise error

    guard(small)
    return small


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RejectedError("no", remedy="r"), 1),
        (ModelwayError("no", remedy="r"), 2),
        (NotFoundError("no", remedy="r"), 2),
        (UnavailableError("no", remedy="r"), 2),
        (OSError(28, "No space left on device", "/data"), 2),
        (KeyError("no"), 3),
        (EOFError("no"), 3),
        (BrokenPipeError(32, "no"), 3),
        (KeyboardInterrupt(), 130),
        (typer.Exit(1), 1),
        (typer.Exit(0), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_a_command_exits_by_its_error(error: BaseException, code: int, debug: tuple[str, ...]) -> None:
    assert CliRunner().invoke(small_app(error), ["homeless", *debug]).exit_code == code


LINE = re.compile(
    r"error: modelway crashed: ZeroDivisionError: at s3://\*\*\*@keys; report it to Modelway's maintainers, with the "
    r"log that has the traceback: (?P<log>\S+)\n"
)
CRASH = ZeroDivisionError("at s3://me:secret@keys")


@pytest.mark.parametrize(("command", "home_is_there"), [("at-home", True), ("at-home", False), ("homeless", False)])
def test_a_crash_says_in_one_line_where_its_log_is(
    command: str, home_is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["modelway", command, "--home", "http://me:secret@host"])
    home = tmp_path / "home"
    if home_is_there:
        home.mkdir()
    options = ["--home", str(home)] if command == "at-home" else []
    result = CliRunner().invoke(small_app(CRASH), [command, *options])
    assert (result.exit_code, result.stdout) == (3, "")
    match = LINE.fullmatch(result.stderr)
    assert match is not None, result.stderr
    log = Path(match["log"])
    assert (log.parent == home / "logs") is home_is_there
    content = log.read_text(encoding="utf-8")
    assert f"modelway {command}" in content
    assert "Traceback (most recent call last)" in content
    assert "raise error" in content
    assert "secret" not in content
    if not home_is_there:
        assert not home.exists()
        log.unlink()


def test_a_crash_under_debug_shows_its_traceback_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(small_app(CRASH), ["at-home", "--home", str(tmp_path), "--debug"])
    assert result.exit_code == 3
    assert "Traceback (most recent call last)" in result.stderr
    assert LINE.search(result.stderr)


def test_a_crash_is_one_json_object(tmp_path: Path) -> None:
    result = CliRunner().invoke(small_app(CRASH), ["at-home", "--home", str(tmp_path), "--json"])
    assert result.exit_code == 3
    error = json.loads(result.stdout)["error"]
    assert Path(error["file"]).parent == tmp_path / "logs"
    assert "report it" in error["remedy"]


def test_where_the_home_cannot_hold_the_log_a_temporary_file_does(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder of the logs should be")
    result = CliRunner().invoke(small_app(CRASH), ["at-home", "--home", str(tmp_path), "--json"])
    log = Path(json.loads(result.stdout)["error"]["file"])
    assert tmp_path not in log.parents
    assert "ZeroDivisionError" in log.read_text(encoding="utf-8")
    log.unlink()


def words(text: str) -> str:
    """The text without line breaks, frames and spaces."""
    return re.sub(r"[\s│╭╮╰╯─]+", "", text)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_shown_as_it_is_written(name: str) -> None:
    result = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "300", "TERM": "dumb"})
    assert result.exit_code == 0
    callback = COMMANDS[name].callback
    assert callback is not None
    assert words(inspect.getdoc(callback) or "") in words(result.output)
    for parameter in inspect.signature(callback, eval_str=True).parameters.values():
        assert words(parameter.annotation.__metadata__[0].help) in words(result.output)


def test_brackets_in_any_help_reach_the_user() -> None:
    assert "needs modelway[evidently]." in CliRunner().invoke(app, ["report", "--help"], env={"COLUMNS": "300"}).output


def test_brackets_in_a_command_of_no_docstring_of_its_own_are_kept() -> None:
    small = typer.Typer()

    @small.command(help="Takes [red]data[/red].")
    def only(data: Annotated[str, typer.Option(help="Data.")] = "") -> None: ...

    guard(small)
    assert "Takes [red]data[/red]." in CliRunner().invoke(small, ["--help"]).output
