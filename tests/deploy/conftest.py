"""Versions that are registered, packaged and signed, in a real MLflow and a real registry, with no model to fit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from image_layouts import with_layer
from light_models import twice_the_income, write_light_model
from pod_proxy import ApiServer, listening

from modelway.components.core.audit.package_records import record_package
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.audit.witness import HEAD_TAG, identity
from modelway.components.core.bundle.bundle import SIGNATURE_FILE
from modelway.components.core.bundle.signing import sign
from modelway.components.core.oci.fetch import RELEASE_ROOT
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.package.stage import package

Change = Callable[[Path], Any]


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with listening() as server:
        yield server


@pytest.fixture(scope="session")
def light_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_light_model(tmp_path_factory.mktemp("light"), twice_the_income(), {"income": "double"})


@pytest.fixture
def release(release: Callable[..., str], light_model: Path) -> Callable[..., str]:
    """Registers a version of a model with its blessing and policy; returns the version."""
    return partial(release, model=light_model)


@dataclass
class Packages:
    """Packages versions as `package_model` does, encrypted, and puts other images in the place of theirs."""

    tracking: Tracking
    host: str
    base: Path
    key: Path
    folder: Path
    bundles: dict[tuple[str, str], Path] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    @property
    def store(self) -> str:
        return str(self.folder / "store")

    def handle(self, model: str, store: str = "") -> RegisteredModel:
        return RegisteredModel(model, store or self.store, self.tracking)

    def __call__(self, model: str, version: str, *, store: str = "") -> str:
        """Makes, pushes and records the image of a version; returns it by digest."""
        bundle = self.bundles[model, version] = self._bundle()
        handle = self.handle(model, store).version(version)
        return package(handle, base=str(self.base), target=f"{self.host}/{model}", bundle_path=str(bundle)).image

    def altered(self, model: str, version: str, change: Change, *, sign_again: bool = False) -> str:
        """Changes the bundle of a version, and records the image of that in place of the packaged one."""
        if (model, version) not in self.bundles:
            self(model, version)
        bundle = shutil.copytree(self.bundles[model, version], self._bundle())
        change(bundle)
        if sign_again:
            (bundle / SIGNATURE_FILE).unlink()
            sign(bundle, bundle / SIGNATURE_FILE, private_key=self.key)
        image = with_layer(str(self.base), bundle, RELEASE_ROOT, f"{self.host}/{model}")
        self.record(model, version, image)
        return image

    def record(self, model: str, version: str, image: str) -> None:
        """Records an image as that of a version, signed by the key that packages."""
        record_package(self.handle(model).version(version), {"image": image}, signing_key=self.key)

    def _bundle(self) -> Path:
        return self.folder / f"package-{next(self._numbers)}" / "release"


@pytest.fixture
def packages(tracking: Tracking, registry: Any, base: Path, keys: Path, tmp_path: Path) -> Packages:
    return Packages(tracking, registry.host, base, keys / "key", tmp_path)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shared")


@pytest.fixture
def shared_version(release: Callable[..., str], packages: Packages, keys: Path, shared_folder: Path) -> str:
    """The version of the model ``shared``, packaged once a session; each test has the store and keys for itself."""
    version_file, copies = shared_folder / "version", {"keys": keys, "store": Path(packages.store)}
    if not version_file.exists():
        version = release("shared")
        packages("shared", version)
        for name, folder in {**copies, "bundle": packages.bundles["shared", version]}.items():
            shutil.copytree(folder, shared_folder / name)
        version_file.write_text(version, encoding="utf-8")
    for name, folder in copies.items():
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(shared_folder / name, folder)
    version = version_file.read_text(encoding="utf-8")
    (registered,) = packages.tracking.client.search_registered_models(filter_string="name = 'shared'")
    for tag in registered.tags:  # what earlier tests wrote to their copies of the log, which are not this one's
        packages.tracking.client.delete_registered_model_tag("shared", tag)
    first = packages.handle("shared").audit_log.entries()[0]
    anchor = f"1 {first.sha256()} {packages.store}"
    packages.tracking.client.set_registered_model_tag("shared", f"{HEAD_TAG}.{identity(first)}", anchor)
    packages.bundles["shared", version] = shared_folder / "bundle"
    return version
