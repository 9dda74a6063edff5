"""`modelway manifests`."""

from __future__ import annotations

from pathlib import Path

from office import Office


def test_the_policy_is_compiled_into_manifests(released: Office, tmp_path: Path) -> None:
    answer = released.read_json("manifests", "-o", str(tmp_path / "manifests"))
    assert str(tmp_path / "manifests" / "base" / "analysis" / "templates.yaml") in answer["files"]
    assert all(Path(file).read_text(encoding="utf-8").count("visits") for file in answer["files"])
