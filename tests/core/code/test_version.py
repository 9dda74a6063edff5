"""A project's code is what its entrypoint imports from beside it, and what is locked there: no more and no less."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from user_files import minimal_project

from modelway.components.core.code.loaded_files import LoadedFiles, Trace
from modelway.components.core.code.version import (
    MANIFEST_VARIABLE,
    ProjectCode,
    base_version,
    check_code,
    code_version,
    trains_elsewhere,
)
from modelway.components.core.config.project import Project
from modelway.components.core.errors import DamagedError, ModelwayError

HASH = "a" * 64
FILES = {
    "coded_training.py": "import numpy\nimport coded_helpers\n\ndef fit(features, label):\n    raise SystemExit\n",
    "coded_helpers.py": "def clean():\n    from coded_package.steps import scale\n    return scale\n",
    "coded_package/__init__.py": "from . import steps\n",
    "coded_package/steps.py": "import coded_more.deep as deep\n\nscale = 2\n",
    "coded_package/weights.csv": "1,2\n",
    "coded_package/__pycache__/steps.cpython-311.pyc": "compiled",
    "coded_package/.cache/x": "hidden",
    "coded_more/deep/__init__.py": "",
    "test_coded.py": "import coded_training\n",
    "coded_notebook.ipynb": "{}",
    "data/claims.csv": "1\n",
}
REACHED = (
    "coded_helpers.py",
    "coded_more/deep/__init__.py",
    "coded_package/__init__.py",
    "coded_package/steps.py",
    "coded_package/weights.csv",
    "coded_training.py",
)


def project(entrypoint: str | None = "coded_training:fit") -> Project:
    model = {"entrypoint": entrypoint} if entrypoint else {"estimator": "sklearn.linear_model.Ridge"}
    return minimal_project(task="regression", label="score", model=model)


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A project's folder with modules, and things beside them that nothing imports."""
    return write(tmp_path / "claims", FILES)


