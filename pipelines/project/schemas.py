"""The JSON Schemas of a project's three files, for editors to complete and check them by."""

from __future__ import annotations

import json
from importlib.resources import files

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.document import Document
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project

DOCUMENTS: dict[str, type[Document]] = {"project": Project, "contract": Contract, "policy": Policy}


def generated_schema(kind: str) -> str:
    """The schema that the model of a file gives now."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **DOCUMENTS[kind].model_json_schema()}
    return json.dumps(schema, indent=2) + "\n"


def published_schema(kind: str) -> str:
    """The schema that the package ships."""
    return (files("modelway.components.core.config") / f"{kind}.schema.json").read_text(encoding="utf-8")
