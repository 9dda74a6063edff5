"""What Kustomize makes of the manifests: complete, restricted, by name, and each variation on its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from modelway.components.core.config.policy import Policy
from modelway.components.core.instructions import CONFIG_MAP, CONFIG_MAP_FOLDER
from modelway.components.deploy.analysis import strategy
from modelway.components.deploy.cluster import UNLISTED

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = ROOT / "manifests"
OVERLAYS = {name: MANIFESTS / "overlays" / name for name in ("staging", "production")}
OF_AN_ENVIRONMENT = (
    *("releases", "tls", "gpu", "encryption", "prediction-log", "kserve", "deployment"),
    *("istio", "gateway-api", "traefik", "servicemonitor"),
)
STORES = ("minio", "minio-tls", "seaweedfs", "s3")  # of an environment, and of the pipelines
OF_THE_CLUSTER = ("admission", "prometheusrule")
MODEL = "insurance-high-use"
DIGEST = "sha256:" + "a1" * 32

Objects = list[dict[str, Any]]
Build = Callable[[Path], Objects]


def _object(objects: Objects, kind: str, name: str = MODEL) -> dict[str, Any]:
    (match,) = [obj for obj in objects if (obj["kind"], obj["metadata"]["name"]) == (kind, name)]
    return match


def _kinds(objects: Objects) -> set[str]:
    return {obj["kind"] for obj in objects}


def _pods(objects: Objects) -> Iterator[dict[str, Any]]:
    for obj in objects:
        if obj["kind"] in {"Rollout", "Deployment"}:
            yield obj["spec"]["template"]["spec"]
        if obj["kind"] == "InferenceService":
            yield obj["spec"]["predictor"]


def test_every_folder_is_known_here() -> None:
    assert {path.name for path in (MANIFESTS / "components").iterdir()} == {
        *OF_AN_ENVIRONMENT,
        *STORES,
        *OF_THE_CLUSTER,
    }
    assert {path.name for path in (MANIFESTS / "overlays").iterdir()} == set(OVERLAYS)


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_a_whole_environment(kustomize: Build, name: str) -> None:
    objects = kustomize(OVERLAYS[name])
    assert _kinds(objects) >= {
        *("Namespace", "Rollout", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"),
        *("ServiceAccount", "Role", "RoleBinding", "ResourceQuota", "LimitRange"),
    }
    namespaces = {obj["metadata"].get("namespace", obj["metadata"]["name"]) for obj in objects}
    assert namespaces == {f"modelway-{name}"}
    namespace = _object(objects, "Namespace", f"modelway-{name}")
    for mode in ("enforce", "audit", "warn"):
        assert namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_the_root_is_both_environments_and_leaves_what_runs_alone(kustomize: Build) -> None:
    objects = kustomize(ROOT)
    namespaces = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
    assert namespaces == {"modelway-staging", "modelway-production"}
    assert "ValidatingAdmissionPolicy" in _kinds(objects)
    assert "CustomResourceDefinition" not in _kinds(objects)  # deleting the root is not to delete others' lists
    assert not _kinds(objects) & {"Rollout", "AnalysisTemplate"}
    accounts = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "ServiceAccount"}
    assert accounts == {f"modelway-{account}" for account in ("server", "deployer", "packager", "runner", "monitor")}


def test_no_role_is_wider_than_its_namespace_or_reads_secrets(kustomize: Build) -> None:
    objects = kustomize(ROOT)
    assert not _kinds(objects) & {"ClusterRole", "ClusterRoleBinding"}
    for role in (obj for obj in objects if obj["kind"] == "Role"):
        for rule in role["rules"]:
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            if "secrets" in rule["resources"]:
                assert rule["resourceNames"] == ["mlpipeline-minio-artifact"]
                assert rule["verbs"] == ["get"]
            assert not {"roles", "rolebindings", "serviceaccounts", "pods/exec"} & set(rule["resources"])


def test_only_staging_is_open_to_the_release(kustomize: Build) -> None:
    bound = {
        (obj["metadata"]["namespace"], subject["name"])
        for obj in kustomize(ROOT)
        if obj["kind"] == "RoleBinding" and obj["roleRef"]["name"] == "modelway-deployer"
        for subject in obj["subjects"]
    }
    assert bound == {
        ("modelway-staging", "modelway-deployer"),
        ("modelway-staging", "modelway-runner"),
        ("modelway-production", "modelway-deployer"),
    }


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize(
    "components",
    [
        *([], ["gpu"], ["kserve"], ["deployment"]),
        ["encryption", "prediction-log", "minio", "gpu", "traefik", "servicemonitor"],
    ],
    ids=["rollout", "gpu", "kserve", "deployment", "together"],
)
def test_pods_are_restricted_and_limited(
    kustomization: Callable[..., Objects], name: str, components: list[str]
) -> None:
    objects = kustomization(
        resources=[OVERLAYS[name]], components=[MANIFESTS / "components" / obj for obj in components]
    )
    (pod,) = _pods(objects)
    assert pod["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == "modelway-server"
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
        assert {"readinessProbe", "livenessProbe"} <= set(container)


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize(
    "components",
    [[], ["kserve"], ["deployment"], ["encryption", "prediction-log", "minio", "gpu"]],
    ids=["rollout", "kserve", "deployment", "all"],
)
def test_an_environment_admits_its_own_pods(
    kustomization: Callable[..., Objects], name: str, components: list[str]
) -> None:
    objects = kustomization(
        resources=[OVERLAYS[name]], components=[MANIFESTS / "components" / component for component in components]
    )
    admission = _object(objects, "Admission", "modelway")
    namespace = _object(objects, "Namespace", f"modelway-{name}")
    assert (admission["metadata"]["namespace"], namespace["metadata"]["labels"]["modelway.io/images"]) == (
        f"modelway-{name}",
        "releases",
    )
    assert _object(objects, "ReleasedImages", "modelway")["spec"] == {}
    limits = admission["spec"]
    (pod,) = _pods(objects)
    (container,) = pod["containers"]
    sources = [variable["valueFrom"] for variable in container["env"] if "valueFrom" in variable]
    secrets = [volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume]
    secrets += [source["secretRef"]["name"] for source in container.get("envFrom", ())]
    config_maps = [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
    config_maps += [source["configMapKeyRef"]["name"] for source in sources]
    assert set(secrets) <= set(limits["secrets"])
    assert set(config_maps) <= set(limits["configMaps"])
    assert set(container.get("args", ())) <= set(limits["arguments"])
    assert {variable["name"] for variable in container["env"]} <= set(limits["variables"])
    assert pod["serviceAccountName"] in limits["accounts"]
    assert container["name"] in {"server", "kserve-container"}
    if "/" in container["image"]:  # else the overlay's component comes after its `images`
        assert any(container["image"].startswith(f"{registry}/") for registry in limits["registries"])


def test_only_the_list_of_releases_is_the_deployers(kustomize: Build) -> None:
    rules = [
        (role["metadata"]["name"], rule["resources"], rule.get("resourceNames"), rule["verbs"])
        for role in kustomize(ROOT)
        if role["kind"] == "Role"
        for rule in role["rules"]
        if "modelway.io" in rule["apiGroups"]
    ]
    expected = ("modelway-deployer", ["releasedimages"], ["modelway"], ["get", "patch"])
    assert rules == [expected] * len(OVERLAYS)


def test_what_the_policies_read_and_call_is_of_one_name(kustomize: Build) -> None:
    """The lists that deployments keep, the kinds, and the policies that read them."""
    objects = kustomize(ROOT)
    definitions = kustomize(MANIFESTS / "base" / "kinds")
    kinds = {obj["spec"]["names"]["kind"] for obj in definitions}
    policies = {obj["metadata"]["name"]: obj["spec"] for obj in objects if obj["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [obj for obj in objects if obj["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert {binding["spec"]["policyName"] for binding in bindings} == set(policies)
    read = {policy["paramKind"]["kind"] for policy in policies.values() if "paramKind" in policy}
    assert read == kinds == {"Admission", "ReleasedImages"}
    for binding in bindings:
        if "paramKind" in policies[binding["spec"]["policyName"]]:
            assert binding["spec"]["paramRef"] == {"name": "modelway", "parameterNotFoundAction": "Deny"}
        assert binding["spec"]["validationActions"] == ["Deny", "Audit"]
    messages = json.dumps(policies["modelway-releases"]["validations"]).replace("' + '", "")
    assert UNLISTED in messages


def test_all_traffic_is_denied_but_by_named_exceptions(kustomize: Build) -> None:
    policies = {
        obj["metadata"]["name"]: obj["spec"]
        for obj in kustomize(OVERLAYS["production"])
        if obj["kind"] == "NetworkPolicy"
    }
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        source, _, target = name.partition("-to-")
        assert source
        assert target
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule["ports"], name
            assert all("namespaceSelector" in peer for peer in rule.get("from", rule.get("to"))), name


@pytest.mark.parametrize("components", [[], ["kserve"], ["deployment"]], ids=["rollout", "kserve", "deployment"])
def test_git_decides_the_image_by_its_digest(kustomization: Callable[..., Objects], components: list[str]) -> None:
    objects = kustomization(
        resources=[MANIFESTS / "base"],
        components=[MANIFESTS / "components" / obj for obj in components],
        images=[{"name": MODEL, "newName": "registry.example.com/one", "digest": DIGEST}],
    )
    (pod,) = _pods(objects)
    assert [container["image"] for container in pod["containers"]] == [f"registry.example.com/one@{DIGEST}"]


@pytest.mark.parametrize("router", [None, "istio", "gateway-api", "traefik"])
def test_what_is_renamed_is_renamed_where_it_is_named(
    kustomization: Callable[..., Objects], router: str | None
) -> None:
    objects = kustomization(
        resources=[MANIFESTS / "base"],
        components=[MANIFESTS / "components" / router] if router else [],
        configMapGenerator=[{"name": "modelway-verifying-key", "literals": ["verifying.pem=a key"]}],
        namespace="elsewhere",
        namePrefix="blue-",
    )
    rollout = _object(objects, "Rollout", f"blue-{MODEL}")["spec"]
    pod = rollout["template"]["spec"]
    names = {(obj["kind"], obj["metadata"]["name"]) for obj in objects}
    (key,) = [name for kind, name in names if kind == "ConfigMap"]
    assert re.fullmatch("blue-modelway-verifying-key-[a-z0-9]{10}", key)
    assert {"name": "verifying-key", "configMap": {"name": key}} in pod["volumes"]
    assert ("ServiceAccount", pod["serviceAccountName"]) in names
    scale_target = _object(objects, "HorizontalPodAutoscaler", f"blue-{MODEL}")["spec"]["scaleTargetRef"]
    assert (scale_target["kind"], scale_target["name"]) in names
    canary = rollout["strategy"]["canary"]
    analyses = [canary["analysis"], *(step["analysis"] for step in canary["steps"] if "analysis" in step)]
    names_of = {template["templateName"] for obj in analyses for template in obj["templates"]}
    assert {("AnalysisTemplate", obj) for obj in names_of} == {obj for obj in names if obj[0] == "AnalysisTemplate"}
    assert names_of == {f"blue-{MODEL}-watch", f"blue-{MODEL}-analysis"}
    if router is None:
        assert "stableService" not in canary
        return
    assert ("Service", canary["stableService"]) in names
    assert ("Service", canary["canaryService"]) in names
    routed = {
        "istio": lambda: _object(objects, "VirtualService", f"blue-{MODEL}")["spec"]["http"][0]["route"],
        "gateway-api": lambda: _object(objects, "HTTPRoute", f"blue-{MODEL}")["spec"]["rules"][0]["backendRefs"],
        "traefik": lambda: _object(objects, "TraefikService", f"blue-{MODEL}")["spec"]["weighted"]["services"],
    }[router]()
    assert [obj.get("destination", obj).get("host", obj.get("name")) for obj in routed] == [
        canary["stableService"],
        canary["canaryService"],
    ]
    routing = canary["trafficRouting"]
    assert {
        "istio": lambda: routing["istio"]["virtualService"]["name"],
        "gateway-api": lambda: routing["plugins"]["argoproj-labs/gatewayAPI"]["httpRoute"],
        "traefik": lambda: routing["traefik"]["weightedTraefikServiceName"],
    }[router]() == f"blue-{MODEL}"
    if router == "gateway-api":
        assert routing["plugins"]["argoproj-labs/gatewayAPI"]["namespace"] == "elsewhere"


def test_a_patch_finds_the_container_by_its_name(kustomization: Callable[..., Objects]) -> None:
    patch = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": MODEL},
        "spec": {
            "template": {
                "spec": {"containers": [{"name": "server", "env": [{"name": "MODELWAY_STORE", "value": "s3://x"}]}]}
            }
        },
    }
    objects = kustomization(resources=[MANIFESTS / "base"], patches=[{"patch": yaml.safe_dump(patch)}])
    (container,) = _object(objects, "Rollout")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == MODEL
    assert {obj["name"] for obj in container["env"]} >= {"MODELWAY_STORE", "MODELWAY_VERIFYING_KEY"}


def test_the_rollout_is_what_the_policy_says(kustomize: Build) -> None:
    policy = Policy.load(ROOT / "examples" / "insurance" / "policy.yaml")
    rollout = _object(kustomize(OVERLAYS["production"]), "Rollout")["spec"]
    assert rollout["strategy"] == strategy(policy, MODEL)
    assert rollout["progressDeadlineSeconds"] == policy.deployment.progress_deadline_seconds
    assert rollout["progressDeadlineAbort"] is True
    (container,) = rollout["template"]["spec"]["containers"]
    startup = container["startupProbe"]
    cold_start = policy.serving.sla.cold_start_seconds
    assert cold_start is not None
    assert startup["failureThreshold"] * startup["periodSeconds"] >= cold_start


def test_a_gpu_is_asked_for_where_there_are_gpus(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(resources=[OVERLAYS["production"]], components=[MANIFESTS / "components" / "gpu"])
    (pod,) = _pods(objects)
    assert pod["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert [obj["key"] for obj in pod["tolerations"]] == ["nvidia.com/gpu"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_keys_come_from_a_secret_as_files(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(resources=[MANIFESTS / "base"], components=[MANIFESTS / "components" / "encryption"])
    (pod,) = _pods(objects)
    (container,) = pod["containers"]
    names_of = {obj["name"]: obj["value"] for obj in container["env"]}
    mounted = {obj["mountPath"]: obj["name"] for obj in container["volumeMounts"]}
    volumes = {obj["name"]: obj for obj in pod["volumes"]}
    for variable, kind in (("MODELWAY_ENCRYPTION_KEY", "secret"), ("MODELWAY_VERIFYING_KEY", "configMap")):
        assert kind in volumes[mounted[str(Path(names_of[variable]).parent)]]


@pytest.mark.parametrize(("store", "port"), [("minio", 9000), ("minio-tls", 9000), ("seaweedfs", 8333), ("s3", 443)])
def test_the_prediction_log_goes_where_the_server_may_write(
    kustomization: Callable[..., Objects], store: str, port: int
) -> None:
    objects = kustomization(
        resources=[MANIFESTS / "base"],
        components=[MANIFESTS / "components" / name for name in ("prediction-log", store)],
        namespace="elsewhere",
    )
    (pod,) = _pods(objects)
    (container,) = pod["containers"]
    target = container["args"][1]
    (statement,) = json.loads((MANIFESTS / "base" / "storage" / "server.json").read_text(encoding="utf-8"))["Statement"]
    assert statement["Resource"] == [target.replace("s3://", "arn:aws:s3:::") + "/*"]
    assert container["envFrom"] == [{"secretRef": {"name": "modelway-store"}}]
    variables = {variable["name"]: variable.get("valueFrom") for variable in container["env"]}
    assert variables["AWS_ENDPOINT_URL"] == {"configMapKeyRef": {"name": "modelway", "key": "s3-endpoint"}}
    services = _object(objects, "ConfigMap", "modelway")
    assert services["metadata"]["namespace"] == "elsewhere"
    assert services["data"]["s3-endpoint"]
    (exception,) = _object(objects, "NetworkPolicy", "server-to-store")["spec"]["egress"]
    assert exception["ports"] == [{"protocol": "TCP", "port": port}]
    (peer,) = exception["to"]
    in_cluster = services["data"]["s3-endpoint"].endswith(".kubeflow:9000")
    assert ("namespaceSelector" in peer) is in_cluster
    assert ("ipBlock" in peer) is not in_cluster


def test_in_production_the_server_trusts_private_authorities(kustomization: Callable[..., Objects]) -> None:
    """Where `core.storage.certificates` looks for them; without the ConfigMap nothing is missing."""
    objects = kustomization(
        resources=[OVERLAYS["production"]],
        components=[MANIFESTS / "components" / name for name in ("prediction-log", "minio-tls")],
        namespace="modelway-production",
    )
    (pod,) = _pods(objects)
    (container,) = pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == mounts[CONFIG_MAP_FOLDER]]
    assert volume["configMap"] == {"name": CONFIG_MAP, "optional": True}
    data = _object(objects, "ConfigMap", CONFIG_MAP)["data"]
    assert all(address.startswith("https://") for address in data.values())


def test_certificates_are_of_the_names_that_tasks_use(kustomize: Build, kustomization: Callable[..., Objects]) -> None:
    certificates = kustomize(MANIFESTS / "base" / "certificates")
    issuers = {obj["metadata"]["name"] for obj in certificates if obj["kind"] == "ClusterIssuer"}
    names = set()
    for obj in certificates:
        if obj["kind"] == "Certificate":
            assert obj["spec"]["issuerRef"]["name"] in issuers
            names |= set(obj["spec"].get("dnsNames", ()))
    objects = kustomization(
        resources=[MANIFESTS / "base" / "pipelines"],
        components=[MANIFESTS / "components" / "minio-tls"],
        namespace="kubeflow",
    )
    for address in _object(objects, "ConfigMap", CONFIG_MAP)["data"].values():
        assert urlsplit(address).hostname in names


def test_kserve_takes_the_rollouts_place(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(
        namespace="elsewhere",
        resources=[OVERLAYS["production"]],
        components=[MANIFESTS / "components" / "kserve"],
    )
    assert not _kinds(objects) & {"Rollout", "AnalysisTemplate", "HorizontalPodAutoscaler", "Service"}
    main_object = _object(objects, "InferenceService")
    assert main_object["metadata"]["namespace"] == "elsewhere"
    granted = _object(objects, "Role", "modelway-deployer")["rules"][-1]
    assert granted["apiGroups"] == ["serving.kserve.io"]


def test_a_plain_deployment_takes_the_rollouts_place(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(
        resources=[OVERLAYS["production"]], components=[MANIFESTS / "components" / "deployment"], namespace="elsewhere"
    )
    assert not _kinds(objects) & {"Rollout", "AnalysisTemplate"}
    assert [obj["metadata"]["name"] for obj in objects if obj["kind"] == "Service"] == [MODEL]
    main_object = _object(objects, "Deployment")
    assert main_object["metadata"]["namespace"] == "elsewhere"
    scale_target = _object(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (scale_target["apiVersion"], scale_target["kind"], scale_target["name"]) == ("apps/v1", "Deployment", MODEL)
    assert main_object["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert _object(objects, "Role", "modelway-deployer")["rules"][-1]["resources"] == ["deployments"]


def test_prometheus_meets_every_pod_once(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(
        resources=[OVERLAYS["production"]], components=[MANIFESTS / "components" / "servicemonitor"]
    )
    monitor = _object(objects, "ServiceMonitor")["spec"]
    selected_objects = [
        obj["metadata"]["name"]
        for obj in objects
        if obj["kind"] == "Service" and monitor["selector"]["matchLabels"].items() <= obj["metadata"]["labels"].items()
    ]
    assert selected_objects == [f"{MODEL}-metrics"]
    assert {"app.kubernetes.io/name", "rollouts-pod-template-hash"} <= set(monitor["podTargetLabels"])


def test_alerts_are_of_the_cluster_rather_than_of_an_environment(kustomization: Callable[..., Objects]) -> None:
    components = [MANIFESTS / "components" / name for name in ("admission", "prometheusrule")]
    objects = kustomization(resources=[MANIFESTS / "base" / "pipelines"], components=components)
    assert _object(objects, "PrometheusRule", f"{MODEL}-alerts")["metadata"]["namespace"] == "monitoring"
    plain = yaml.safe_load(_object(objects, "ConfigMap", "modelway-alerts")["data"]["alerts.yaml"])
    assert plain == _object(objects, "PrometheusRule", f"{MODEL}-alerts")["spec"]


def test_what_belongs_to_kfp_is_left_to_it(kustomize: Build) -> None:
    """KFP's own ConfigMaps, Secrets and workloads are never applied: they differ between its versions."""
    in_kubeflow = [obj for obj in kustomize(ROOT) if obj["metadata"].get("namespace") == "kubeflow"]
    assert {obj["kind"] for obj in in_kubeflow} == {"ServiceAccount", "Role", "RoleBinding", "ConfigMap"}
    assert all(obj["metadata"]["name"].startswith("modelway-") for obj in in_kubeflow)


