"""A confined process writes temporary files alone and connects nowhere, whatever the code in it does."""

from __future__ import annotations

import ctypes
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

LANDLOCK = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) if sys.platform == "linux" else -1
SCRIPT = """
import json, os, shutil, socket, subprocess, sys, tempfile
from pathlib import Path
from modelway.pipelines.project.confinement import confine

work, theirs, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
confine([work, Path("/dev"), Path("/proc")])
os.chdir(theirs)
results = {}
for line in sys.argv[4:]:
    try:
        exec(line)
        results[line] = ""
    except Exception as error:
        results[line] = f"{type(error).__name__}: {error}"
print(json.dumps(results))
"""


def confined(tmp_path: Path, *lines: str) -> tuple[dict[str, str], dict[str, str]]:
    """What each line ended with, and what is in the folder that must not change."""
    work, theirs = tmp_path / "work", tmp_path / "theirs"
    work.mkdir()
    theirs.mkdir()
    (theirs / "model.json").write_text("real", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        command = [sys.executable, "-c", SCRIPT, str(work), str(theirs), port, *lines]
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    left = {str(path.relative_to(theirs)): path.read_text(encoding="utf-8") for path in theirs.rglob("*")}
    return json.loads(result.stdout), left


REFUSED = (
    "open('model.json', 'w')",
    "open(b'model.json', 'a')",
    "os.open('model.json', os.O_TRUNC)",
    "(theirs / 'new.txt').write_text('x')",
    "os.remove('model.json')",
    "os.unlink('model.json', dir_fd=os.open(theirs, os.O_RDONLY))",
    "os.rename('model.json', work / 'stolen')",
    "os.replace(work / 'own', 'model.json')",
    "os.truncate('model.json', 0)",
    "os.mkdir('new')",
    "os.symlink('model.json', 'link')",
    "os.link('model.json', 'link')",
    "os.chmod('model.json', 0)",
    "os.utime('model.json', (1, 1))",
    "shutil.rmtree(theirs)",
    "shutil.copy(__import__('os').__file__, 'model.json')",
)


def test_what_python_would_change_elsewhere_is_refused_in_words(tmp_path: Path) -> None:
    results, left = confined(tmp_path, "(work / 'own').write_text('x')", *REFUSED)
    written, *refused = results.values()
    assert written == ""
    for line, result in zip(REFUSED, refused, strict=True):
        assert result.startswith("_RefusedError: a call on made-up rows may not write "), line
    assert left == {"model.json": "real"}


def test_temporary_files_and_devices_can_be_written_and_everything_can_be_read(tmp_path: Path) -> None:
    lines = (
        "(work / 'a').mkdir(); (work / 'a' / 'b').write_text('x'); shutil.rmtree(work / 'a')",
        "with tempfile.TemporaryDirectory(dir=work) as place: Path(place, 'x').write_text('x')",
        "open(os.devnull, 'w').write('x')",
        "assert open('model.json').read() == 'real'",
        "theirs.mkdir(exist_ok=True)",
        "assert subprocess.run(['cat', 'model.json'], capture_output=True).stdout == b'real'",
        "left, right = socket.socketpair(); left.sendall(b'x')",
    )
    results, _ = confined(tmp_path, *lines)
    assert results == dict.fromkeys(lines, "")
    assert not any((tmp_path / "work").iterdir())


def test_the_network_is_not_reached(tmp_path: Path) -> None:
    lines = (
        "socket.create_connection(('127.0.0.1', port))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', port))",
    )
    results, _ = confined(tmp_path, *lines)
    refusal = "_RefusedError: a call on made-up rows may not connect to 127.0.0.1"
    assert results == dict.fromkeys(lines, refusal)


@pytest.mark.skipif(LANDLOCK < 4, reason="the kernel has no Landlock that bounds connections")
def test_compiled_code_and_child_processes_are_held_by_the_kernel(tmp_path: Path) -> None:
    lines = (
        "__import__('polars').DataFrame({'a': [1]}).write_parquet(theirs / 'rows.parquet')",
        "assert subprocess.run('echo x > model.json', shell=True, stderr=subprocess.DEVNULL).returncode == 0",
        "subprocess.run([sys.executable, '-c', f'import socket; socket.create_connection((\"127.0.0.1\", {port}))'],"
        " check=True, stderr=subprocess.DEVNULL)",
    )
    results, left = confined(tmp_path, *lines)
    polars, shell, child = results.values()
    assert "Permission denied" in polars
    assert shell.startswith("AssertionError")
    assert child.startswith("CalledProcessError")
    assert left == {"model.json": "real"}
