"""The warm process that local tasks are forked from."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp.local import subprocess_task_handler

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.local.runner import Worker

Command = Callable[..., subprocess.CompletedProcess[str]]
Edit = Callable[..., None]

SOURCE = """
from kfp import dsl
from kfp.dsl import *
from typing import *

def task():
    {body}
"""
NOWHERE = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _until(condition: Callable[[], object], seconds: float = 20) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _task(folder: Path, body: str, **env: str) -> dict[str, Any]:
    outputs = {"outputFile": str(folder / "executor_output.json")}
    executor_input = json.dumps({"inputs": {}, "outputs": outputs})
    return {
        "kind": "task",
        "function": "task",
        "source": SOURCE.format(body=body.replace("\n", "\n    ")),
        "arguments": ["--executor_input", executor_input, "--function_to_execute", "task"],
        "env": env,
    }


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    process = Worker(tmp_path_factory.mktemp("worker"), NOWHERE)
    yield process
    process.close()


def test_what_a_task_prints_is_heard_line_by_line(worker: Worker, tmp_path: Path) -> None:
    lines: list[str] = []
    body = 'import os, sys\nprint("one")\nprint(os.environ["GREETING"], file=sys.stderr)'
    code, answer = worker.ask(_task(tmp_path, body, GREETING="good day"), lines.append)
    assert (code, answer) == (0, {})
    assert "one" in lines
    assert "good day" in lines


def test_lines_are_heard_while_the_task_runs(worker: Worker, tmp_path: Path) -> None:
    heard: dict[str, float] = {}
    body = 'import time\nprint("early", flush=True)\ntime.sleep(1)\nprint("late", flush=True)'
    worker.ask(_task(tmp_path, body), lambda line: heard.setdefault(line, time.monotonic()))
    assert heard["late"] - heard["early"] > 0.5


def test_tasks_share_nothing_but_what_was_imported(worker: Worker, tmp_path: Path) -> None:
    task = _task(tmp_path, 'import os, json\nos.environ["LEFT"] = "over"\njson.left = "over"', LEFT_TOO="over")
    assert worker.ask(task)[0] == 0
    body = 'import os, json\nassert not {"LEFT", "LEFT_TOO"} & set(os.environ)\nassert not hasattr(json, "left")'
    assert worker.ask(_task(tmp_path, body))[0] == 0


@pytest.mark.parametrize(
    ("body", "code", "expected"),
    [
        pytest.param("import sys\nsys.exit(0)", 0, {}, id="exits with 0"),
        pytest.param("import sys\nsys.exit(7)", 7, {}, id="exits with 7"),
        pytest.param("import sys\nsys.exit('no')", 1, {}, id="exits with words"),
        pytest.param("import os\nos._exit(9)", 9, {}, id="ends without a word"),
        pytest.param("import ctypes\nctypes.string_at(0)", -signal.SIGSEGV, {}, id="segmentation fault"),
        pytest.param("import os\nos.kill(os.getpid(), 9)", -signal.SIGKILL, {}, id="killed"),
        pytest.param("raise ValueError('wrong')", 1, {"crash": "ValueError: wrong"}, id="raises"),
        pytest.param(
            "from modelway.components.core.errors import ModelwayError\n"
            "raise ModelwayError('wrong', column='age', remedy='put it right')",
            1,
            {"error": {"message": "wrong", "column": "age", "remedy": "put it right"}, "kind": "ModelwayError"},
            id="raises what can be put right",
        ),
    ],
)
def test_how_a_task_ends_is_told(
    worker: Worker, tmp_path: Path, body: str, code: int, expected: dict[str, Any]
) -> None:
    exit_code, answer = worker.ask(_task(tmp_path, body))
    log = answer.pop("log", "")
    assert (exit_code, answer) == (code, expected)
    assert (code != 0) == Path(log).is_file()
    assert "crash" not in expected or "Traceback" in Path(log).read_text(encoding="utf-8")
    assert worker.ask(_task(tmp_path, "pass")) == (0, {})


def test_a_task_that_kills_the_worker_is_a_readable_error(tmp_path: Path) -> None:
    worker = Worker(tmp_path, NOWHERE)
    try:
        with pytest.raises(ModelwayError, match="the process that runs the stages ended") as error:
            worker.ask(_task(tmp_path, "import os\nos.kill(os.getppid(), 9)"))
        assert error.value.file == str(tmp_path / "worker.log")
    finally:
        worker.close()


def test_closing_ends_the_worker_and_what_it_forked(tmp_path: Path) -> None:
    worker = Worker(tmp_path, NOWHERE)
    pids: list[int] = []

    def ask() -> None:
        with pytest.raises((ModelwayError, OSError)):
            worker.ask(_task(tmp_path, SLOW), lambda line: pids.extend(_pids(line)))

    asking = threading.Thread(target=ask)
    asking.start()
    assert _until(lambda: len(pids) == 2)
    worker.close()
    asking.join(timeout=20)
    assert not asking.is_alive()
    assert _until(lambda: not any(map(_alive, pids)))


SLOW = "import os, time\nprint('pids', os.getpid(), os.getppid(), flush=True)\ntime.sleep(60)"


def _pids(line: str) -> list[int]:
    return [int(pid) for pid in line.split()[1:]] if line.startswith("pids ") else []


TRAINING = (
    "from modelway.components.core.storage.mlflow import Tracking\n"
    "import time\n"
    "with Tracking.from_environment().run('closed', 'train', tags={}) as run_id:\n"
    "    print('run', run_id, flush=True)\n"
    "    time.sleep(60)"
)


def test_closing_lets_a_task_end_its_mlflow_run(tmp_path: Path, tracking: Tracking) -> None:
    worker = Worker(tmp_path, {"MLFLOW_TRACKING_URI": tracking.uri})
    lines: list[str] = []

    def ask() -> None:
        with pytest.raises((ModelwayError, OSError)):
            worker.ask(_task(tmp_path, TRAINING), lines.append)

    asking = threading.Thread(target=ask)
    asking.start()
    assert _until(lambda: [line for line in lines if line.startswith("run ")], 60)
    worker.close()
    asking.join(timeout=20)
    run_id = next(line.split()[1] for line in lines if line.startswith("run "))
    assert tracking.client.get_run(run_id).info.status == "KILLED"


DEAF = "import os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLOW


def test_a_task_that_does_not_end_is_not_waited_for_long(tmp_path: Path) -> None:
    worker = Worker(tmp_path, NOWHERE)
    pids: list[int] = []

    def ask() -> None:
        with pytest.raises((ModelwayError, OSError)):
            worker.ask(_task(tmp_path, DEAF), lambda line: pids.extend(_pids(line)))

    asking = threading.Thread(target=ask)
    asking.start()
    assert _until(lambda: len(pids) == 2)
    start = time.monotonic()
    worker.close()
    assert time.monotonic() - start < 10
    asking.join(timeout=20)
    assert _until(lambda: not any(map(_alive, pids)))


ABANDONED = """
import json, sys, time
from pathlib import Path
from modelway.pipelines.local.runner import Worker
worker = Worker(Path(sys.argv[1]), {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"})
worker.ask(json.loads(sys.argv[2]), lambda line: print(line, flush=True))
"""


def test_the_worker_and_its_task_end_with_the_command_however_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ABANDONED, str(tmp_path), json.dumps(_task(tmp_path, SLOW))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = next(filter(None, map(_pids, process.stdout)))
        assert all(map(_alive, pids))
        process.kill()
    assert _until(lambda: not any(map(_alive, pids)))


def test_a_run_that_ends_early_leaves_no_half_made_database(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    worker = Worker(tmp_path / "logs", {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"})
    try:
        begun = _until(lambda: any(file.stat().st_size for file in tmp_path.rglob("*.db")), 60)
    finally:
        worker.close()
    assert begun
    assert not database.exists()


def test_the_database_is_there_whole_for_the_first_task_that_needs_it(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    worker = Worker(tmp_path / "logs", {"MLFLOW_TRACKING_URI": f"sqlite:///{database}"})
    body = (
        "from modelway.components.core.storage.mlflow import Tracking\n"
        'print("versions", Tracking.from_environment().versions("any"))'
    )
    lines: list[str] = []
    try:
        code, _ = worker.ask(_task(tmp_path, body), lines.append)
    finally:
        worker.close()
    assert code == 0
    assert "versions []" in lines
    assert [file.name for file in tmp_path.rglob("*.db*")] == ["mlflow.db"]


@pytest.mark.parametrize(
    ("body", "debug", "code", "says"),
    [
        ("os._exit(3)", (), 2, "a stage's process ended without an error message"),
        ("raise GeneratorExit('odd')", (), 3, "modelway crashed: GeneratorExit: odd; report it"),
        ("raise GeneratorExit('odd')", ("--debug",), 3, "modelway crashed: GeneratorExit: odd; report it"),
    ],
)
def test_code_that_ends_its_stage_is_a_readable_error_of_the_command(
    body: str, debug: tuple[str, ...], code: int, says: str, tmp_path: Path, small: Path, modelway: Command, edit: Edit
) -> None:
    (small / "own.py").write_text(f"import os\n\n\ndef fit(features, label):\n    {body}\n", encoding="utf-8")
    edit(small / "project.yaml", {"model": {"entrypoint": "own:fit"}})
    ran = modelway("run", small, "--home", tmp_path / "home", *debug, cwd=tmp_path)
    assert ran.returncode == code
    assert ("Traceback" in ran.stdout + ran.stderr) is bool(debug)
    assert says in ran.stderr
    logs = next((tmp_path / "home" / "logs").iterdir())
    assert f"{next(logs.glob('*train_model.log'))}" in ran.stderr


def test_kfp_still_starts_a_tasks_command_where_the_worker_takes_its_place() -> None:
    parameters = inspect.signature(subprocess_task_handler.run_local_subprocess).parameters
    assert list(parameters) == ["full_command", "env_vars"]
    assert parameters["env_vars"].default is None
    source = inspect.getsource(subprocess_task_handler.SubprocessTaskHandler.run)
    assert "return_code = run_local_subprocess(" in source
    assert os.access(sys.executable, os.X_OK)
