"""Components as Kubeflow runs them: the compiled command in its own image and account; and the pipeline locally."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import eventually, kubectl

from modelway.components.core.evidence.runs import DeploymentRecord
from modelway.components.core.storage.uri import join, read_uri, write_uri

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

ROOT = Path(__file__).resolve().parents[3]
PROMOTE = """
import json, sys
from kfp import local
from modelway.pipelines.promote import promote_pipeline
parameters, root = sys.argv[1:]
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=root, raise_on_error=True)
promote_pipeline()(**json.loads(parameters))
"""


@pytest.fixture(scope="module")
def image(registry: Any) -> str:
    """The image of the components, in the registry, by its digest."""
    tag = f"{registry.host}/components:test"
    for command in (
        ("build", "--network", "host", "-f", "Dockerfile.component", "-t", tag, "."),
        ("push", "--quiet", tag),
    ):
        ran = subprocess.run(["docker", *command], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    description = subprocess.run(
        ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", tag],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    subprocess.run(["docker", "rmi", tag], capture_output=True, timeout=60, check=False)
    (digest,) = [name for name in json.loads(description.stdout) if name.startswith(registry.host)]
    return str(digest)


def _unsigned(record: bytes) -> dict[str, Any]:
    """A package record without its signature, of which no two are the same."""
    content = dict(json.loads(record))
    assert content.pop("signature")
    return content


def _parameters(place: Any, version: str) -> dict[str, Any]:
    return {
        "model": "loans",
        "version": version,
        "environment": "staging",
        "store": place.store,
        "policy": place.policy().canonical(),
        "image": "",
        "requested_by": "ada@example.org",
    }


def _command(component: str, image: str, folder: Path) -> list[str]:
    """The command that is compiled for a component, for its image."""
    code = "import sys, modelway.components; from kfp import compiler; "
    code += f"compiler.Compiler().compile(modelway.components.{component}, sys.argv[1])"
    file = folder / "component.yaml"
    environment = {**os.environ, "MODELWAY_IMAGE": image}
    subprocess.run([sys.executable, "-c", code, str(file)], env=environment, check=True, timeout=120)
    (executor,) = next(yaml.safe_load_all(file.read_text(encoding="utf-8")))["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == image
    return [*executor["container"]["command"], *executor["container"]["args"]]


def _task(
    place: Any,
    environ: dict[str, str],
    image: str,
    command: list[str],
    parameters: dict[str, Any],
    artifacts: dict[str, str],
    account: str,
    keys: dict[str, Any],
) -> Any:
    """The pod of a task as Kubeflow makes it, without Kubeflow's launcher; on the host's network, for the registry.

    Its `artifacts` are schema titles by name, and its `keys` a volume for each use of one, mounted where they are
    looked for.
    """
    outputs = {
        name: {"artifacts": [{"name": name, "type": {"schemaTitle": f"system.{kind}"}, "uri": f"/tmp/{name}"}]}  # noqa: S108
        for name, kind in artifacts.items()
    }
    executor_input = {
        "inputs": {"parameterValues": parameters},
        "outputs": {
            "outputFile": "/tmp/outputs.json",  # noqa: S108
            "parameters": {"Output": {"outputFile": "/tmp/Output"}},  # noqa: S108
            "artifacts": outputs,
        },
    }
    variables = {name: os.environ[name] for name in ("MINIO_ENDPOINT", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")}
    variables |= {name: environ[name] for name in ("MLFLOW_TRACKING_URI", "MODELWAY_PROMETHEUS")}
    container = {
        "name": "main",
        "image": image,
        "command": [part.replace("{{$}}", json.dumps(executor_input)) for part in command],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *({"name": use, "mountPath": f"/var/run/modelway/{use}"} for use in keys),
        ],
    }
    spec = {
        "serviceAccountName": account,
        "hostNetwork": True,
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            *({"name": use, **volume} for use, volume in keys.items()),
        ],
    }
    metadata = {"name": f"task-of-{account}", "namespace": place.pipelines}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _output_of(task: Any) -> str:
    """What a task that has succeeded said."""
    about = ("-n", task["metadata"]["namespace"], task["metadata"]["name"])
    kubectl("apply", "-f", "-", content=json.dumps(task))
    of_the_task = (*about[:2], "get", "pod", about[2], "-o", "jsonpath={.status.phase}")
    phases = {"Succeeded", "Failed"}
    phase = eventually(
        lambda: next((name for name in phases if kubectl(*of_the_task) == name), ""),
        "it has ended",
        150,
    )
    output = str(kubectl(*about[:2], "logs", about[2]))
    assert phase == "Succeeded", output
    return output


def test_deploy_model_runs_in_its_own_container(
    place: Any,
    environ: dict[str, str],
    image: str,
    good: str,
    tmp_path: Path,
) -> None:
    keys = f"--from-file=verifying.pem={environ['MODELWAY_VERIFYING_KEY']}"
    kubectl("-n", place.pipelines, "create", "configmap", "modelway-verifying-key", keys)
    policy = place.policy(traffic="smoke").canonical()
    parameters = _parameters(place, good) | {"run": "in-a-pod", "insecure": False, "policy": policy}
    task = _task(
        place,
        environ,
        image,
        _command("deploy_model", image, tmp_path),
        parameters,
        {"summary": "Markdown"},
        "modelway-deployer",
        {"verifying": {"configMap": {"name": "modelway-verifying-key"}}},
    )
    with place.traffic().flowing() as traffic:
        output = _output_of(task)
    assert "step 2/3, weight 50 %" in output
    assert "smoke requests right; staging has no other traffic" in output
    record = DeploymentRecord.read(place.store, "in-a-pod")
    assert record is not None
    assert (record.verdict, record.version) == ("promoted", good)
    assert traffic.failed == []
    assert place.holder() == good
    assert place.log()[-1].event == "promoted"


def test_package_model_runs_in_its_own_container_and_makes_the_same_image(
    place: Any,
    environ: dict[str, str],
    image: str,
    good: str,
    releases: Any,
    tmp_path: Path,
) -> None:
    key = f"--from-file=signing.pem={environ['MODELWAY_SIGNING_KEY']}"
    kubectl("-n", place.pipelines, "create", "secret", "generic", "modelway-signing-key", key)
    kubectl("-n", place.pipelines, "create", "serviceaccount", "modelway-packager")
    record = join(place.store, "packages", "loans", f"{good}.json")
    before = read_uri(record)
    write_uri(record, b"{}")
    target = f"{releases.host}/loans:v{good}"
    parameters = {"model": "loans", "version": good, "store": place.store, "base": releases.base_with("")}
    task = _task(
        place,
        environ,
        image,
        _command("package_model", image, tmp_path),
        parameters | {"target": target, "platform": "linux/amd64", "insecure": False},
        {"bundle": "Artifact", "sbom": "Artifact", "summary": "Markdown"},
        "modelway-packager",
        {"signing": {"secret": {"secretName": "modelway-signing-key"}}},
    )
    try:
        _output_of(task)
        assert _unsigned(read_uri(record)) == _unsigned(before)
    finally:
        write_uri(record, before)


def test_the_pipeline_runs_locally_against_the_cluster(place: Any, good: str, releases: Any, tmp_path: Path) -> None:
    environment = {**os.environ, "KUBECONFIG": str(place.deployer)}

    def run(version: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROMOTE, json.dumps(_parameters(place, version)), str(tmp_path / version)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    with place.traffic().flowing() as traffic:
        promoted = run(good)
    assert promoted.returncode == 0, promoted.stdout[-3000:] + promoted.stderr[-3000:]
    assert traffic.failed == []
    assert place.holder() == good
    for stage, title in (("deploy-model", "Version"), ("record-outcome", "version")):
        (summary,) = (tmp_path / good).rglob(f"{stage}/summary")
        assert f"{title} {good} of loans is live in staging" in summary.read_text(encoding="utf-8")
    failure = run(releases["crashes"])
    assert failure.returncode != 0
    assert "CrashLoopBackOff" in failure.stdout + failure.stderr
    assert place.holder() == good
