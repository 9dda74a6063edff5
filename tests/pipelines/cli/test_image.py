"""`modelway image` prints the image that it made, for people and as JSON, and refuses one that is not pinned."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelway.pipelines.project.image import code_of_image


def test_the_command_prints_what_it_made(
    modelway: Callable[..., Any], own: Path, components: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "images")
    variables = {"MODELWAY_IMAGE": components, "MODELWAY_PROJECT_TARGET": target}
    plain = modelway("image", own, cwd=tmp_path, env=variables)
    assert plain.returncode == 0, plain.stderr
    as_json = modelway("image", own, "--json", cwd=tmp_path, env=variables)
    result = json.loads(as_json.stdout)
    assert plain.stdout.splitlines()[0] == result["image"]
    assert result["modules"] == ["own_helpers.py", "own_training.py"]
    assert code_of_image(result["image"]) == result["code"]
    refusal = modelway("image", own, "--image", "registry.example/a:1", "--json", cwd=tmp_path, env=variables)
    assert refusal.returncode == 2
    assert json.loads(refusal.stdout)["error"]["key"] == "image"
