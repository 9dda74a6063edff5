"""What the API server refuses in an environment: privilege, tags, and more than the quota."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kube import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

TAG, NAME_ALONE = "registry.example.com/models/insurance-high-use:1.2.0", "insurance-high-use"
DIGEST = f"registry.example.com/models/insurance-high-use@sha256:{'0' * 64}"  # which the installation has released
TAG_AND_DIGEST = f"{TAG}@sha256:{'0' * 64}"
SHORT_DIGEST = f"registry.example.com/models/insurance-high-use@sha256:{'0' * 32}"
OLD = f"registry.example.com/models/insurance-high-use@sha256:{'ab' * 16}"
PLURALS = {"Deployment": "deployments", "Job": "jobs", "CronJob": "cronjobs", "Rollout": "rollouts", "Pod": "pods"}


def _of_kind(kind: str, pod: dict[str, Any], name: str = "tried") -> dict[str, Any]:
    if kind == "Pod":
        return {**pod, "metadata": {"name": name}}
    labels = {"tried": name}
    spec = {"restartPolicy": "Never"} if kind in {"Job", "CronJob"} else {}
    template = {"metadata": {"labels": labels}, "spec": {**pod["spec"], **spec}}
    content: dict[str, Any] = {
        "Job": {"template": template},
        "CronJob": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": {"template": template}}},
        "Deployment": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
        "Rollout": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "strategy": {"canary": {}},
            "template": template,
        },
    }[kind]
    version = {"Rollout": "argoproj.io/v1alpha1", "Deployment": "apps/v1"}.get(kind, "batch/v1")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": content}


def _path(namespace: str, body: dict[str, Any]) -> str:
    root = "/api/v1" if body["apiVersion"] == "v1" else f"/apis/{body['apiVersion']}"
    return f"{root}/namespaces/{namespace}/{PLURALS[body['kind']]}"


@pytest.fixture(scope="module")
def admission(api: Any, installation: Any, pod: Callable[..., Any]) -> Iterator[str]:
    """A namespace that asks for digests alone, once the policy has come into force there."""
    name = f"{installation.prefix}-digests"
    labels = {"modelway.io/images": f"{installation.prefix}-digests"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "modelway-server"}}
    assert api("POST", "/api/v1/namespaces", namespace, real=True).status == 201
    assert api("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account, real=True).status == 201
    path = f"/api/v1/namespaces/{name}/pods"
    eventually(lambda: api("POST", path, pod(image=TAG)).status != 201, "the admission policy is in force")
    yield name
    api("DELETE", f"/api/v1/namespaces/{name}", real=True)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_restricted_pod_is_admitted(api: Any, installation: Any, pod: Callable[..., Any], environment: str) -> None:
    answer = api("POST", f"/api/v1/namespaces/{getattr(installation, environment)}/pods", pod())
    assert answer.status == 201, answer.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"securityContext": {"privileged": True}}, "privileged"),
        ({"securityContext": {"allowPrivilegeEscalation": True}}, "allowPrivilegeEscalation"),
        ({"securityContext": {"allowPrivilegeEscalation": False}}, "unrestricted capabilities"),
        (
            {
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "runAsUser": 0,
                }
            },
            "runAsUser=0",
        ),
    ],
)
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_pod_security_refuses(
    api: Any, installation: Any, pod: Callable[..., Any], environment: str, change: dict[str, Any], says: str
) -> None:
    answer = api("POST", f"/api/v1/namespaces/{getattr(installation, environment)}/pods", pod(**change))
    assert answer.status == 403
    assert 'violates PodSecurity "restricted:latest"' in answer.message
    assert says in answer.message


@pytest.mark.parametrize("volume", [{"hostPath": {"path": "/"}}])
def test_pod_security_refuses_the_nodes_files(
    api: Any, installation: Any, pod: Callable[..., Any], volume: dict[str, Any]
) -> None:
    pod_body = pod()
    pod_body["spec"]["volumes"] = [{"name": "node", **volume}]
    answer = api("POST", f"/api/v1/namespaces/{installation.production}/pods", pod_body)
    assert answer.status == 403
    assert "restricted volume types" in answer.message


@pytest.mark.parametrize("kind", PLURALS)
@pytest.mark.parametrize(
    ("image", "admitted"),
    [(DIGEST, True), (TAG_AND_DIGEST, True), (TAG, False), (NAME_ALONE, False), (SHORT_DIGEST, False)],
    ids=["digest", "tag and digest", "tag", "name alone", "short digest"],
)
def test_only_digests_are_admitted(
    api: Any, admission: str, pod: Callable[..., Any], kind: str, image: str, admitted: bool
) -> None:
    pod_body = _of_kind(kind, pod(image=image))
    answer = api("POST", _path(admission, pod_body), pod_body)
    if admitted:
        assert answer.status == 201, answer.message
    else:
        assert answer.status == 403
        assert f"only images by digest are admitted here, as name@sha256:…, and not {image}" in answer.message


@pytest.mark.parametrize("section", ["initContainers", "ephemeralContainers"])
def test_a_container_beside_is_looked_at_too(api: Any, admission: str, pod: Callable[..., Any], section: str) -> None:
    path = f"/api/v1/namespaces/{admission}/pods"
    beside = {**pod(image=TAG)["spec"]["containers"][0], "name": "beside"}
    if section == "initContainers":
        pod_body = pod()
        pod_body["spec"][section] = [beside]
        answer = api("POST", path, pod_body)
    else:
        assert api("POST", path, pod("debugged"), real=True).status == 201
        answer = api("PATCH", f"{path}/debugged/ephemeralcontainers", {"spec": {section: [beside]}})
        api("DELETE", f"{path}/debugged", real=True)
    assert answer.status == 403
    assert "only images by digest" in answer.message


@pytest.fixture
def older(api: Any, installation: Any, pod: Callable[..., Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A Deployment by tag in a namespace that came under the policy later."""
    name = f"{installation.prefix}-older"
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    assert api("POST", "/api/v1/namespaces", namespace, real=True).status == 201
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "modelway-server"}}
    assert api("POST", f"/api/v1/namespaces/{name}/serviceaccounts", account, real=True).status == 201
    body = _of_kind("Deployment", pod(image=TAG), "older")
    assert api("POST", _path(name, body), body, real=True).status == 201
    labels = {"metadata": {"labels": {"modelway.io/images": f"{installation.prefix}-digests"}}}
    assert api("PATCH", f"/api/v1/namespaces/{name}", labels, real=True).status == 200
    pod_body = pod(image=TAG)
    eventually(lambda: api("POST", _path(name, pod_body), pod_body).status == 403, "the policy sees the new label")
    yield name, body
    api("DELETE", f"/api/v1/namespaces/{name}", real=True)