@pytest.mark.parametrize("store", STORES)
def test_a_store_is_what_tasks_read_and_nothing_of_kfps(kustomization: Callable[..., Objects], store: str) -> None:
    pipelines = [MANIFESTS / "base" / "pipelines"]
    before = kustomization(resources=pipelines, namespace="kubeflow")
    objects = kustomization(resources=pipelines, components=[MANIFESTS / "components" / store], namespace="kubeflow")
    new_objects = {(obj["kind"], obj["metadata"]["name"]) for obj in objects} - {
        (obj["kind"], obj["metadata"]["name"]) for obj in before
    }
    admits = {("NetworkPolicy", "servers-to-seaweedfs")} if store == "seaweedfs" else set()
    assert new_objects == {("ConfigMap", CONFIG_MAP), *admits}
    data = _object(objects, "ConfigMap", CONFIG_MAP)["data"]
    assert set(data) <= {"s3-endpoint", "s3-region", "mlflow-tracking-uri"}
    assert "kfp-launcher" not in {obj["metadata"]["name"] for obj in objects}


def test_seaweedfs_lets_the_servers_of_every_environment_in(kustomization: Callable[..., Objects]) -> None:
    objects = kustomization(
        resources=[MANIFESTS / "base" / "pipelines"],
        components=[MANIFESTS / "components" / "seaweedfs"],
        namespace="kubeflow",
    )
    (rule,) = _object(objects, "NetworkPolicy", "servers-to-seaweedfs")["spec"]["ingress"]
    ((peer,), (port,)) = rule["from"], rule["ports"]
    environment = kustomization(
        resources=[OVERLAYS["production"]],
        components=[MANIFESTS / "components" / name for name in ("prediction-log", "seaweedfs")],
        namespace="modelway-production",
    )
    labels = _object(environment, "Namespace", "modelway-production")["metadata"]["labels"]
    assert peer["namespaceSelector"]["matchLabels"].items() <= labels.items()
    (exception,) = _object(environment, "NetworkPolicy", "server-to-store")["spec"]["egress"]
    assert exception["ports"] == [port]
