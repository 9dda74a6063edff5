"""Calls a project's training function on made-up rows in a process of its own, to hear what it loads.

The process can write temporary files alone and reaches no network: what the function writes or sends is for real rows.

Run as ``python -m modelway.pipelines.project.traced_call REQUEST ANSWER``, two files in JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from modelway.components.core.code.loaded_files import LoadedFiles, Trace, recording_files
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.storage.mlflow import RUN_VARIABLE
from modelway.components.core.termination import ending_with_this_process
from modelway.pipelines.project.confinement import confine

EXAMPLE_ROWS = 50
SECONDS = 60.0
_MODULE = "modelway.pipelines.project.traced_call"


def trace_call(folder: Path, project: Project, contract: Contract, *, seconds: float = SECONDS) -> Trace:
    """What a project's model loads from its folder when it is imported, fitted on fifty made-up rows, and predicts.

    Never fails for what the project's code does: it says so in the trace's `problem`.

    Args:
        folder: The project's folder, which its modules are imported from.
        project: What is fitted.
        contract: What rows look like.
        seconds: How long it may take.
    """
    with TemporaryDirectory(prefix="modelway-trace-") as work:
        request, answer, log = (Path(work, name) for name in ("request.json", "answer.json", "log"))
        texts = {"project": project.canonical(), "contract": contract.canonical(), "folder": str(folder.absolute())}
        request.write_text(json.dumps(texts), encoding="utf-8")
        environment = {
            **{name: value for name, value in os.environ.items() if name not in {RUN_VARIABLE, "MLFLOW_RUN_ID"}},
            "PYTHONPATH": os.pathsep.join(filter(None, [str(folder.absolute()), os.environ.get("PYTHONPATH", "")])),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MLFLOW_TRACKING_URI": f"sqlite:///{Path(work, 'mlflow.db')}",  # what is logged there is no run's
            "TMPDIR": work,
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", _MODULE, str(request), str(answer)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                preexec_fn=ending_with_this_process(),  # noqa: PLW1509 - it calls the kernel alone
            )
            problem = _end(process, seconds)
        try:
            content = json.loads(answer.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            return Trace(problem=problem + (f": {lines[-1].strip()[:300]}" if lines else ""))
        lists = {name: tuple(content[name]) for name in ("files", "roots", "data_files", "outside")}
        return Trace(**lists, problem=content["problem"])


def _end(process: subprocess.Popen[bytes], seconds: float) -> str:
    """Waits for a process, and ends it with all that it began; returns what to say if it left no answer."""
    try:
        status = process.wait(seconds)
        problem = f"its process ended with the exit status {status}"
        if status < 0:
            problem = f"its process was ended by {signal.Signals(-status).name}"
    except subprocess.TimeoutExpired:
        problem = f"it takes longer than {seconds:g} seconds"
    finally:  # on Ctrl-C too
        with suppress(ProcessLookupError, PermissionError):  # none is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return problem


def main(request_file: str, answer_file: str) -> None:
    """Answers a request of `trace_call`."""
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    folder, problem = Path(request["folder"]), ""
    project, contract = Project.parse(request["project"]), Contract.parse(request["contract"])
    confine([Path(gettempdir()), Path("/dev"), Path("/proc")])
    with TemporaryDirectory() as work, recording_files() as loaded:
        try:
            _call(project, contract, work=Path(work))
        except ModelwayError as error:
            problem = error.message
        except BaseException as error:  # whatever the project's code raises, SystemExit too
            problem = f"{type(error).__name__}: {first_line(error)}"
    Path(answer_file).write_text(json.dumps(asdict(_trace(loaded, folder, problem=problem))), encoding="utf-8")


def _call(project: Project, contract: Contract, *, work: Path) -> None:
    from modelway.components.core.storage.models import STEPS_FILE
    from modelway.components.core.tables.parquet import read_table, to_model_input
    from modelway.components.prepare.stage import prepare
    from modelway.components.train.fit import fit_pipeline
    from modelway.pipelines.project.example_rows import example_table

    table = example_table(project, contract, rows=EXAMPLE_ROWS)
    raw, steps, prepared = (str(work / name) for name in ("raw", "steps", "prepared"))
    table.write_parquet(raw)
    warnings.simplefilter("ignore")
    prepare(raw, project.canonical(), steps_path=steps, prepared_path=prepared)
    pipeline = fit_pipeline(project, read_table(prepared), steps=Path(steps) / STEPS_FILE)
    features = to_model_input(table, project.features.columns)
    pipeline.predict(features)
    if hasattr(pipeline, "predict_proba"):
        pipeline.predict_proba(features)


def _trace(loaded: LoadedFiles, folder: Path, *, problem: str) -> Trace:
    files = loaded.code(folder)
    places = {Path(place).absolute() for place in sys.path if place} - {folder}
    roots = {place.relative_to(folder).as_posix() for place in places if place.is_relative_to(folder)}
    used = tuple(sorted(root for root in roots if any(file.startswith(f"{root}/") for file in files)))
    return Trace(files, used, loaded.data(folder), loaded.outside(folder), problem)


if __name__ == "__main__":
    main(*sys.argv[1:])