def test_what_was_there_before_may_be_scaled_but_not_moved_to_another_tag(api: Any, older: Any) -> None:
    name, body = older
    path = f"{_path(name, body)}/older"
    assert api("PATCH", path, {"spec": {"replicas": 1}}).status == 200
    container = {**body["spec"]["template"]["spec"]["containers"][0], "image": f"{TAG}-other"}
    moved = {"spec": {"template": {"spec": {"containers": [container]}}}}
    assert "only images by digest" in api("PATCH", path, moved).message
    container["image"] = DIGEST
    assert api("PATCH", path, moved).status == 200


def test_a_namespace_that_does_not_ask_for_it_is_left_alone(api: Any, admission: str, pod: Callable[..., Any]) -> None:
    assert admission
    body = pod(image=TAG)
    del body["spec"]["serviceAccountName"]
    assert api("POST", "/api/v1/namespaces/default/pods", body).status == 201


@pytest.mark.parametrize("policy", ["image-digests", "pods", "releases", "analyses"])
def test_the_api_server_finds_nothing_wrong_with_a_policys_expressions(
    api: Any, installation: Any, policy: str
) -> None:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"

    def checked() -> Any:
        status = api("GET", f"{path}/{installation.prefix}-{policy}").body.get("status", {})
        return status if "observedGeneration" in status else None

    status = eventually(checked, "the policy's expressions are checked")
    assert not status.get("typeChecking", {}).get("expressionWarnings"), status


def _service(kind: str) -> dict[str, Any]:
    spec = {"type": kind, "ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "tried"}, "spec": spec}


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_no_model_is_given_to_the_outside_by_a_service(api: Any, installation: Any, kind: str) -> None:
    answer = api("POST", f"/api/v1/namespaces/{installation.production}/services", _service(kind))
    assert answer.status == 403
    assert "exceeded quota" in answer.message


def test_the_quota_holds(api: Any, installation: Any, pod: Callable[..., Any]) -> None:
    path = f"/api/v1/namespaces/{installation.staging}/pods"
    resources = {"requests": {"cpu": "100m", "memory": "1800Mi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    names = [f"large-{number}" for number in range(3)]
    answers = [api("POST", path, pod(name, resources=resources), real=True) for name in names]
    for name in names:
        api("DELETE", f"{path}/{name}", real=True)
    assert answers[0].status == 201, answers[0].message
    assert answers[-1].status == 403
    assert "exceeded quota" in answers[-1].message


def test_a_container_without_limits_is_given_some_and_none_is_too_large(
    api: Any, installation: Any, pod: Callable[..., Any]
) -> None:
    path = f"/api/v1/namespaces/{installation.production}/pods"
    answer = api("POST", path, pod())
    assert set(answer.body["spec"]["containers"][0]["resources"]["limits"]) == {"cpu", "memory"}
    answer = api("POST", path, pod(resources={"limits": {"cpu": "5", "memory": "1Gi"}}))
    assert answer.status == 403
    assert "maximum cpu usage per Container is 4" in answer.message
