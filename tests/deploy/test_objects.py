"""The objects that serve a model: alike on every target, restricted, and those that the manifests hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from user_files import minimal_policy

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.analysis import strategy
from modelway.components.deploy.objects import deployment, inference_service, kubernetes_name, rollout, services

IMAGE = f"registry.example.com/claims@sha256:{'0' * 64}"
MANIFESTS = Path(__file__).resolve().parents[2] / "manifests"


def _pod(obj: dict[str, Any]) -> dict[str, Any]:
    spec = obj["spec"]
    pod_spec: dict[str, Any] = spec["predictor"] if "predictor" in spec else spec["template"]["spec"]
    return pod_spec


KINDS = {"rollout": rollout, "deployment": deployment, "kserve": inference_service}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_pods_are_restricted_limited_and_probed(make: Any) -> None:
    pod = _pod(make(minimal_policy(), "claims", image=IMAGE))
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    (container,) = pod["containers"]
    assert container["image"] == IMAGE
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
    paths = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/v2/health/ready", "readiness": "/v2/health/ready", "liveness": "/v2/health/live"}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_the_verifying_key_is_mounted_where_the_server_is_told_it_is(make: Any) -> None:
    pod = _pod(make(minimal_policy(), "claims", image=IMAGE))
    (container,) = pod["containers"]
    (section,) = [item["value"] for item in container["env"] if item["name"] == "MODELWAY_VERIFYING_KEY"]
    (mount,) = [item for item in container["volumeMounts"] if Path(section).parent == Path(item["mountPath"])]
    (volume,) = [item for item in pod["volumes"] if item["name"] == mount["name"]]
    assert volume["configMap"] == {"name": "modelway-verifying-key"}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize(("cold_start", "seconds"), [(None, 60), (30, 60), (90, 180), (0.25, 60)])
def test_a_pod_has_twice_the_policys_time_to_start(make: Any, cold_start: float | None, seconds: int) -> None:
    policy = minimal_policy(serving={"sla": {"cold_start_seconds": cold_start}})
    probe = _pod(make(policy, "claims", image=IMAGE))["containers"][0]["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] == seconds


@pytest.mark.parametrize("kind", ["canary", "blue-green", "rolling"])
def test_a_rollout_is_undone_where_it_does_not_progress(kind: str) -> None:
    policy = minimal_policy(deployment={"strategy": kind, "progress_deadline_seconds": 77})
    spec = rollout(policy, "claims", image=IMAGE)["spec"]
    assert spec["progressDeadlineAbort"] is True
    assert spec["progressDeadlineSeconds"] == 77
    assert spec["strategy"] == strategy(policy, "claims")
    assert "replicas" not in spec


def test_a_deployment_never_has_fewer_pods_than_it_is_asked_for() -> None:
    spec = deployment(minimal_policy(), "claims", image=IMAGE)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in spec


@pytest.mark.parametrize("make", [rollout, deployment], ids=["rollout", "deployment"])
def test_services_select_the_pods(make: Any) -> None:
    labels = {"app.kubernetes.io/name": "claims"}
    spec = make(minimal_policy(), "claims", image=IMAGE)["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"] == labels
    ports = {port["name"] for port in _pod({"spec": spec})["containers"][0]["ports"]}
    for service in services("claims"):
        assert service["metadata"]["labels"] == service["spec"]["selector"] == labels
        assert {port["targetPort"] for port in service["spec"]["ports"]} == ports


def test_a_strategys_services_are_there() -> None:
    section = strategy(minimal_policy(deployment={"strategy": "blue-green"}), "claims")["blueGreen"]
    names = {service["metadata"]["name"] for service in services("claims")}
    assert names == {
        section["activeService"],
        section["previewService"],
    }


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("base/serving/rollout.yaml", rollout),
        ("components/deployment/deployment.yaml", deployment),
        ("components/kserve/inference-service.yaml", inference_service),
    ],
)
def test_the_manifests_hold_what_deploying_creates(root: Path, path: str, make: Any) -> None:
    policy = Policy.load(root / "examples" / "insurance" / "policy.yaml")
    name = "insurance-high-use"
    assert yaml.safe_load((MANIFESTS / path).read_text(encoding="utf-8")) == make(policy, name, image=name)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("loans", "loans"),
        ("insurance_high_use", "insurance-high-use"),
        ("Team A / Loans (v2)", "team-a-loans-v2"),
        ("zinsen-für", "zinsen-f-r"),
        ("a" * 40, "a" * 40),
    ],
)
def test_a_name_becomes_a_dns_label(model: str, name: str) -> None:
    assert kubernetes_name(model) == name


@pytest.mark.parametrize("model", ["", "___", "1st", "a" * 41])
def test_a_name_that_cannot_become_one_is_refused(model: str) -> None:
    with pytest.raises(ModelwayError, match="cannot be the name of objects in Kubernetes"):
        kubernetes_name(model)
