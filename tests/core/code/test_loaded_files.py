"""Whatever way a file is loaded as code, it is heard; what is opened to be read is told apart from it."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.code.loaded_files import LoadedFiles, recording_files

MODULES = ["heard_helper", "heard_package", "heard_package.parts", "heard_space", "heard_space.deep"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "heard_helper.py": "value = 1\n",
        "heard_package/__init__.py": "from . import parts\n",
        "heard_package/parts.py": "",
        "heard_space/deep.py": "",
        "rows.csv": "1,2\n",
        "fast.pyx": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def _computed_name() -> None:
    importlib.import_module("heard_" + "helper")


def _forgotten() -> None:
    _computed_name()
    del sys.modules["heard_helper"]


WAYS: list[tuple[Callable[[Path], object], tuple[str, ...]]] = [
    (lambda _: _computed_name(), ("heard_helper.py",)),
    (lambda _: _forgotten(), ("heard_helper.py",)),
    (lambda folder: runpy.run_path(str(folder / "heard_helper.py")), ("heard_helper.py",)),
    (lambda folder: exec(compile("x = 1", str(folder / "heard_helper.py"), "exec"), {}), ("heard_helper.py",)),  # noqa: S102
    (lambda _: importlib.import_module("heard_package"), ("heard_package/__init__.py", "heard_package/parts.py")),
    (lambda _: importlib.import_module("heard_space.deep"), ("heard_space/deep.py",)),
    (lambda folder: (folder / "fast.pyx").read_text(), ("fast.pyx",)),
]


@pytest.mark.parametrize(("load", "files"), WAYS)
def test_a_file_that_is_loaded_as_code_is_heard(
    folder: Path, load: Callable[[Path], object], files: tuple[str, ...]
) -> None:
    with recording_files() as loaded:
        load(folder)
    assert loaded.code(folder) == files
    assert loaded.data(folder) == ()


def test_what_was_imported_before_counts_too(folder: Path) -> None:
    importlib.import_module("heard_helper")
    with recording_files() as loaded:
        pass
    assert loaded.code(folder) == ("heard_helper.py",)


def test_data_that_is_read_is_told_apart_and_what_is_written_is_not_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    with recording_files() as loaded:
        Path("rows.csv").read_text(encoding="utf-8")
        Path("written.csv").write_text("x", encoding="utf-8")
        os.close(os.open(os.devnull, os.O_RDONLY))
    assert loaded.data(folder) == ("rows.csv",)
    assert loaded.code(folder) == ()


def test_nothing_is_heard_outside_the_block(folder: Path) -> None:
    with recording_files() as loaded:
        pass
    (folder / "rows.csv").read_text(encoding="utf-8")
    assert loaded.data(folder) == ()


def test_a_compiled_module_is_heard_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "my_fast.so").write_bytes(b"")
    with recording_files() as loaded:
        sys.audit("import", "my_fast", str(tmp_path / "my_fast.so"), None, None, None)
    assert loaded.code(tmp_path) == ("my_fast.so",)


def test_a_folder_named_by_a_link_is_the_same_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(folder)
    loaded = LoadedFiles(opened={str(folder / "rows.csv")}, executed={str(link / "heard_helper.py")})
    assert loaded.data(link) == ("rows.csv",)
    assert loaded.code(link) == ("heard_helper.py",)


def test_code_from_elsewhere_is_told_apart_from_what_is_installed(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    names = ["heard_shared.py", "site-packages/heard_installed.py", "temporary/heard_generated.py"]
    for name in names:
        (shared / name).parent.mkdir(exist_ok=True)
        (shared / name).write_text("", encoding="utf-8")
    executed = {*(str(shared / name) for name in names), str(folder / "heard_helper.py"), os.__file__, pytest.__file__}
    executed |= {str(shared / "gone.py"), "<string>", importlib.import_module("modelway.components").__file__ or ""}
    monkeypatch.setattr("tempfile.tempdir", str(shared / "temporary"))
    loaded = LoadedFiles(executed)
    assert loaded.outside(folder) == (str(shared / "heard_shared.py"),)
