"""A project's own modules and locked package train in a pod, in the image that `modelway image` made."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from mlflow.artifacts import download_artifacts
from mlflow_server import mlflow_server
from small_projects import edit_yaml, visits, write_small_project

from modelway.components.core.code.version import code_version
from modelway.components.core.config.project import Project
from modelway.components.core.oci.image import Descriptor
from modelway.components.core.oci.layout import Reference, pull
from modelway.components.core.oci.registry import images_at
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import STEPS_FILE, load_model
from modelway.components.prepare.stage import prepare
from modelway.pipelines.project.image import ProjectImage, make_project_image
from modelway.pipelines.project.workspace import Workspace

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

ROOT = Path(__file__).resolve().parents[2]
TRAINING = """
import inflection
from own_trees.depth import depth
from own_trees.trees import tree

def fit(features, label):
    assert inflection.pluralize("tree") == "trees"
    return tree(depth()).fit(features, label)
"""
HELPERS = {
    "own_trees/depth.py": "def depth():\n    return 3\n",
    "own_trees/trees.py": "from sklearn.tree import DecisionTreeClassifier\n\n\ndef tree(depth):\n"
    "    return DecisionTreeClassifier(max_depth=depth)\n",
}


def run(*command: str, content: str | None = None) -> str:
    ran = subprocess.run(command, cwd=ROOT, input=content, capture_output=True, text=True, timeout=1200, check=False)
    assert ran.returncode == 0, f"{' '.join(command)}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    return ran.stdout


@pytest.fixture(scope="module")
def components(registry: Any) -> str:
    """The image of the components, in the registry, by its digest."""
    tag = f"{registry.host}/components:test"
    run("docker", "build", "--network", "host", "-f", "Dockerfile.component", "-t", tag, ".")
    run("docker", "push", "--quiet", tag)
    run("docker", "rmi", tag)
    reference = Reference.parse(tag, "image")
    image = pull(images_at(reference, insecure=False), reference, platform="linux/amd64")
    return f"{registry.host}/components@{image.digest}"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two modules of its own, a package of two modules, and a locked requirement."""
    folder = write_small_project(tmp_path_factory.mktemp("project"))
    edit_yaml(folder / "project.yaml", {"model": {"entrypoint": "own_training:fit"}})
    (folder / "own_training.py").write_text(TRAINING, encoding="utf-8")
    (folder / "own_trees").mkdir()
    for name, text in HELPERS.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "requirements.in").write_text("inflection==0.5.1\n", encoding="utf-8")
    files = (str(folder / "requirements.in"), "-o", str(folder / "requirements.txt"))
    run(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--generate-hashes", "--no-header", *files)
    return folder


@dataclass(frozen=True)
class Cluster:
    """A namespace with the training split in it, and the MLflow server that its pods reach."""

    namespace: str
    tracking: Tracking

    def train(self, image: str, project: Path, code_version: str, folder: Path) -> tuple[str, str]:
        """Runs train_model as it is compiled for an image; returns the pod's phase, and what it wrote."""
        parameters = {
            "project": Project.load(project / "project.yaml").canonical(),
            "data_hash": "d",
            "code_version": code_version,
        }
        name = f"train-{uuid.uuid4().hex[:8]}"
        pod = _pod(name, image, _command(image, folder), parameters, self.tracking.uri)
        run("kubectl", "-n", self.namespace, "apply", "-f", "-", content=json.dumps(pod))
        about = ("kubectl", "-n", self.namespace)
        deadline = time.monotonic() + 240
        while (phase := run(*about, "get", "pod", name, "-o", "jsonpath={.status.phase}")) not in _ENDED:
            assert time.monotonic() < deadline, run(*about, "describe", "pod", name)
            time.sleep(0.5)
        return phase, run(*about, "logs", name)


_ENDED = {"Succeeded", "Failed"}
_OUTPUTS = {"model": "system.Model", "metrics": "system.Metrics", "out_of_fold": "system.Dataset"}


@pytest.fixture(scope="module")
def cluster(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    namespace, folder = f"modelway-test-image-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("inputs")
    visits().with_columns(pl.col("since").cast(pl.Datetime("us"))).write_parquet(folder / "train")
    prepare(
        str(folder / "train"),
        str(project / "project.yaml"),
        steps_path=str(folder / "steps"),
        prepared_path=str(folder / "prepared"),
    )
    files = {"train": folder / "train", "prepared": folder / "prepared", "steps": folder / "steps" / STEPS_FILE}
    content = {key: base64.b64encode(file.read_bytes()).decode() for key, file in files.items()}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inputs"}, "binaryData": content}
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        run("kubectl", "create", "namespace", namespace)
        try:
            run("kubectl", "-n", namespace, "create", "-f", "-", content=json.dumps(inputs))
            yield Cluster(namespace, Tracking(uri))
        finally:
            run("kubectl", "delete", "namespace", namespace, "--wait=false")


def _command(image: str, folder: Path) -> list[str]:
    """The command that is compiled for train_model, for its image."""
    code = "import sys, modelway.components; from kfp import compiler; "
    code += "compiler.Compiler().compile(modelway.components.train_model, sys.argv[1])"
    file = folder / "component.yaml"
    environment = {**os.environ, "MODELWAY_IMAGE": image}
    subprocess.run([sys.executable, "-c", code, str(file)], env=environment, check=True, timeout=120)
    (executor,) = next(yaml.safe_load_all(file.read_text(encoding="utf-8")))["deploymentSpec"]["executors"].values()
    assert executor["container"]["image"] == image
    return [*executor["container"]["command"], *executor["container"]["args"]]


def _pod(name: str, image: str, command: list[str], parameters: dict[str, str], tracking: str) -> dict[str, Any]:
    """The pod of a task as Kubeflow makes it, without Kubeflow's launcher: inputs are where that puts them."""
    inputs = {"train_data": "train", "prepared_data": "prepared", "steps": "steps"}
    task = {
        "inputs": {
            "parameterValues": parameters,
            "artifacts": {
                key: {"artifacts": [{"name": key, "uri": f"minio://in/{file}"}]} for key, file in inputs.items()
            },
        },
        "outputs": {
            "outputFile": "/minio/out/outputs.json",
            "parameters": {key: {"outputFile": f"/minio/out/{key}"} for key in ("run_id", "model_id", "model_hash")},
            "artifacts": {
                key: {"artifacts": [{"name": key, "type": {"schemaTitle": kind}, "uri": f"minio://out/{key}"}]}
                for key, kind in _OUTPUTS.items()
            },
        },
    }
    container = {
        "name": "main",
        "image": image,
        "command": [part.replace("{{$}}", json.dumps(task)) for part in command],
        "env": [{"name": "MLFLOW_TRACKING_URI", "value": tracking}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            {"name": "out", "mountPath": "/minio/out"},
            {"name": "in", "mountPath": "/minio/in"},
        ],
    }
    items = [{"key": key, "path": key} for key in ("train", "prepared")]
    items.append({"key": "steps", "path": f"steps/{STEPS_FILE}"})
    spec = {
        "hostNetwork": True,  # for the registry and the MLflow server on this machine
        "restartPolicy": "Never",
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            {"name": "out", "emptyDir": {}},
            {"name": "in", "configMap": {"name": "inputs", "items": items}},
        ],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


@pytest.fixture(scope="module")
def image_of(components: str, registry: Any) -> Callable[[Path], ProjectImage]:
    """The image of a project's code, in a repository of its own beside that of the components."""

    def project_image(folder: Path) -> ProjectImage:
        target = f"{registry.host}/visits:1"
        return make_project_image(Workspace.load(folder), components, target=target, report=lambda _: None)

    return project_image


@pytest.fixture
def started_for(project: Path) -> str:
    """The code that a run is started for: the library's hash and the project's code."""
    workspace = Workspace.load(project)
    return code_version(workspace.project, project_code=workspace.project_code)


def _layers(image: str) -> tuple[Descriptor, ...]:
    reference = Reference.parse(image, "image")
    return pull(images_at(reference, insecure=False), reference, platform="linux/amd64").layers


def test_the_image_of_the_components_alone_says_that_the_module_is_not_there(
    cluster: Cluster, components: str, project: Path, started_for: str, tmp_path: Path
) -> None:
    phase, log = cluster.train(components, project, started_for, tmp_path)
    assert phase == "Failed"
    assert "error: the module 'own_training' cannot be found" in log
    assert "modelway image" in log
    assert "Traceback" not in log


def test_the_projects_code_trains_in_its_image_and_other_code_is_another_image(
    cluster: Cluster, image_of: Callable[[Path], ProjectImage], project: Path, started_for: str, tmp_path: Path
) -> None:
    own = image_of(project)
    assert own.packages == ("inflection==0.5.1",)
    phase, log = cluster.train(own.image, project, started_for, tmp_path)
    assert phase == "Succeeded", log
    experiment = cluster.tracking.client.get_experiment_by_name("visits")
    assert experiment is not None
    (trained,) = cluster.tracking.client.search_logged_models([experiment.experiment_id])
    model = download_artifacts(
        trained.artifact_location, dst_path=str(tmp_path / "model"), tracking_uri=cluster.tracking.uri
    )
    assert load_model(model).steps[-1][1].get_params()["max_depth"] == 3

    changed = Path(shutil.copytree(project, tmp_path / "changed"))
    (changed / "own_trees" / "depth.py").write_text("def depth():\n    return 4\n", encoding="utf-8")
    other = image_of(changed)
    assert other.image != own.image
    assert _layers(other.image)[:-1] == _layers(own.image)[:-1]
    assert _layers(other.image)[-1] != _layers(own.image)[-1]
    phase, log = cluster.train(other.image, project, started_for, tmp_path)
    assert phase == "Failed"
    assert "own_training:fit is not the code that the run was started for" in log
