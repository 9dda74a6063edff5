"""Whether the autoscalers of the environments have the metrics that they scale by."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.deploy.objects import kubernetes_name
from modelway.pipelines.doctor.cluster_reader import ClusterReader, DeniedError

_SUBJECT = "metrics API"
_GROUP, _VERSION = "metrics.k8s.io", "v1beta1"
_INSTALL = "install metrics-server; see docs/cluster.md"


def inspect_metrics(reader: ClusterReader, policy: Policy, *, project: Project | None = None) -> Finding:
    """Inspects whether there are metrics of pods for the autoscalers in the environments' namespaces.

    Args:
        reader: Reads the cluster.
        policy: Says in which namespaces versions are served.
        project: Names the model; None: the autoscalers of all models count.
    """
    autoscalers = _autoscalers(reader, policy, project=project)
    if reader.has_resource(f"{_GROUP}/{_VERSION}", "pods"):
        for autoscaler in autoscalers:
            if message := _failure(autoscaler):
                return Finding(
                    _SUBJECT, Status.MISSING, f"{_name(autoscaler)} gets no metrics: {message}", _see(autoscaler)
                )
        return Finding(_SUBJECT, Status.OK, "the autoscaler has its metrics")
    failure = ""
    with suppress(DeniedError):
        failure = reader.api_failure(_VERSION, _GROUP)
    problem = f"the cluster's metrics API does not answer ({failure})" if failure else "the cluster has no metrics API"
    remedy = f"see why: kubectl describe apiservice {_VERSION}.{_GROUP}" if failure else _INSTALL
    if autoscalers:
        return Finding(_SUBJECT, Status.MISSING, f"{problem}, so that {_name(autoscalers[0])} does nothing", remedy)
    return Finding(_SUBJECT, Status.UNSET, f"{problem}, so that an autoscaler would do nothing", remedy)


def _autoscalers(reader: ClusterReader, policy: Policy, *, project: Project | None) -> list[dict[str, Any]]:
    """The autoscalers in the environments' namespaces that the account may read."""
    autoscalers: list[dict[str, Any]] = []
    for environment, settings in policy.environments.items():
        namespace = settings.namespace or f"modelway-{environment}"
        with suppress(DeniedError):
            autoscalers += reader.list_objects("horizontalpodautoscalers", namespace=namespace, group="autoscaling/v2")
    with suppress(ModelwayError):  # a name that Kubernetes does not take, which a promotion says
        name = kubernetes_name("" if project is None else project.name)
        targets = {name, f"{name}-predictor"}  # KServe's
        return [entry for entry in autoscalers if entry["spec"]["scaleTargetRef"]["name"] in targets]
    return autoscalers


def _failure(autoscaler: dict[str, Any]) -> str:
    """Why an autoscaler has no metrics, in its own words; empty if it has some, or does not scale now."""
    for condition in (autoscaler.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ScalingActive" and condition["status"] == "False":
            return str(condition.get("message", "")) if str(condition.get("reason", "")).startswith("FailedGet") else ""
    return ""


def _name(autoscaler: dict[str, Any]) -> str:
    metadata = autoscaler["metadata"]
    return f"the autoscaler {metadata['name']} in {metadata['namespace']}"


def _see(autoscaler: dict[str, Any]) -> str:
    metadata = autoscaler["metadata"]
    command = f"kubectl -n {metadata['namespace']} describe hpa {metadata['name']}"
    return f"see why: {command}; pods have no metrics in the first minute"
