"""The variations, checked by the API server against the definitions that their makers publish."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import IMAGE
from kube import eventually, kubectl, run_kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

RELEASED = dict(zip(("newName", "digest"), IMAGE.split("@"), strict=True), name="insurance-high-use")

# By component: the Go module that its maker publishes the definitions in, a file of them there, and the kinds.
DEFINITIONS = {
    "istio": ("istio.io/api@v1.31.1", "kubernetes/customresourcedefinitions.gen.yaml", ("virtualservices",)),
    "gateway-api": (
        "sigs.k8s.io/gateway-api@v1.4.0",
        "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
        ("httproutes",),
    ),
    "traefik": (
        "github.com/traefik/traefik/v3@v3.5.0",
        "docs/content/reference/dynamic-configuration/kubernetes-crd-definition-v1.yml",
        ("ingressroutes", "traefikservices"),
    ),
    "servicemonitor": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        ("servicemonitors",),
    ),
    "prometheusrule": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
        ("prometheusrules",),
    ),
}


def _module(name: str) -> Path:
    if shutil.which("go") is None:
        pytest.skip("needs go, to fetch the definitions from its proxy")
    downloaded = subprocess.run(
        ["go", "mod", "download", "-json", name],
        env={**os.environ, "GOFLAGS": "-mod=mod"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    resources = json.loads(downloaded.stdout or "{}")
    if "Dir" not in resources:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"{name} cannot be fetched: {resources.get('Error', downloaded.stderr)}")
    return Path(resources["Dir"])


@pytest.fixture
def definitions(request: pytest.FixtureRequest, api: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """A component, whose kinds the API server knows for as long as it is tested."""
    component: str = request.param
    module, file, kinds = DEFINITIONS[component]
    text = (_module(module) / file).read_text(encoding="utf-8")
    crds = [obj for obj in yaml.safe_load_all(text) if obj and obj["spec"]["names"]["plural"] in kinds]
    assert len(crds) == len(kinds)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    missing = [obj for obj in crds if api("GET", f"{path}/{obj['metadata']['name']}").status == 404]
    try:
        for obj in missing:
            run_kubectl("apply", "--server-side", "-f", "-", content=yaml.safe_dump(obj))
            # `kubectl wait` fails where the conditions are not there yet.
            command = ("wait", "--for=condition=Established", f"crd/{obj['metadata']['name']}", "--timeout=5s")
            eventually(lambda command=command: run_kubectl(*command, check=False).returncode == 0, "it is established")
        yield component, kinds
    finally:
        for obj in missing:
            api("DELETE", f"{path}/{obj['metadata']['name']}", real=True)


@pytest.mark.parametrize("definitions", DEFINITIONS, indirect=True)
def test_a_component_is_accepted_to_the_letter(
    definitions: tuple[str, tuple[str, ...]], installation: Any, build: Callable[..., Any]
) -> None:
    component, kinds = definitions
    namespace = {} if component == "prometheusrule" else {"namespace": installation.production}
    objects = build(["overlays/production"], [component], **namespace)
    of_its_own = [obj for obj in objects if f"{obj['kind'].lower()}s" in kinds]
    assert len(of_its_own) == len(kinds)
    variants = [obj for obj in objects if namespace and obj["kind"] in {"Rollout", "NetworkPolicy", "Service"}]
    content = yaml.safe_dump_all([*of_its_own, *variants])
    arguments = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
    process = run_kubectl(*arguments, content=content)
    assert process.stdout.count("serverside-applied (server dry run)") == len(of_its_own) + len(variants)


def test_kserves_predictor_is_a_pod_that_an_environment_admits(
    api: Any, installation: Any, build: Callable[..., Any]
) -> None:
    (service,) = [
        obj
        for obj in build(["base"], ["kserve"], namespace=installation.production, images=[RELEASED])
        if obj["kind"] == "InferenceService"
    ]
    of_kserve = {"minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "deploymentStrategy"}
    spec = {name: value for name, value in service["spec"]["predictor"].items() if name not in of_kserve}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "predictor"}, "spec": spec}
    path = f"/api/v1/namespaces/{installation.production}/pods"
    strict = api("POST", path, pod)
    assert strict.status == 201, strict.message
    stored_spec = strict.body["spec"]
    assert set(spec) <= set(stored_spec)
    assert set(spec["containers"][0]) <= set(stored_spec["containers"][0])


@pytest.fixture
def admit(installation: Any) -> Iterator[Callable[[Any], None]]:
    """Applies another Admission to production in earnest; the one before comes back."""
    place = ("Admission", installation.production)
    (before,) = [obj for obj in installation.objects if (obj["kind"], obj["metadata"].get("namespace")) == place]
    yield lambda admission: kubectl("apply", "-f", "-", content=yaml.safe_dump(admission))
    kubectl("apply", "-f", "-", content=yaml.safe_dump(before))


@pytest.mark.parametrize(
    "components",
    [
        *(["gpu"], ["encryption"], ["deployment"]),
        *(["prediction-log", store] for store in ("minio", "seaweedfs", "s3")),
    ],
    ids="+".join,
)
def test_a_component_without_definitions_is_accepted_to_the_letter(
    installation: Any, build: Callable[..., Any], admit: Callable[[Any], None], components: list[str]
) -> None:
    objects = build(["overlays/production"], components, namespace=installation.production, images=[RELEASED])
    content = yaml.safe_dump_all(objects)
    arguments = ("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-")
    (admission,) = [obj for obj in objects if obj["kind"] == "Admission"]
    admit(admission)  # the Rollout is admitted by it
    trial = ("--dry-run=server", *arguments)
    eventually(lambda: run_kubectl(*trial, content=content, check=False).returncode == 0, "it is admitted", 20)
    process = run_kubectl(*trial, content=content)
    assert process.stdout.count("serverside-applied (server dry run)") == len(objects)
