"""How a failing command ends: its error message, its exit code, and a crash's log."""

from __future__ import annotations

import inspect
import os
import platform
import shlex
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

import typer

from modelway.components.core.addresses import without_secrets
from modelway.components.core.config.document import locate
from modelway.components.core.errors import (
    CrashError,
    InterruptionError,
    exit_code_of,
    first_line,
    interruption,
    readable_error,
)
from modelway.components.core.termination import TerminatedError
from modelway.pipelines.cli.options import Debug, Json, home_of, project_folder
from modelway.pipelines.cli.output import STANDARD_OUTPUT, Answer, escape, print_error, print_json

_JSON = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)
_DEBUG = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)


def guard(app: typer.Typer) -> None:
    """Gives every command of an app `--debug`, prints its answer, and ends it with one readable error where it fails.

    A command that returns an `Answer` has `--json` too. One that fails exits with 1 where that is a judged no, 3 where
    Modelway crashed, 128 and the signal's number where it was told to end, and 2 on any other error. That nobody reads
    what it prints any more is no error. Help texts are shown as they are written: rich would take
    ``name[extra]`` for markup.
    """
    for command in app.registered_commands:
        if command.callback is not None:
            command.help = escape(command.help or inspect.getdoc(command.callback) or "")
            command.callback = _guarded(command.callback)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            guard(group.typer_instance)


def _guarded(callback: Callable[..., Answer | None]) -> Callable[..., None]:
    signature = inspect.signature(callback, eval_str=True)
    json = [_JSON] if signature.return_annotation is Answer else []
    own_parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "debug"]

    @wraps(callback)
    def command(**options: Any) -> None:
        answer: Answer | None = None
        try:
            answer = callback(**{name: options[name] for name in signature.parameters})
            if answer is not None:
                answer.print(as_json=options["as_json"])
        except (typer.Exit, typer.Abort):
            raise
        except TerminatedError as error:
            end = InterruptionError(f"interrupted by {interruption(error.number)}", error.number)
            raise typer.Exit(_end(end, options)) from error
        except Exception as error:
            raise typer.Exit(_end(error, options)) from error
        raise typer.Exit(0 if answer is None else answer.exit_code)

    parameters = [*own_parameters, *json, _DEBUG]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def _end(error: Exception, options: Mapping[str, Any]) -> int:
    """Prints why a command ends; returns its exit code."""
    readable = readable_error(error)
    if readable is None:
        description = f"{type(error).__name__}: {first_line(error)}"
        readable = CrashError(description, str(_write_log(error, options)))
    if options["debug"]:
        sys.stderr.write(without_secrets("".join(traceback.format_exception(error))))
    if options.get("as_json") and readable.file != STANDARD_OUTPUT:
        print_json({"error": locate(readable).fields()})
    else:
        print_error(locate(readable))
    return exit_code_of(readable)


def _write_log(error: Exception, options: Mapping[str, Any]) -> Path:
    """Keeps a crash's traceback: among the logs of the project's home, or in a temporary file where there is none."""
    about = (
        f"modelway {version('modelway')}, Python {platform.python_version()}, {platform.platform()}",
        without_secrets(shlex.join(["modelway", *sys.argv[1:]])),
        without_secrets("".join(traceback.format_exception(error))),
    )
    content = "\n".join(about)
    home = home_of(project_folder(options.get("project")), options["home"]) if "home" in options else None
    if home is not None and home.is_dir():
        log = home / "logs" / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        with suppress(OSError):
            log.parent.mkdir(exist_ok=True)
            log.write_text(content, encoding="utf-8")
            return log
    try:
        with tempfile.NamedTemporaryFile("w", prefix="modelway-crash-", suffix=".log", delete=False) as file:
            file.write(content)
    except OSError:  # no file can be written anywhere
        sys.stderr.write(f"{content}\n")
        return Path("/dev/stderr")
    return Path(file.name)
