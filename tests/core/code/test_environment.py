"""What is installed and what is locked, held against the interpreter's own list of distributions."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from modelway.components.core.code.environment import LOCK_FILES, hash_of, installed_packages, locked_environment


@pytest.mark.parametrize("package", ["numpy", "pydantic", "mlflow"])
def test_each_installed_package_is_listed_with_its_version(package: str) -> None:
    assert f"{package}-{version(package)}" in installed_packages()
    assert installed_packages()[0] == f"python-{platform.python_version()}"


@pytest.mark.parametrize("name", LOCK_FILES)
def test_a_lock_file_counts_by_its_name_and_content(tmp_path: Path, name: str) -> None:
    assert locked_environment(tmp_path) == ()
    (tmp_path / name).write_bytes(b"\xff 1")
    assert locked_environment(tmp_path) == (name.encode(), b"\xff 1")


@pytest.mark.parametrize(
    "text",
    [
        "[project]\nrequires-python = '>=3.11'\n",
        "[project.optional-dependencies]\ngpu = ['torch']\n",
        "[dependency-groups]\ntrain = ['torch']\n",
        "[tool.uv]\nexclude-newer = '2026-01-01'\n",
        "[tool.poetry.dependencies]\ntorch = '^2'\n",
        "project = 1\n",
    ],
)
def test_whatever_a_pyproject_requires_counts(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.black]\nline-length = 1\n", encoding="utf-8")
    assert locked_environment(tmp_path) == ()
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    name, required = locked_environment(tmp_path)
    assert (name, bool(required)) == (b"pyproject.toml", True)


def test_parts_do_not_run_into_each_other() -> None:
    assert hash_of([b"ab", b"c"]) != hash_of([b"a", b"bc"])
    assert len(hash_of([])) == 16
