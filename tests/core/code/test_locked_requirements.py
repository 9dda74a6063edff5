"""A project's requirements are locked: one version each, by hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.code.locked_requirements import Lock
from modelway.components.core.errors import ModelwayError

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"


def test_a_lock_is_read_as_uv_and_pip_write_it(tmp_path: Path) -> None:
    text = f"""\ufeff# made by uv pip compile --generate-hashes
--index-url https://packages.example/simple

Zope.Interface[test,docs]==7.2 ; python_version < "3.14" \\
    --hash={TWO} \\
    --hash={ONE}
    # via -r requirements.in
a_b==1!2.0+cpu --hash={ONE}  # ours"""
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    lock = Lock.read(tmp_path)
    assert lock.indexes == ("--index-url https://packages.example/simple",)
    assert [(entry.name, entry.version, entry.hashes, entry.line) for entry in lock.requirements] == [
        ("a-b", "1!2.0+cpu", (ONE,), 8),
        ("zope-interface", "7.2", (ONE, TWO), 4),
    ]
    assert str(lock.requirements[1]) == (
        f'zope-interface[docs,test]==7.2 ; python_version < "3.14" --hash={ONE} --hash={TWO}'
    )


def test_without_a_file_nothing_is_locked(tmp_path: Path) -> None:
    assert Lock.read(tmp_path) == Lock()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("pandas", "is not pinned to one version"),
        (f"pandas>=2 --hash={ONE}", "is not pinned to one version"),
        (f"pandas==2.* --hash={ONE}", "is not pinned to one version"),
        (f"pandas==2,==2.0 --hash={ONE}", "is not pinned to one version"),
        ("pandas==2.0", "has no `--hash`"),
        ("-r more.txt", "is not a package of one version"),
        ("-e .", "is not a package of one version"),
        ("./wheels/a.whl", "is not a package of one version"),
        (f"pandas @ https://files.example/pandas.whl --hash={ONE}", "is not pinned to one version"),
        ("pandas==2.0 \\", "has no `--hash`"),
    ],
)
def test_what_is_not_locked_is_an_error_with_its_line(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "requirements.txt").write_text(f"# first\ninflection==0.5.1 --hash={ONE}\n{line}\n", encoding="utf-8")
    with pytest.raises(ModelwayError) as error:
        Lock.read(tmp_path)
    assert reason in error.value.message
    assert error.value.details()["file"] == f"{tmp_path / 'requirements.txt'}:3"
    assert error.value.value
    assert "uv pip compile --generate-hashes" in error.value.remedy


def test_what_is_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_bytes("p\0a".encode("utf-16"))
    with pytest.raises(ModelwayError, match="is not text in UTF-8"):
        Lock.read(tmp_path)
