"""Attacks by who can write the image registry and the store, and has no signing key."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from image_layouts import with_layer, write_base
from light_models import twice_the_income, write_light_model

from modelway.components.core.audit.package_records import record_package
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.oci.fetch import RELEASE_ROOT
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.preconditions import precondition_failures
from modelway.components.package.stage import package


@pytest.fixture
def version(release: Callable[..., str], tracking: Tracking, tmp_path: Path) -> ModelVersion:
    model = write_light_model(tmp_path / "light", twice_the_income(), {"income": "double"})
    name = f"rebased-{tmp_path.name}".replace("_", "-")
    number = release(name, {"staging": {}}, model=model)
    return RegisteredModel(name, str(tmp_path / "store"), tracking).version(number)


@pytest.mark.usefixtures("keys")
def test_a_genuine_release_on_another_base_is_not_deployed(
    version: ModelVersion, registry: Any, base: Path, tmp_path: Path
) -> None:
    target, bundle = f"{registry.host}/{version.name}", tmp_path / "package" / "release"
    genuine = package(version, base=str(base), target=target, bundle_path=str(bundle)).image
    assert precondition_failures(version, "staging") == ()
    other_base = write_base(
        tmp_path / "other", ["bin/evil"], User="0:0", Cmd=["/bin/evil"], Env=["LD_PRELOAD=/bin/evil"]
    )
    forged = with_layer(other_base, bundle, RELEASE_ROOT, target)
    assert forged.partition("@")[0] == genuine.partition("@")[0]
    (failure,) = precondition_failures(version, "staging", image=forged)
    assert failure == f"the image is not the one that package_model recorded: it is {forged}, not {genuine}"

    record = Path(version.store, "packages", version.name, f"{version.number}.json")
    signed = json.loads(record.read_text())
    record.write_text(json.dumps(signed | {"image": forged}))
    assert "does not count: no trusted key signed it" in precondition_failures(version, "staging")[0]
    record.write_text(json.dumps({"image": forged}))
    assert "does not count: it is not signed" in precondition_failures(version, "staging", image=forged)[0]
    new_keys(tmp_path / "eve", tmp_path / "eve.pub")
    record_package(version, {"image": forged}, signing_key=tmp_path / "eve")
    assert "made with another key than is trusted here" in precondition_failures(version, "staging")[0]
