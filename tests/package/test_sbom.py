"""The bill of materials: valid CycloneDX, complete, and the same each time."""

from __future__ import annotations

import hashlib
import json

import pytest

from modelway.components.core.bundle.bundle import Release
from modelway.components.package.sbom import write_sbom
from modelway.components.package.serving_base import ServingBase

RELEASE = Release("loans", "3", "b" * 64, "a" * 64, True, "modelway 0.1.0")
SERVING_BASE = ServingBase(
    "numpy==2.4.6 --hash=sha256:aa\n",
    "0.1.0",
    "3.11.9",
    "debian",
    ({"name": "libc6", "version": "2.36-9", "architecture": "amd64"},),
)
FILES = {"policy.json": b"{}", "model/weights": b"w"}


def sbom(files: dict[str, bytes]) -> str:
    base, at = "registry.example/serving", "2026-03-01T12:00:00+00:00"
    return write_sbom(RELEASE, SERVING_BASE, base=base, base_digest="sha256:c", at=at, files=files)


def test_it_lists_the_model_its_files_and_the_bases_packages() -> None:
    bom = json.loads(sbom(FILES))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert bom["metadata"]["timestamp"] == "2026-03-01T12:00:00+00:00"
    assert bom["metadata"]["component"]["name"] == "loans"
    base, model = sorted(bom["components"], key=lambda component: component["type"])
    assert (model["type"], model["version"]) == ("machine-learning-model", "3")
    assert model["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert {component["name"]: component["hashes"][0]["content"] for component in model["components"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()
    }
    assert {component["purl"] for component in base["components"]} == {
        "pkg:generic/python@3.11.9",
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/modelway@0.1.0",
        "pkg:deb/debian/libc6@2.36-9?arch=amd64",
    }


def test_it_is_valid() -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    from cyclonedx.schema import SchemaVersion

    assert validation.JsonValidator(SchemaVersion.V1_6).validate_str(sbom(FILES)) is None


def test_the_same_release_gives_the_same_bill() -> None:
    assert sbom(FILES) == sbom(dict(reversed(FILES.items())))
    assert sbom({}) != sbom(FILES)