@pytest.fixture
def importable(code: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as a run has it, with nothing of it imported yet."""
    monkeypatch.syspath_prepend(code)
    return code


def version(folder: Path) -> str:
    return ProjectCode.beside(folder, project()).version


def test_what_the_entrypoint_imports_beside_it_is_its_code_and_nothing_else(code: Path) -> None:
    assert ProjectCode.beside(code, project()).files == REACHED
    assert not {"coded_training", "coded_helpers", "coded_package"} & set(sys.modules)


def test_the_same_code_has_the_same_version_wherever_and_whenever_it_is(code: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(code, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    (copy / "test_coded.py").write_text("changed", encoding="utf-8")
    assert version(copy) == version(code)
    assert version(code)[0] == "m"
    assert len(version(code)) == 17


@pytest.mark.parametrize("name", REACHED)
def test_a_change_of_what_is_imported_or_lies_in_its_package_is_another_version(code: Path, name: str) -> None:
    before = version(code)
    (code / name).write_text((code / name).read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
    assert version(code) != before


def test_a_file_that_moves_is_another_version(code: Path) -> None:
    before = version(code)
    (code / "coded_package" / "weights.csv").rename(code / "coded_package" / "weights2.csv")
    assert version(code) != before


def test_the_requirements_are_a_part_of_their_own(code: Path) -> None:
    modules = version(code)
    lock = code / "requirements.txt"
    write(code, {"requirements.txt": f"# made today\ninflection==0.5.1 \\\n    --hash=sha256:{HASH}\n    # via x\n"})
    locked_version = version(code)
    assert locked_version.partition("-")[0] == modules
    assert locked_version.partition("-")[2][0] == "r"
    lock.write_text(f"inflection==0.5.1 --hash=sha256:{HASH}", encoding="utf-8")
    assert version(code) == locked_version
    lock.write_text(f"inflection==0.5.1 --hash=sha256:{HASH[:-1]}b", encoding="utf-8")
    assert version(code) != locked_version
    lock.write_text(
        "inflection  # of some version: modelway image refuses it, and a run here does not", encoding="utf-8"
    )
    assert version(code) not in {modules, locked_version}
    only = ProjectCode.beside(code, project(None)).version
    assert only[0] == "r"
    assert "-" not in only


LOCK = "[[package]]\nname = 'numpy'\nversion = '2.3.0'\n"
REQUIRED = "[project]\ndependencies = ['numpy>=2']\n"


@pytest.mark.parametrize(
    ("file", "text", "change"),
    [
        ("uv.lock", LOCK, LOCK.replace("2.3.0", "2.3.1")),
        ("pyproject.toml", REQUIRED, REQUIRED.replace("numpy>=2", "numpy>=2.3")),
        ("pyproject.toml", "not = [TOML", "not = [TOML too"),
    ],
)
def test_what_a_lock_beside_the_project_says_is_a_part_of_its_own(
    code: Path, file: str, text: str, change: str
) -> None:
    modules = version(code)
    write(code, {file: text})
    locked_version = version(code)
    assert locked_version.startswith(f"{modules}-l")
    write(code, {file: change})
    assert version(code) not in {modules, locked_version}
    assert version(code).startswith(f"{modules}-l")


def test_settings_of_tools_in_pyproject_are_no_part_of_the_version(code: Path) -> None:
    modules = version(code)
    write(code, {"pyproject.toml": "[tool.ruff]\nline-length = 120\n"})
    assert version(code) == modules
    write(code, {"pyproject.toml": f"{REQUIRED}[tool.ruff]\nline-length = 120\n"})
    locked_version = version(code)
    write(code, {"pyproject.toml": f"[tool.ruff]\nline-length = 80\n{REQUIRED}"})
    assert version(code) == locked_version


@pytest.mark.parametrize(("parts", "expected"), [("", False), ("l1-o2", False), ("m1", True), ("r2-l1", True)])
def test_modules_and_requirements_are_trained_with_in_an_image_of_their_own(parts: str, expected: bool) -> None:
    assert trains_elsewhere(parts) is expected


def test_a_package_of_another_version_is_another_version_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = code_version(project(None))
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "coded_library-1.0.dist-info").mkdir()
    first = code_version(project(None))
    (tmp_path / "coded_library-1.0.dist-info").rename(tmp_path / "coded_library-1.1.dist-info")
    assert len({before, first, code_version(project(None))}) == 3


def test_code_that_a_call_loads_from_elsewhere_is_a_part_of_its_own(code: Path, tmp_path: Path) -> None:
    helper = write(tmp_path / "shared", {"coded_elsewhere.py": "x = 1\n"}) / "coded_elsewhere.py"
    trace = Trace(outside=(str(helper),))
    before = ProjectCode.beside(code, project(), trace).version
    assert before.startswith(f"{version(code)}-o")
    copy = write(tmp_path / "other", {"coded_elsewhere.py": "x = 1\n"}) / "coded_elsewhere.py"
    assert ProjectCode.beside(code, project(), Trace(outside=(str(copy),))).version == before
    helper.write_text("x = 2\n", encoding="utf-8")
    assert ProjectCode.beside(code, project(), trace).version != before


def test_code_that_lies_outside_the_folder_is_looked_up_where_the_runs_manifest_names_none(
    importable: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an entrypoint of a package that is installed to be edited, whose changes went unheard."""
    empty = tmp_path / "elsewhere"
    empty.mkdir()
    (tmp_path / "code.json").write_text(ProjectCode(empty).manifest(str(empty)), encoding="utf-8")
    monkeypatch.setenv(MANIFEST_VARIABLE, str(tmp_path / "code.json"))
    versions = [code_version(project(), project_code=text) for text in ("", "r2")]
    assert versions == [f"{base_version()}-{version(importable)}", f"{base_version()}-{version(importable)}-r2"]
    here = check_code(project(), versions[0])
    assert here is not None
    assert here.files == REACHED


def test_without_modules_beside_it_a_project_has_no_code(tmp_path: Path) -> None:
    (tmp_path / "sklearn").mkdir()  # a folder without Python files is no package
    for entrypoint in (None, "sklearn.svm:SVC", "coded_elsewhere:fit"):
        assert ProjectCode.beside(tmp_path, project(entrypoint)).version == ""


def test_a_package_named_by_the_entrypoint_is_taken_whole(code: Path) -> None:
    files = ProjectCode.beside(code, project("coded_package.steps:scale")).files
    assert files == tuple(name for name in REACHED if "/" in name)


def test_an_installed_package_has_no_siblings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, FILES | {"coded_package-1.dist-info/METADATA": "", "requirements.txt": "anything"})
    monkeypatch.syspath_prepend(tmp_path)
    files = ProjectCode.imported("coded_package.steps:scale").files
    assert files == tuple(name for name in REACHED if name.startswith("coded_package/"))


