"""The published JSON Schemas are those of the models, and the example is valid by them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from modelway.components.core.config.project import Project
from modelway.components.core.config.resources import StageResources
from modelway.pipelines.project.schemas import DOCUMENTS, generated_schema, published_schema

Command = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "insurance"


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_what_is_published_is_what_is_generated(kind: str) -> None:
    assert published_schema(kind) == generated_schema(kind), f"CONTRIBUTING.md says how {kind}.schema.json is generated"


def _parts(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [schema, *(part for part in schema["$defs"].values() if part.get("type") == "object")]


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_no_part_takes_unknown_keys(kind: str) -> None:
    schema = json.loads(published_schema(kind))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert all(part["additionalProperties"] is False for part in _parts(schema))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_example_is_valid_by_the_published_schema(kind: str) -> None:
    content = yaml.safe_load((EXAMPLE / f"{kind}.yaml").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(json.loads(published_schema(kind)))
    assert [error.message for error in validator.iter_errors(content)] == []
    assert list(validator.iter_errors({**content, "surprise": 1}))


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_the_example_names_its_schema(kind: str) -> None:
    first = (EXAMPLE / f"{kind}.yaml").read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (EXAMPLE / first.removeprefix(prefix)).resolve().read_text(encoding="utf-8") == published_schema(kind)


def test_the_documented_settings_are_valid_by_the_schema_and_the_model() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8").replace("DIGEST", "0" * 64)
    (settings,) = (
        block for block in re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL) if "resources:" in block
    )
    example = (EXAMPLE / "project.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(f"{example}\n{settings}")
    validator = jsonschema.Draft202012Validator(json.loads(published_schema("project")))
    assert [error.message for error in validator.iter_errors(content)] == []
    project = Project.model_validate(content)
    assert set(content) >= Project.settings
    assert project.resources["train_model"].model_fields_set == set(StageResources.model_fields) - {"timeout"}
    assert project.sha256() == Project.parse(example).sha256()
