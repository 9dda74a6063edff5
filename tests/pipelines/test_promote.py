"""The promote pipeline compiles to one task and its record, with the keys and addresses it needs, nothing cached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler

from modelway.components.core.bundle import keys
from modelway.components.core.oci import registry as registries
from modelway.pipelines.promote import promote_pipeline


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, Any]]:
    target: Path = tmp_path_factory.mktemp("compiled") / "promote.yaml"
    compiler.Compiler().compile(promote_pipeline(), str(target))
    pipeline, platform = yaml.safe_load_all(target.read_text())
    return pipeline, platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_it_is_one_task_and_its_record_and_nothing_is_cached(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    (group,) = (dag["dag"]["tasks"] for dag in documents[0]["components"].values() if "dag" in dag)
    assert list(group) == ["deploy-model"]
    handler = documents[0]["root"]["dag"]["tasks"]["record-outcome"]
    for task in (group["deploy-model"], handler):
        assert not task.get("cachingOptions", {}).get("enableCache", False)
        assert task["inputs"]["parameters"]["run"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}
    assert handler["inputs"]["parameters"]["goal"] == {"runtimeValue": {"constant": "promoted"}}


def test_only_what_says_which_version_goes_where_must_be_given(
    documents: tuple[dict[str, Any], dict[str, Any]],
) -> None:
    parameters = documents[0]["root"]["inputDefinitions"]["parameters"]
    mandatory = {name for name, definition in parameters.items() if not definition.get("isOptional")}
    assert mandatory == {"model", "version", "environment", "store"}
    assert set(parameters) - mandatory == {"policy", "image", "requested_by"}
    assert all(definition["description"] for definition in parameters.values())


def test_keys_are_mounted_and_addresses_given(documents: tuple[dict[str, Any], dict[str, Any]]) -> None:
    executor = documents[1]["exec-deploy-model"]
    key, services = executor["configMapAsVolume"]
    assert services["configMapName"] == "modelway"
    assert (key["configMapName"], key["optional"]) == ("modelway-verifying-key", True)
    assert f"{key['mountPath']}/verifying.pem" == keys._MOUNTED[keys.VERIFYING_KEY]
    (registry,) = executor["secretAsVolume"]
    assert registry["mountPath"] == registries._MOUNTED
    variables = {entry["envVar"] for source in executor["configMapAsEnv"] for entry in source["keyToEnv"]}
    assert variables == {"AWS_ENDPOINT_URL", "AWS_REGION", "MLFLOW_TRACKING_URI", "MODELWAY_PROMETHEUS"}
    assert executor["securityContext"]["runAsNonRoot"] is True
