"""A task that is told to end leaves a record, and ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.evidence.stop_record import StopRecord

KEPT = "config/project-0123456789abcdef.json"
COMPONENT = '''
def train_model(project: str) -> str:
    """Works in compiled code, which comes back to Python once it is done."""
    import hashlib

    from modelway.components.core.errors import ModelwayError

    print("works", flush=True)
    {work}
    return project
'''
COMPILED = 'hashlib.pbkdf2_hmac("sha256", b"", b"", 300_000_000)'
FORKS = """import os, signal, time
    child = os.fork()
    if child == 0:
        time.sleep(30)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)"""
CRASHES = 'raise ModelwayError("no", remedy="mend it")'


def arguments(**values: Any) -> list[str]:
    executor_input = {"inputs": {"parameterValues": values}, "outputs": {"outputFile": "/dev/null"}}
    return ["executor_main", "--executor_input", json.dumps(executor_input), "--function_to_execute", "train_model"]


@contextmanager
def task(folder: Path, store: Path, work: str) -> Iterator[subprocess.Popen[str]]:
    """A component in a process of its own, as KFP's executor runs it in a container, once it is at work."""
    module = folder / "component.py"
    module.write_text(COMPONENT.format(work=work), encoding="utf-8")
    command = [sys.executable, "-m", "kfp.dsl.executor_main", "--component_module_path", str(module)]
    process = subprocess.Popen(
        [*command, *arguments(project=f"{store}/{KEPT}")[1:]],
        env={**os.environ, "_KFP_RUNTIME": "true", "MODELWAY_RUN": "id-1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line == "works\n":
                break
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_task_that_is_told_to_end_in_compiled_code_records_it_at_once(tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", COMPILED) as process:
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 5
        while (stop := StopRecord.read(str(tmp_path / "store"), "id-1")) is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert process.poll() is None
    assert stop is not None
    assert stop.stage == "train_model"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(stop.at)).total_seconds()) < 60


def test_a_task_that_is_told_to_end_ends(tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", "import time; time.sleep(30)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert StopRecord.read(str(tmp_path / "store"), "id-1") is not None


def test_a_store_that_is_away_delays_the_end_by_little(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file, where the folder would be", encoding="utf-8")
    with task(tmp_path, tmp_path / "store", "import time; time.sleep(30)") as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 128 + signal.SIGTERM


@pytest.mark.parametrize(("work", "code"), [(CRASHES, 1), (FORKS, 0)], ids=["fails", "ends what it forked"])
def test_a_task_that_is_not_told_to_end_records_nothing(work: str, code: int, tmp_path: Path) -> None:
    with task(tmp_path, tmp_path / "store", work) as process:
        output, errors = process.communicate(timeout=20)
        assert process.returncode == code, errors
    if work == FORKS:
        assert f"{-signal.SIGTERM}\n" in output
    assert StopRecord.read(str(tmp_path / "store"), "id-1") is None


ENDS = """
import signal, subprocess, sys, time
from modelway.components.core.termination import ending_with_this_process, on_first_signal, termination_deferred
signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may have these ignored
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""


def run_python(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", ENDS + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


CHILD = """
with subprocess.Popen(["sleep", "60"], preexec_fn=ending_with_this_process()) as child:
    print(child.pid, flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_child_does_not_outlive_its_parent_however_that_ends(number: signal.Signals) -> None:
    process = run_python(CHILD)
    child = int(line_of(process))
    process.send_signal(number)
    process.communicate(timeout=10)
    deadline = time.monotonic() + 2
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not Path(f"/proc/{child}").exists()


FIRST = """
def react(number):
    print("first", number, flush=True)

with on_first_signal(lambda number: sys.exit("the outer one")):
    with on_first_signal(react):
        print("waits", flush=True)
        for _ in range(100):
            time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_reacted_to_and_the_second_ends_at_once(number: signal.Signals) -> None:
    process = run_python(FIRST)
    assert line_of(process) == "waits"
    process.send_signal(number)
    assert line_of(process) == f"first {number}"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=5)
    assert (process.returncode, errors) == (130, "")


def test_what_a_program_handles_or_ignores_itself_stays_so() -> None:
    process = run_python(
        """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: print("own", flush=True))
with on_first_signal(lambda number: print("ours", flush=True)):
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.raise_signal(number)
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""
    )
    output, errors = process.communicate(timeout=10)
    assert (output, errors, process.returncode) == ("own\nTrue\n", "", 0)


def test_a_termination_waits_until_what_is_done_as_a_whole_is_done() -> None:
    process = run_python(
        """
with termination_deferred():
    signal.raise_signal(signal.SIGTERM)
    print("done", flush=True)
print("not reached", flush=True)
"""
    )
    output, _ = process.communicate(timeout=10)
    assert (output, process.returncode) == ("done\n", -signal.SIGTERM)
