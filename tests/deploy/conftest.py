"""Versions that are registered, packaged and signed, in a real MLflow and a real registry, with no model to fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.bundle import (
    BLESSING_FILE,
    POLICY_FILE,
    RELEASE_FILE,
    SBOM_FILE,
    SIGNATURE_FILE,
    Release,
)
from modelway.components.core.encryption import SEALED_FILE
from modelway.components.core.images import Layout, Reference, pull, push
from modelway.components.core.oci import on_top, write_layer
from modelway.components.core.registry import Registry
from modelway.components.core.released import released
from modelway.components.core.signing import SIGNING_KEY, VERIFYING_KEY, new_keys, sign
from modelway.components.core.storage import write_uri
from modelway.components.core.tracking import Tracking


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the keys, which the environment names."""
    folder = tmp_path / "keys"
    folder.mkdir()
    new_keys(folder / "key", folder / "key.pub")
    monkeypatch.setenv(SIGNING_KEY, str(folder / "key"))
    monkeypatch.setenv(VERIFYING_KEY, str(folder / "key.pub"))
    return folder


@dataclass
class Packages:
    """Packages versions whose model is sealed, so that what is in it is nobody's concern but its signature's."""

    tracking: Tracking
    host: str
    base: Path
    key: Path
    folder: Path
    _made: list[str] = field(default_factory=list)

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def __call__(
        self,
        model: str,
        version: str,
        *,
        after: Callable[[Path], Any] | None = None,
        before: Callable[[Path], Any] | None = None,
        record: bool = True,
        claimed: dict[str, str] | None = None,
    ) -> str:
        """Makes and pushes the image of a version; returns it by digest.

        Args:
            model: The registered model's name.
            version: Its version.
            after: What is done to the bundle after it is signed.
            before: What is done to it before.
            record: Whether the image is recorded as `package_model` does.
            claimed: What the release says of itself in place of the truth.
        """
        work = self.folder / f"package-{len(self._made)}"
        bundle = work / "release"
        bundle.mkdir(parents=True)
        given = released(self.tracking, model, version)
        said = {"name": model, "version": version, "blessing_sha256": given.blessing_sha256, "model_hash": "m"}
        release = Release(**{**said, **(claimed or {})}, onnx=False, created_by="a test")
        for name, text in {
            BLESSING_FILE: given.blessing.content().decode(),
            POLICY_FILE: given.policy.canonical(),
            RELEASE_FILE: json.dumps(asdict(release)),
            SBOM_FILE: json.dumps({"bomFormat": "CycloneDX", "components": []}),
            SEALED_FILE: "sealed",
        }.items():
            (bundle / name).write_text(text, encoding="utf-8")
        if before is not None:
            before(bundle)
        sign(bundle, bundle / SIGNATURE_FILE, self.key)
        if after is not None:
            after(bundle)
        below = pull(Layout(self.base), Reference.parse(str(self.base), "base"), "linux/amd64")
        image = on_top(below, write_layer(bundle, "release", work / "layer.tar"), {}, {}, "a test")
        pushed = push(Registry(self.host, model), image, work / "layer.tar", Layout(self.base), "")
        self._made.append(pushed)
        if record:
            content = json.dumps({"image": pushed}).encode()
            write_uri(f"{self.store}/packages/{model}/{version}.json", content)
        return pushed


@pytest.fixture
def packages(tracking: Tracking, registry: Any, base: Path, keys: Path, tmp_path: Path) -> Packages:
    return Packages(tracking, registry.host, base, keys / "key", tmp_path)
