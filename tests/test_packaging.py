"""The wheel holds what it should, and works where the repository is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "uv",
        "build",
        "--wheel",
        "--no-build-isolation",
        "--quiet",
        "--out-dir",
        str(folder),
        str(ROOT),
    ]
    subprocess.run(command, check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


def test_listed_packages_are_the_folders() -> None:
    mounted = CONFIGURATION["tool"]["setuptools"]["package-dir"]
    found = set()
    for package, folder in mounted.items():
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.parent.relative_to(ROOT / folder).parts
            found.add(".".join([package, *parts]))
    assert set(CONFIGURATION["tool"]["setuptools"]["packages"]) == found


def test_wheel_carries_its_license(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
        assert archive.read(name) == (ROOT / "LICENSE").read_bytes()
        metadata = archive.read(name.replace("licenses/LICENSE", "METADATA")).decode()
    assert "\nLicense-Expression: Apache-2.0\n" in metadata


def test_wheel_holds_templates_schemas_and_the_example(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = [
        *(ROOT / "components").rglob("*.j2"),
        *(ROOT / "components").rglob("*.json"),
        *(ROOT / "examples" / "insurance").glob("*.yaml"),
        *(ROOT / "examples" / "insurance").glob("*.parquet"),
    ]
    assert shipped
    for path in shipped:
        assert f"modelway/{path.relative_to(ROOT).as_posix()}" in names
    assert not [name for name in names if name.startswith(("components/", "pipelines/", "tests/"))]


def test_wheel_works_where_the_repository_is_not(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)],
        check=True,
        timeout=120,
    )
    command = [sys.executable, "-m", "modelway.pipelines.cli", "compile", "-o", "dist", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    found = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert found.returncode == 0, found.stderr
    assert (tmp_path / "dist" / "release.yaml").exists()
    where = subprocess.run(
        [sys.executable, "-c", "import modelway.components as c; print(c.__file__)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert where.stdout.startswith(str(site))
