"""Modules beside a project are found by reading them, as far as the interpreter's own finder sees and further."""

from __future__ import annotations

import sys
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

from modelway.components.core.code import modules
from modelway.components.core.code.modules import all_code, is_own_file, reached_files, spec_of, top_level
from modelway.components.core.errors import ModelwayError

FILES = {
    "my_training.py": "import my_package.parts\n\ndef fit(x, y):\n    if x is None:\n        import my_rules\n",
    "my_rules.py": "from my_more import table\n",
    "my_more/__init__.py": "",
    "my_more/table.py": "from .deep import value\n",
    "my_more/deep.py": "value = 1\n",
    "my_package/__init__.py": "from . import parts\n",
    "my_package/parts.py": "",
    "unrelated.py": "",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def reached(folder: Path, name: str) -> set[str]:
    files = reached_files(folder, [name]).values()
    return {file.relative_to(folder).as_posix() for paths in files for file in paths}


def test_all_that_pythons_module_finder_sees_in_the_folder_is_reached(tmp_path: Path) -> None:
    folder = write(tmp_path, FILES)
    finder = ModuleFinder(path=[str(folder)])
    finder.run_script(str(folder / "my_training.py"))
    seen = {
        Path(module.__file__).relative_to(folder).as_posix() for module in finder.modules.values() if module.__file__
    }
    assert seen == set(FILES) - {"unrelated.py"}
    assert reached(folder, "my_training") == seen


def test_a_namespace_package_is_reached(tmp_path: Path) -> None:
    folder = write(tmp_path, {"my_training.py": "import my_space.inner.deep\n", "my_space/inner/deep.py": ""})
    assert reached(folder, "my_training") == {"my_training.py", "my_space/inner/deep.py"}


def test_a_compiled_module_is_reached(tmp_path: Path) -> None:
    folder = write(tmp_path, {"my_training.py": "import my_fast\n", "my_fast.so": "compiled"})
    assert reached(folder, "my_training") == {"my_training.py", "my_fast.so"}


def test_further_folders_are_looked_through(tmp_path: Path) -> None:
    folder = write(tmp_path, {"my_training.py": "import my_inner\n", "src/my_inner.py": ""})
    assert reached(folder, "my_training") == {"my_training.py"}
    paths = reached_files(folder, ["my_training"], roots=["src"])["my_inner"]
    assert paths == [folder / "src" / "my_inner.py"]


def test_all_code_leaves_environments_caches_and_hidden_folders_out(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        FILES
        | {
            ".venv/lib/x.py": "",
            "env/pyvenv.cfg": "",
            "env/lib/y.py": "",
            "vendor/site-packages/z.py": "",
            "__pycache__/w.py": "",
            "fast.pyx": "",
            "rows.csv": "",
        },
    )
    assert set(all_code(folder)) == set(FILES) | {"fast.pyx"}


def test_a_folder_that_is_more_than_a_project_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "_MOST_FILES", 2)
    with pytest.raises(ModelwayError, match="more than 2 files of code") as error:
        all_code(write(tmp_path, FILES))
    assert "a folder of their own" in error.value.remedy


def test_neither_modelway_nor_what_is_installed_is_a_projects_own(tmp_path: Path) -> None:
    root = Path(modules.__file__).resolve().parents[3]
    assert not is_own_file(root / "components" / "core" / "errors.py", root)
    assert not is_own_file(Path(sys.prefix, "lib", "x.py"), Path(sys.prefix).parent)
    assert not is_own_file(Path("/elsewhere/x.py"), tmp_path)
    assert is_own_file(tmp_path / "x.py", tmp_path)
    assert is_own_file(Path(sys.prefix, "claims", "x.py"), Path(sys.prefix, "claims"))


def test_temporary_files_below_a_project_are_not_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modules, "gettempdir", lambda: str(tmp_path / "tmp"))
    assert not is_own_file(tmp_path / "tmp" / "run" / "ephemeral_component.py", tmp_path)
    assert is_own_file(tmp_path / "x.py", tmp_path)


def test_names_are_taken_apart() -> None:
    assert top_level("my_package.parts:fit") == top_level("my_package.parts") == "my_package"
    assert spec_of("my_nowhere.parts") is None
