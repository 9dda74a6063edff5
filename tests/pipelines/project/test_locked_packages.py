"""Which locked packages an image lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.code.locked_requirements import Lock
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.project.locked_packages import InstalledPackages, missing_packages

HASH = f"--hash=sha256:{'0' * 64}"
IMAGE = InstalledPackages("linux/amd64", "3.11", {"numpy": "2.3.0"})


def missing(folder: Path, *lines: str) -> list[str]:
    (folder / "requirements.txt").write_text("\n".join(lines), encoding="utf-8")
    requirements = missing_packages(Lock.read(folder), IMAGE, folder=folder)
    return [requirement.name for requirement in requirements]


def test_what_the_image_has_and_what_is_for_another_platform_is_not_installed(tmp_path: Path) -> None:
    lines = (
        f"numpy==2.3 {HASH}",
        f"shap==0.48.0 {HASH}",
        f"pywin32==311 ; sys_platform == 'win32' {HASH}",
        f"tomli==2.2.1 ; python_version < '3.11' {HASH}",
    )
    assert missing(tmp_path, *lines) == ["shap"]


def test_another_version_than_the_images_is_an_error_at_its_line(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match=r"locks numpy 2.2, but the image of the components has 2.3.0") as error:
        missing(tmp_path, f"shap==0.48.0 {HASH}", f"numpy==2.2 {HASH}")
    assert (error.value.file, error.value.line) == (str(tmp_path / "requirements.txt"), 2)
