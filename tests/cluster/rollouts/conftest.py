"""An environment of its own on the cluster, real images of real models in a real registry, and steady traffic."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import delete_policies, install_kinds, own_objects
from image_layouts import with_layer
from kube import eventually, kubectl
from kubernetes import config
from mlflow_server import mlflow_server
from node_slots import change_pods_at_once
from rollout_releases import ADA, FAULTS, SITE, register
from rollout_traffic import MODEL, Traffic
from rollout_traffic import rows as rows_of_traffic
from shared_node import whole_node
from user_files import minimal_policy

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.bundle.keys import SIGNING_KEY, VERIFYING_KEY, new_keys
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.oci.layout import Reference, pull
from modelway.components.core.oci.registry import images_at
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.s3 import S3
from modelway.components.deploy.cluster import Cluster
from modelway.components.deploy.result import DeployResult
from modelway.components.deploy.rollback import rollback
from modelway.components.deploy.stage import deploy
from modelway.components.package.stage import package
from modelway.pipelines.cli.history import serving_periods

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", autouse=True)
def _the_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The small node is one module's at a time: pods of two would not fit on it together."""
    with whole_node(tmp_path_factory):
        yield


@pytest.fixture(scope="session")
def served_from(registry: Any) -> str:
    """The real serving base in the registry, by its digest."""
    tag = f"{registry.host}/serving:test"
    for command in (
        ("build", "--network", "host", "-f", "Dockerfile.serving", "-t", tag, "."),
        ("push", "--quiet", tag),
    ):
        ran = subprocess.run(["docker", *command], cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
        assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    subprocess.run(["docker", "rmi", tag], capture_output=True, timeout=60, check=False)
    reference = Reference.parse(tag, "base")
    image = pull(images_at(reference, insecure=False), reference, platform="linux/amd64")
    return f"{registry.host}/serving@{image.digest}"


@pytest.fixture(scope="session")
def base_with(served_from: str, registry: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The serving base with a fault in it; without one, itself."""
    images = {"": served_from}

    def make(fault: str) -> str:
        if fault not in images:
            folder = tmp_path_factory.mktemp(fault) / "site"
            folder.mkdir()
            (folder / "fault.py").write_text(FAULTS[fault], encoding="utf-8")
            (folder / "fault.pth").write_text("import fault\n", encoding="utf-8")
            images[fault] = with_layer(served_from, folder, SITE, f"{registry.host}/serving:{fault}")
        return images[fault]

    return make


@pytest.fixture(scope="session")
def environ(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What a deployment is told of its services: an MLflow server, a bucket as its store, keys, Prometheus."""
    folder, bucket = tmp_path_factory.mktemp("services"), f"modelway-rollouts-{uuid.uuid4().hex[:8]}"
    new_keys(folder / "signing.pem", folder / "verifying.pem")
    (folder / "verifying.pem").chmod(0o644)
    endpoint, access_key, secret_key = (
        os.environ[f"MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY")
    )
    client = S3(endpoint, access_key, secret_key=secret_key).client
    client.make_bucket(bucket_name=bucket)
    try:
        with mlflow_server(folder, seconds=300) as address:
            yield {
                "MLFLOW_TRACKING_URI": address,
                "MODELWAY_STORE": f"s3://{bucket}/store",
                "MODELWAY_PROMETHEUS": os.environ["PROMETHEUS_URL"],
                SIGNING_KEY: str(folder / "signing.pem"),
                VERIFYING_KEY: str(folder / "verifying.pem"),
            }
    finally:
        for item in client.list_objects(bucket_name=bucket, recursive=True):
            client.remove_object(bucket_name=bucket, object_name=str(item.object_name))
        client.remove_bucket(bucket_name=bucket)


@pytest.fixture(autouse=True)
def _environment(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)


def _connects(address: tuple[str, int]) -> bool:
    with suppress(OSError), socket.create_connection(address, timeout=2):
        return True
    return False


@dataclass(frozen=True)
class Place:
    """An environment on the cluster, in a namespace of its own."""

    namespace: str
    pipelines: str
    store: str
    tracking: Tracking
    deployer: Path  # a kubeconfig of the account modelway-deployer

    def policy(self, *, traffic: str = "live", **deployment: Any) -> Policy:
        """The policy that versions are released and deployed by, with changes of `deployment`."""
        analysis = {
            **{"interval_seconds": 2, "count": 3, "initial_delay_seconds": 5, "minimum_requests": 15},
            **{"error_rate": 0.02, "drift": 0.5},
        }
        rollout = {
            "steps": [{"weight": 50, "pause_seconds": 6}],
            "analysis": analysis | deployment.pop("analysis", {}),
            "progress_deadline_seconds": 15,
            "timeout_seconds": 180,
        }
        environments = {
            "staging": {"namespace": self.namespace, "traffic": traffic},
            "production": {"namespace": self.namespace, "approvals": {"quorum": 1}},
        }
        return minimal_policy(
            serving={"sla": {"p95_ms": 250}}, deployment=rollout | deployment, environments=environments
        )

    @property
    def model(self) -> RegisteredModel:
        return RegisteredModel(MODEL, self.store, self.tracking)

    def deploy(
        self, version: str, *, run: str = "", environment: EnvironmentName = "staging", image: str = "", **changes: Any
    ) -> DeployResult:
        """Deploys a version, as the account that may do no more than that."""
        return deploy(
            self.model.version(version),
            environment,
            image=image,
            run=run or f"run-{uuid.uuid4().hex[:6]}",
            actor=ADA,
            policy=self.policy(**changes),
            cluster=self.cluster(),
        )

    def begin(self, version: str) -> None:
        """Deploys a first version, and lets its pods need little, so that environments of other tests fit beside it."""
        first = self.deploy(version, traffic="smoke")
        assert first.status == "promoted", first.reasons
        assert "smoke requests right" in first.reasons[-1]
        (container,) = self.rollout()["spec"]["template"]["spec"]["containers"]
        requests = {**container["resources"]["requests"], "cpu": "50m"}
        change_pods_at_once(self.namespace, MODEL, {**container["resources"], "requests": requests})

    def roll_back(self, *, to: str = "", **changes: Any) -> DeployResult:
        """Rolls back as a person does, by the account that may do no more than that."""
        return rollback(
            self.model,
            "staging",
            actor="bob@example.org",
            reason="complaints from the branches",
            to=to,
            policy=self.policy(**changes),
            cluster=self.cluster(),
        )

    def cluster(self) -> Cluster:
        """The namespace, as the deployer's account has it."""
        return Cluster(config.new_client_from_config(str(self.deployer)), self.namespace)

    def traffic(self, service: str = MODEL, **changes: Any) -> Traffic:
        """Traffic to one of the Services, which is not sent yet."""
        service_spec = self.get("service", service)["spec"]
        return Traffic((service_spec["clusterIP"], service_spec["ports"][0]["port"]), **changes)

    def get(self, kind: str, name: str = MODEL) -> dict[str, Any]:
        obj: dict[str, Any] = json.loads(kubectl("-n", self.namespace, "get", kind, name, "-o", "json"))
        return obj

    def rollout(self) -> dict[str, Any]:
        return self.get("rollout")

    def image(self) -> str:
        return str(self.rollout()["spec"]["template"]["spec"]["containers"][0]["image"])

    def pods(self) -> list[dict[str, Any]]:
        pods = kubectl("-n", self.namespace, "get", "pods", "-l", f"app.kubernetes.io/name={MODEL}", "-o", "json")
        return [pod for pod in json.loads(pods)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def image_version(self) -> str:
        """The version that the Rollout asks for."""
        annotations = self.rollout()["spec"]["template"]["metadata"]["annotations"]
        return str(annotations.get("modelway.io/version", ""))

    def service_of(self, template_hash: str) -> str:
        """A Service of the pods of one template alone."""
        labels = {"app.kubernetes.io/name": MODEL, "rollouts-pod-template-hash": template_hash}
        spec = {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]}
        name = f"only-{template_hash}"
        service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        kubectl("-n", self.namespace, "apply", "-f", "-", content=json.dumps(service))
        address = self.traffic(name).address
        eventually(lambda: _connects(address), "the Service leads to its pods")
        return name

    def holder(self, environment: EnvironmentName = "staging") -> str:
        version = self.model.version_with_alias(environment)
        return "" if version is None else version.number

    def whole(self) -> bool:
        """Whether the Rollout serves what it asks for, by both of its pods, and is done with all else."""
        rollout = self.rollout()
        status, ready = rollout.get("status", {}), [pod for pod in self.pods() if _is_ready(pod)]
        hashes = [pod["metadata"]["labels"]["rollouts-pod-template-hash"] for pod in ready]
        stable = hashes.count(status.get("stableRS"))
        alone = stable == len(hashes) or "blueGreen" in rollout["spec"]["strategy"]  # which keeps old pods for a while
        return status.get("phase") == "Healthy" and stable >= 2 and alone

    def serving(self) -> Counter[str]:
        """How many ready pods of each version clients reach, by what the Service selects now."""
        selector = self.get("service")["spec"]["selector"].items()
        pods = [pod for pod in self.pods() if _is_ready(pod) and selector <= pod["metadata"]["labels"].items()]
        return Counter(str(pod["metadata"]["annotations"]["modelway.io/version"]) for pod in pods)

    def assert_as_recorded(self, environment: EnvironmentName = "staging") -> None:
        """What `history` says, the alias, what the pods serve, and what answers requests are one version."""
        rows = [row for row in serving_periods(self.model) if row["environment"] == environment]
        recorded = rows[0]["version"] if rows and rows[0]["until"] is None else ""
        assert self.holder(environment) == recorded
        expected = {recorded} if recorded else set()
        eventually(lambda: set(self.serving()) == expected, f"{recorded or 'nothing'} serves, as recorded", 90)
        if recorded:  # a pod that is being deleted answers until routers have heard of it
            eventually(lambda: self._answers(20) == {(200, recorded)}, f"version {recorded} answers, as recorded", 20)

    def _answers(self, count: int) -> set[tuple[int, str]]:
        """The status and the version of so many answers to what is asked now."""
        traffic, body = self.traffic(), Traffic.body(rows_of_traffic(8, 0))
        return {(answer.status, answer.version) for answer in (traffic.ask(body) for _ in range(count))}

    def log(self) -> list[Entry]:
        return self.model.verified_entries()

    def pods_of(self, template_hash: str) -> list[dict[str, Any]]:
        """The pods of one template."""
        label = "rollouts-pod-template-hash"
        return [pod for pod in self.pods() if pod["metadata"]["labels"][label] == template_hash]

    def failures_of(self, template_hash: str) -> float:
        """How many requests the pods of one template answered with 5xx, by their own count."""
        return sum(self._counts(template_hash, 'modelway_requests_total{code="5').values())

    def requests_of(self, template_hash: str) -> dict[str, float]:
        """How many requests each pod of one template answered, by its own count."""
        return self._counts(template_hash, "modelway_requests_total{")

    def _counts(self, template_hash: str, series: str) -> dict[str, float]:
        pods = self.pods_of(template_hash)
        assert pods
        return {
            pod["metadata"]["name"]: sum(
                float(line.split()[-1]) for line in _metrics(pod["status"]["podIP"]) if line.startswith(series)
            )
            for pod in pods
        }


def _is_ready(pod: dict[str, Any]) -> bool:
    return any(
        (condition["type"], condition["status"]) == ("Ready", "True")
        for condition in pod["status"].get("conditions", ())
    )


def _metrics(address: str) -> list[str]:
    with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=10) as answer:
        return str(answer.read(), "utf-8").splitlines()


@pytest.fixture(scope="session")
def place(environ: dict[str, str], registry: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """An environment as the manifests make it, without a Rollout, and the deployer's account to use it with.

    It admits only released images.
    """
    prefix, folder = f"mw{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("environment")
    delete = "$patch: delete\napiVersion: any/v1\nkind: Any\nmetadata: {name: any}\n"
    scale = [{"op": "replace", "path": "/spec/minReplicas", "value": 2}]
    components = ROOT / "manifests" / "components"
    registries = [{"op": "replace", "path": "/spec/registries", "value": [registry.host]}]
    (folder / "verifying.pem").write_bytes(Path(environ[VERIFYING_KEY]).read_bytes())
    content = {
        "namespace": f"{prefix}-staging",
        "resources": [os.path.relpath(ROOT / "manifests" / "base", folder.resolve())],
        "components": [os.path.relpath(components / name, folder.resolve()) for name in ("releases", "admission")],
        "configMapGenerator": [{"name": "modelway-verifying-key", "files": ["verifying.pem"]}],
        "generatorOptions": {"disableNameSuffixHash": True},
        "patches": [
            {"target": {"group": "argoproj.io"}, "patch": delete},
            {"target": {"kind": "HorizontalPodAutoscaler"}, "patch": yaml.safe_dump(scale)},
            {"target": {"kind": "Admission"}, "patch": yaml.safe_dump(registries)},
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    text = kubectl("kustomize", str(folder))
    environment = Place(
        f"{prefix}-staging",
        f"{prefix}-pipelines",
        environ["MODELWAY_STORE"],
        Tracking(environ["MLFLOW_TRACKING_URI"]),
        folder / "kubeconfig",
    )
    for ours, theirs in {
        "insurance-high-use": MODEL,
        "namespace: kubeflow": f"namespace: {environment.pipelines}",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    objects = own_objects(text, prefix)
    try:
        install_kinds()
        kubectl("create", "namespace", environment.pipelines)
        kubectl("-n", environment.pipelines, "create", "serviceaccount", "modelway-deployer")
        kubectl("apply", "-f", "-", content=yaml.safe_dump_all(objects))
        config = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
        token = kubectl("-n", environment.pipelines, "create", "token", "modelway-deployer", "--duration", "2h").strip()
        config["users"][0]["user"] = {"token": token}
        environment.deployer.write_text(json.dumps(config), encoding="utf-8")
        yield environment
    finally:
        kubectl(
            "delete",
            "namespace",
            environment.namespace,
            environment.pipelines,
            "--ignore-not-found",
            "--wait=false",
            check=False,
        )
        delete_policies(objects)


@pytest.fixture(autouse=True)
def _what_serves_is_what_is_recorded(request: pytest.FixtureRequest) -> Iterator[None]:
    """At the end of each test of an environment, its record says what serves."""
    yield
    if "place" in request.fixturenames:
        request.getfixturevalue("place").assert_as_recorded()


@dataclass(frozen=True)
class Releases:
    """Registered and packaged versions; each is made when it is first asked for."""

    place: Place
    host: str
    base_with: Callable[[str], str]
    folder: Path
    _made: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, kind: str) -> str:
        """The version of a kind: ``good``, ``better``, or one of the faults."""
        if kind not in self._made:
            self._made[kind] = self.package(
                self.register(len(self._made)), self.base_with(kind if kind in FAULTS else "")
            )
        return self._made[kind]

    def register(self, seed: int) -> str:
        """Registers a model of its own; returns the version."""
        work = self.folder / f"release-{seed}"
        work.mkdir()
        return register(
            self.place.tracking, self.place.store, policy=self.place.policy(traffic="smoke"), work=work, seed=seed
        )

    def package(self, version: str, base: str) -> str:
        """Packages a version on a base; returns the version."""
        target, bundle = f"{self.host}/{MODEL}:v{version}", self.folder / f"bundle-{version}"
        package(self.place.model.version(version), base=base, target=target, bundle_path=str(bundle))
        return version


@pytest.fixture(scope="session")
def releases(
    place: Place, registry: Any, base_with: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Releases:
    return Releases(place, registry.host, base_with, tmp_path_factory.mktemp("releases"))


@pytest.fixture
def stable(place: Place, releases: Releases) -> str:
    """The version that serves, whole: the one that the tests before have left, or a first one."""
    if not place.holder():
        place.begin(releases["good"])
    eventually(place.whole, "what is asked for serves", 90)
    return place.holder()


@pytest.fixture
def good(stable: str, releases: Releases) -> str:
    """A good version that does not serve."""
    return releases["better"] if stable == releases["good"] else releases["good"]


@pytest.fixture(scope="session")
def layered() -> Callable[..., str]:
    """Makes an image with one more layer; returns it by its digest."""
    return with_layer
