"""`modelway package`."""

from __future__ import annotations

from pathlib import Path

from office import Office


def test_a_version_is_packaged_by_number_or_alias_and_is_the_same_image(
    office: Office, base: Path, tmp_path: Path
) -> None:
    options = ("--base", str(base), "--target", str(tmp_path / "image"))
    first = office.read_json("package", "1", *options)
    assert first["release"]["version"] == "1"
    assert office.read_json("package", "development", *options)["image"] == first["image"]
    assert first["image"] in office("package", "1", *options).stdout


def test_packaging_without_a_key_says_which_variable(office: Office, base: Path, tmp_path: Path) -> None:
    target = tmp_path / "image"
    ran = office("package", "1", "--base", str(base), "--target", str(target), MODELWAY_SIGNING_KEY="")
    assert ran.returncode == 2
    assert "MODELWAY_SIGNING_KEY is not set" in ran.stderr
    assert not target.exists()
