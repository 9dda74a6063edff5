"""The Kubernetes objects that serve a model, as a first deployment creates them and the manifests contain them.

All comply with the Pod Security Standard `restricted`. None but KServe's sets the number of replicas, which is the
autoscaler's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.deploy.analysis import strategy

NAME_LABEL = "app.kubernetes.io/name"
_SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "prometheus.io/path": "/metrics"}
_KEY_FOLDER = "/var/run/modelway/verifying"
_GRACE_SECONDS = 45
_START_SECONDS = 60.0
_KEPT_REVISIONS = 5
_SCALED = {"minReplicas": 2, "maxReplicas": 4, "scaleMetric": "cpu", "scaleTarget": 70}  # KServe has its own autoscaler
_BY_ROLLOUTS, _BY_DEPLOYMENTS = "rollouts-pod-template-hash", "pod-template-hash"


def rollout(policy: Policy, model: str, *, image: str) -> dict[str, Any]:
    """Argo Rollouts' Rollout of a model, with the policy's strategy; a version that never becomes ready is undone too.

    Args:
        policy: The policy.
        model: The name of all objects, a DNS label.
        image: The image by digest.
    """
    return _object(
        "argoproj.io/v1alpha1",
        "Rollout",
        name=model,
        spec={
            "revisionHistoryLimit": _KEPT_REVISIONS,
            "progressDeadlineSeconds": policy.deployment.progress_deadline_seconds,
            "progressDeadlineAbort": True,
            "selector": {"matchLabels": _labels(model)},
            "strategy": strategy(policy, model),
            "template": _template(policy, model, image=image, revision=_BY_ROLLOUTS),
        },
    )


def deployment(policy: Policy, model: str, *, image: str) -> dict[str, Any]:
    """A plain Deployment of a model, pod by pod; arguments as for `rollout`."""
    return _object(
        "apps/v1",
        "Deployment",
        name=model,
        spec={
            "revisionHistoryLimit": _KEPT_REVISIONS,
            "progressDeadlineSeconds": policy.deployment.progress_deadline_seconds,
            "selector": {"matchLabels": _labels(model)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
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
    service = _object(
        "serving.kserve.io/v1beta1",
        "InferenceService",
        name=model,
        spec={
            "predictor": {
                **_SCALED,
                **_pod(container),
                "deploymentStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
                },
            }
        },
    )
    service["metadata"]["annotations"] = {"serving.kserve.io/deploymentMode": "Standard", **_SCRAPED}
    return service


def services(model: str) -> list[dict[str, Any]]:
    """The Service for clients and the one for the new version alone; the Rollout narrows their selectors."""
    spec = {"selector": _labels(model), "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}
    objects = [_object("v1", "Service", name=name, spec=spec) for name in (model, f"{model}-preview")]
    for service in objects:
        service["metadata"]["labels"] = _labels(model)
    return objects


def _object(version: str, kind: str, *, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "labels": _labels(name)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)}


def _labels(model: str) -> dict[str, str]:
    return {NAME_LABEL: model}


def _template(policy: Policy, model: str, *, image: str, revision: str) -> dict[str, Any]:
    spread = [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": _labels(model)},
            "matchLabelKeys": [revision],
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    pod = _pod(_container(policy, image)) | {
        # After SIGTERM the server answers until routers have noticed, and then finishes its open requests.
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "topologySpreadConstraints": spread,
    }
    return {"metadata": {"labels": _labels(model), "annotations": dict(_SCRAPED)}, "spec": pod}


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
