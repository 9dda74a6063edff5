"""A project with a released version, and the commands about it, in this process."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from modelway.pipelines.cli.main import main

Ran = CompletedProcess[str]
ADA, BOB = "ada@example.org", "bob@example.org"


@dataclass(frozen=True)
class Office:
    """A project with a released version, and the command to work on it."""

    folder: Path

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    def __call__(self, *arguments: str, by: str = BOB, **more: str) -> Ran:
        """Runs the command in this process, which has imported by then what a new one would take seconds to import."""
        ours = {"MODELWAY_USER": by, "COLUMNS": "240", "MODELWAY_SIGNING_KEY": str(self.keys / "signing.pem")}
        ours |= {"MODELWAY_VERIFYING_KEY": str(self.keys / "verifying.pem")}
        stdout, stderr, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(stdout), redirect_stderr(stderr):
            patch.chdir(self.folder)
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            patch.setattr(sys, "argv", ["modelway", *arguments])
            for name, value in (ours | more).items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        return CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())

    def read_json(self, *arguments: str, code: int = 0, **more: str) -> Any:
        """What a command prints as JSON."""
        ran = self(*arguments, "--json", **more)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return json.loads(ran.stdout)