def test_a_runs_code_is_the_librarys_and_the_projects(importable: Path) -> None:
    assert code_version(project(None)) == base_version()
    assert code_version(project()) == f"{base_version()}-{version(importable)}"
    assert code_version(project(), project_code="m1-r2") == f"{base_version()}-m1-r2"
    assert code_version(project("coded_nowhere:fit"), project_code="m1") == f"{base_version()}-m1"


def test_modules_that_are_installed_are_looked_up_where_only_requirements_are_beside(importable: Path) -> None:
    assert code_version(project(), project_code="r2") == f"{base_version()}-{version(importable)}-r2"
    assert (
        code_version(project("coded_nowhere:fit"), project_code="r2") == f"{base_version()}-r2"
    )  # in a locked package
    assert code_version(project(None), project_code="r2") == f"{base_version()}-r2"


def test_a_folder_may_be_named_relatively(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absolute = version(code)
    monkeypatch.chdir(code.parent)
    assert version(Path(code.name)) == absolute


def test_the_librarys_own_functions_are_found_too() -> None:
    assert code_version(project("modelway.pipelines.drill.models:fit")).startswith(f"{base_version()}-m")


def test_the_code_that_is_imported_must_be_that_of_the_run(importable: Path) -> None:
    started_for = code_version(project())
    check_code(project(), started_for)
    check_code(project(), f"{started_for}-r0000000000000000")
    (importable / "coded_helpers.py").write_text("from coded_package import steps\n", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is not the code that the run was started for") as error:
        check_code(project(), started_for)
    assert error.value.key == "model.entrypoint"
    assert error.value.value == version(importable)
    assert "modelway image" in error.value.remedy


def test_code_that_is_not_there_is_not_taken_for_that_of_the_run() -> None:
    with pytest.raises(ModelwayError, match="the module 'coded_nowhere' cannot be found") as error:
        check_code(project("coded_nowhere:fit"), f"{base_version()}-m0000000000000000")
    assert "modelway image" in error.value.remedy


@pytest.mark.parametrize("code", ["", "1234", "1234-r5678"])
def test_where_no_modules_are_named_none_are_compared(code: str) -> None:
    check_code(project("coded_nowhere:fit"), code)
    check_code(project(None), "1234-m5678")


@pytest.mark.parametrize(
    ("files", "message", "file"),
    [
        ({"coded_helpers.py": "x = (\n"}, "'(' was never closed", "coded_helpers.py:1"),
        ({"coded_package/steps.py": "\n\nimport\n"}, "invalid syntax", "coded_package/steps.py:3"),
        ({"coded_helpers.py": "x = '\0'"}, "null bytes", "coded_helpers.py:1"),
        ({"coded_helpers.py": "import json\n", "json.py": ""}, "the standard library", "json.py"),
        (
            {"coded_helpers.py": "import modelway.components\n", "modelway/__init__.py": ""},
            "takes the name of a module of Modelway",
            "modelway",
        ),
    ],
)
def test_a_module_that_cannot_be_one_is_an_error(code: Path, files: dict[str, str], message: str, file: str) -> None:
    write(code, files)
    with pytest.raises(ModelwayError) as error:
        version(code)
    assert message in error.value.message
    assert error.value.details()["file"] == str(code / file)


@pytest.mark.parametrize("entrypoint", ["coded_package.nothing:fit", "coded_package.weights:fit"])
def test_a_module_that_its_package_lacks_is_an_error(importable: Path, entrypoint: str) -> None:
    lookups: list[Callable[[], object]] = [
        lambda: ProjectCode.beside(importable, project(entrypoint)),
        lambda: code_version(project(entrypoint)),
    ]
    for lookup in lookups:
        with pytest.raises(ModelwayError, match="cannot be found"):
            lookup()


OWN_ESTIMATOR = {"estimator": "coded_package.steps.Scaler"}


def test_an_estimator_of_the_projects_own_has_a_version(importable: Path) -> None:
    own = minimal_project(task="regression", label="score", model=OWN_ESTIMATOR)
    code = ProjectCode.beside(importable, own)
    assert code.files == tuple(name for name in REACHED if "/" in name)
    assert code_version(own) == f"{base_version()}-{code.version}"
    assert check_code(own, code_version(own)) == ProjectCode.imported("coded_package.steps:Scaler")
    (importable / "coded_more" / "deep" / "__init__.py").write_text("changed = 1", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is not the code that the run was started for") as error:
        check_code(own, f"{base_version()}-{code.modules_version}0")
    assert error.value.key == "model.estimator"


def test_what_a_call_loads_belongs_to_the_code_with_what_that_imports(code: Path) -> None:
    write(
        code, {"coded_late.py": "def f():\n    import coded_later\n", "coded_later.py": "", "lib/coded_in_lib.py": ""}
    )
    trace = Trace(("coded_late.py", "coded_training.py", "lib/coded_in_lib.py"), roots=("lib",))
    files = ProjectCode.beside(code, project(), trace).files
    assert set(files) == {*REACHED, "coded_late.py", "coded_later.py", "lib/coded_in_lib.py"}


def test_where_the_call_failed_all_code_belongs_to_it(code: Path) -> None:
    files = ProjectCode.beside(code, project(), Trace(problem="it crashed")).files
    assert set(files) == {*REACHED, "test_coded.py"}


def test_what_a_run_or_an_image_says_is_its_code(code: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced = ProjectCode.beside(
        code, project(), Trace(("test_coded.py",), data_files=("data/claims.csv",), outside=(__file__,))
    )
    manifest = tmp_path / "code.json"
    manifest.write_text(traced.manifest(str(code)), encoding="utf-8")
    monkeypatch.setenv(MANIFEST_VARIABLE, str(manifest))
    version = f"{base_version()}-{traced.version}"
    here = check_code(project(), version)
    assert here is not None
    assert (here.files, here.trace.data_files) == (traced.files, ("data/claims.csv",))
    assert here.trace.outside == traced.trace.outside
    assert json.loads(traced.manifest("/opt/project/code"))["outside"] == [], "paths of this machine are for it alone"
    (code / "test_coded.py").write_text("changed", encoding="utf-8")
    with pytest.raises(ModelwayError, match="is not the code that the run was started for"):
        check_code(project(), version)
    (code / "test_coded.py").unlink()
    with pytest.raises(ModelwayError, match="belongs to the project's code and is not there"):
        check_code(project(), version)
    manifest.write_text("{}", encoding="utf-8")
    with pytest.raises(DamagedError, match="does not say which files"):
        check_code(project(), version)


def test_training_that_loads_a_module_outside_the_version_is_refused(code: Path) -> None:
    own = ProjectCode.beside(code, project())
    own.check_loaded(LoadedFiles({str(code / name) for name in REACHED}, {str(code / "data/claims.csv")}))
    edited = ProjectCode.beside(code, project(), Trace(outside=(str(code / "test_coded.py"),)))
    edited.check_loaded(LoadedFiles({str(code / "test_coded.py")}))
    with pytest.raises(ModelwayError, match=r"training loaded test_coded\.py, which is not in the version") as error:
        own.check_loaded(LoadedFiles({str(code / "test_coded.py")}))
    assert error.value.file == str(code / "test_coded.py")
    assert "`import` statement" in error.value.remedy
