"""A call of the project's code in a process of its own shows what it loads, and ends in a sentence where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from user_files import minimal_project

from modelway.components.core.code.loaded_files import Trace
from modelway.components.core.code.version import ProjectCode
from modelway.components.core.config.contract import Contract
from modelway.pipelines.project.traced_call import trace_call

CONTRACT = Contract.parse("columns:\n  income: {type: number}\n  late: {type: boolean}\n")
FIT = "from sklearn.linear_model import LogisticRegression\n\ndef fit(features, label):\n    "
RETURN = "return LogisticRegression().fit(features, label)\n"
KINDS = {
    "traced_training.py": """
import importlib
import os
import sys
from pathlib import Path

import traced_package
from sklearn.linear_model import LogisticRegression

HERE = Path(__file__).parent


class Model(LogisticRegression):
    def predict(self, features):
        import traced_at_predict
        return super().predict(features)


def fit(features, label):
    if len(features) > 10:
        import traced_conditional
    importlib.import_module("traced_" + "computed")
    importlib.import_module("traced_space" + ".inner.deep")
    sys.path.insert(0, str(HERE / "lib"))
    importlib.import_module("traced_in_" + "lib")
    exec(compile((HERE / "snippet.txt").read_text(), str(HERE / "snippet.txt"), "exec"), {})
    (HERE / "fast.pyx").read_text()
    (HERE / "lookup.csv").read_text()
    Path(os.environ["TMPDIR"], "written").write_text("x")
    return Model().fit(features, label)
""",
    "traced_package/__init__.py": "from .parts import value\n",
    "traced_package/parts.py": "value = 1\n",
    "traced_at_predict.py": "",
    "traced_conditional.py": "",
    "traced_computed.py": "",
    "traced_space/inner/deep.py": "",
    "lib/traced_in_lib.py": "def later():\n    import traced_never_called\n",
    "lib/traced_never_called.py": "",
    "snippet.txt": "x = 1\n",
    "fast.pyx": "",
}
OTHERS = {"lookup.csv": "1", "unrelated.py": "", "traced_space/other.py": ""}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def traced(folder: Path, seconds: float = 120, entrypoint: str = "traced_training:fit") -> tuple[Trace, set[str]]:
    project = minimal_project(model={"entrypoint": entrypoint})
    trace = trace_call(folder, project, CONTRACT, seconds=seconds)
    return trace, set(ProjectCode.beside(folder, project, trace).files)


def test_whatever_way_a_module_comes_in_it_belongs_to_the_code(tmp_path: Path) -> None:
    trace, files = traced(write(tmp_path, KINDS | OTHERS))
    assert trace.problem == ""
    assert files == set(KINDS)
    assert trace.roots == ("lib",)
    assert trace.data_files == ("lookup.csv",)
    assert trace.outside == ()
    code = ProjectCode.beside(tmp_path, minimal_project(model={"entrypoint": "traced_training:fit"}), trace)
    versions = {code.version}
    for name, text in KINDS.items():
        (tmp_path / name).write_text(f"{text}# changed\n", encoding="utf-8")
        versions.add(code.version)
    assert len(versions) == len(KINDS) + 1, "a change of each is another version"
    for name in OTHERS:
        (tmp_path / name).write_text("2", encoding="utf-8")
    assert code.version in versions


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("raise ValueError('too few rows')", "traced_training:fit failed to fit: too few rows"),
        ("raise SystemExit(3)", "traced_training:fit failed to fit: it calls sys.exit(3)"),
        ("import os; os._exit(7)", "its process ended with the exit status 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "its process was ended by SIGSEGV"),
        ("import traced_nowhere", "traced_training:fit failed to fit: No module named 'traced_nowhere'"),
    ],
)
def test_a_call_that_fails_says_so_and_all_code_in_the_folder_belongs_to_it(
    tmp_path: Path, line: str, problem: str
) -> None:
    trace, files = traced(write(tmp_path, {"traced_training.py": f"{FIT}{line}\n    {RETURN}"} | OTHERS))
    assert trace.problem.startswith(problem)
    assert files == {"traced_training.py", "unrelated.py", "traced_space/other.py"}


def test_a_call_takes_no_longer_than_it_may_and_leaves_no_process(tmp_path: Path) -> None:
    lines = f"{FIT}import subprocess, time\n    subprocess.Popen(['sleep', '4242'])\n    time.sleep(600)\n"
    trace, _ = traced(write(tmp_path, {"traced_training.py": lines}), seconds=20)
    assert trace.problem.startswith("it takes longer than 20 seconds")
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert b"sleep\x004242\x00" not in commands


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("open(HERE / 'metrics.json', 'w').write('0')", "may not write {folder}/metrics.json"),
        ("features.to_csv(HERE / 'metrics.json')", "may not write {folder}/metrics.json"),
        ("__import__('urllib.request').request.urlopen('http://127.0.0.1:9')", "may not connect to 127.0.0.1"),
    ],
)
def test_a_call_changes_no_file_and_reaches_no_network(tmp_path: Path, lines: str, problem: str) -> None:
    text = f"from pathlib import Path\nHERE = Path(__file__).parent\n{FIT}print('noise')\n    {lines}\n    {RETURN}"
    folder = write(tmp_path, {"traced_training.py": text, "metrics.json": "real"} | OTHERS)
    trace, files = traced(folder)
    assert f"a call on made-up rows {problem.format(folder=folder)}" in trace.problem
    assert (folder / "metrics.json").read_text(encoding="utf-8") == "real"
    assert files == {"traced_training.py", "unrelated.py", "traced_space/other.py"}


def test_code_from_outside_the_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = write(
        tmp_path / "shared", {"traced_shared/__init__.py": "from . import parts", "traced_shared/parts.py": ""}
    )
    monkeypatch.setenv("PYTHONPATH", str(shared))
    folder = write(tmp_path / "claims", {"traced_training.py": f"import traced_shared\n{FIT}{RETURN}"})
    trace, files = traced(folder)
    assert (trace.problem, files) == ("", {"traced_training.py"})
    assert trace.outside == tuple(str(shared / "traced_shared" / name) for name in ("__init__.py", "parts.py"))


def test_what_the_call_logs_in_mlflow_is_no_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_RUN_ID", "1" * 32)
    line = "import os; assert 'MLFLOW_RUN_ID' not in os.environ; assert '127.' not in os.environ['MLFLOW_TRACKING_URI']"
    assert traced(write(tmp_path, {"traced_training.py": f"{FIT}{line}\n    {RETURN}"}))[0].problem == ""


def test_an_estimator_of_the_projects_own_is_called_too(tmp_path: Path) -> None:
    files = {
        "traced_estimators.py": "import importlib\nfrom sklearn.linear_model import LogisticRegression\n"
        "Base = importlib.import_module('traced_' + 'base').Base\nclass Own(Base): pass\n",
        "traced_base.py": "from sklearn.linear_model import LogisticRegression as Base\n",
    }
    folder = write(tmp_path, files | OTHERS)
    project = minimal_project(model={"estimator": "traced_estimators.Own"})
    trace = trace_call(folder, project, CONTRACT, seconds=120)
    assert (trace.problem, set(ProjectCode.beside(folder, project, trace).files)) == ("", set(files))
