"""The Kubernetes objects that serve a model, as a first deployment creates them and the manifests contain them.

All comply with the Pod Security Standard `restricted`. None but KServe's sets the number of replicas, which is the
autoscaler's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.deploy.analysis import ONE_BY_ONE, strategy

ROLLING_UPDATE: dict[str, Any] = {"type": "RollingUpdate", "rollingUpdate": ONE_BY_ONE}
_NAME_LABEL = "app.kubernetes.io/name"
_SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
_KEY_FOLDER = "/var/run/modelway/verifying"
_GRACE_SECONDS = 45
_START_SECONDS = 60.0
_KEPT_REVISIONS = 5
_SCALED = {"minReplicas": 2, "maxReplicas": 4, "scaleMetric": "cpu", "scaleTarget": 70}  # KServe has its own autoscaler
_LONGEST_NAME = 40  # with the suffixes, names of Services and values of labels are at most 63
_DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_BY_ROLLOUTS, _BY_DEPLOYMENTS = "rollouts-pod-template-hash", "pod-template-hash"


def kubernetes_name(model: str) -> str:
    """The name of a model's objects: the registered model's, with hyphens for characters that Kubernetes rejects.

    Raises:
        ModelwayError: the result is not a DNS label (RFC 1035).
    """
    name = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    if len(name) > _LONGEST_NAME or not _DNS_LABEL.fullmatch(name):
        raise ModelwayError(
            f"{model!r} cannot be the name of objects in Kubernetes",
            key="name",
            value=model,
            remedy=f"start the name with a letter, and use at most {_LONGEST_NAME} letters, digits and hyphens",
        )
    return name


def rollout(policy: Policy, model: str, *, image: str) -> dict[str, Any]:
    """Argo Rollouts' Rollout of a model, with the policy's strategy; a version that never becomes ready is undone too.

    Args:
        policy: The policy.
        model: The name of all objects, as of `kubernetes_name`.
        image: The image by digest.
    """
    return _object(
        "argoproj.io/v1alpha1",
        "Rollout",
        model=model,
        spec={
            "revisionHistoryLimit": _KEPT_REVISIONS,
            "progressDeadlineSeconds": policy.deployment.progress_deadline_seconds,
            "progressDeadlineAbort": True,
            "selector": {"matchLabels": {_NAME_LABEL: model}},
            "strategy": strategy(policy, model),
            "template": _template(policy, model, image=image, revision=_BY_ROLLOUTS),
        },
    )


def deployment(policy: Policy, model: str, *, image: str) -> dict[str, Any]:
    """A plain Deployment of a model, pod by pod; arguments as for `rollout`."""
    return _object(
        "apps/v1",
        "Deployment",
        model=model,
        spec={
            "revisionHistoryLimit": _KEPT_REVISIONS,
            "progressDeadlineSeconds": policy.deployment.progress_deadline_seconds,
            "selector": {"matchLabels": {_NAME_LABEL: model}},
            "strategy": ROLLING_UPDATE,
            "template": _template(policy, model, image=image, revision=_BY_DEPLOYMENTS),
        },
    )


def inference_service(policy: Policy, model: str, *, image: str) -> dict[str, Any]:
    """KServe's InferenceService of a model; KServe creates its Deployment and Services. Arguments as for `rollout`.

    KServe has its own names for the container and the port.
    """
    container = _container(policy, image) | {
        "name": "kserve-container",
        "ports": [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}],
    }
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        container[probe]["httpGet"]["port"] = 8080
    predictor = {**_SCALED, **_pod(container), "deploymentStrategy": ROLLING_UPDATE}
    service = _object("serving.kserve.io/v1beta1", "InferenceService", model=model, spec={"predictor": predictor})
    service["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Standard", **_SCRAPED}
    return service


def services(model: str) -> list[dict[str, Any]]:
    """The Service for clients and the one for the new version alone; the Rollout narrows their selectors."""
    spec = {"selector": {_NAME_LABEL: model}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    return [_object("v1", "Service", model=model, suffix=suffix, spec=spec) for suffix in ("", "-preview")]


def _object(version: str, kind: str, *, model: str, spec: Mapping[str, Any], suffix: str = "") -> dict[str, Any]:
    metadata = {"name": f"{model}{suffix}", "labels": {_NAME_LABEL: model}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _template(policy: Policy, model: str, *, image: str, revision: str) -> dict[str, Any]:
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": {_NAME_LABEL: model}},
            "matchLabelKeys": [revision],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    pod = _pod(_container(policy, image)) | {
        # After SIGTERM the server answers until routers have noticed, and then finishes its open requests.
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "topologySpreadConstraints": spread,
    }
    return {"metadata": {"labels": {_NAME_LABEL: model}, "annotations": dict(_SCRAPED)}, "spec": pod}


def _pod(container: dict[str, Any]) -> dict[str, Any]:
    return {
        "serviceAccountName": "modelway-server",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"name": "verifying-key", "configMap": {"name": "modelway-verifying-key"}},
        ],
    }


def _container(policy: Policy, image: str) -> dict[str, Any]:
    # Twice what the policy allows for a start, since nodes are busier than the machine of the measurement.
    start = max(_START_SECONDS, 2 * (policy.serving.sla.cold_start_seconds or 0))
    return {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": "MODELWAY_VERIFYING_KEY", "value": f"{_KEY_FOLDER}/verifying.pem"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": _probe("ready") | {"periodSeconds": 1, "failureThreshold": math.ceil(start)},
        "readinessProbe": _probe("ready") | {"periodSeconds": 2, "failureThreshold": 2},
        "livenessProbe": _probe("live") | {"periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 6},
        "resources": {
            "requests": {"cpu": "250m", "memory": "256Mi"},
            "limits": {"cpu": "1", "memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's
            {"name": "verifying-key", "mountPath": _KEY_FOLDER, "readOnly": True},
        ],
    }


def _probe(state: str) -> dict[str, Any]:
    return {"httpGet": {"path": f"/v2/health/{state}", "port": "http"}}
