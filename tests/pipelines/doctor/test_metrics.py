"""Whether the autoscaler has the metrics that it scales by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pod_proxy import ApiServer, listening, status
from user_files import minimal_policy, minimal_project

from modelway.components.core.surroundings.findings import Finding, Status
from modelway.pipelines.doctor.cluster_reader import ClusterReader
from modelway.pipelines.doctor.metrics import inspect_metrics

POLICY = minimal_policy(environments={"staging": {"namespace": "models"}})


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with listening() as server:
        yield server


def metrics(api: ApiServer, model: str = "loans") -> Finding:
    from kubernetes import client

    configuration = client.Configuration()
    configuration.host = api.host
    reader = ClusterReader(client.ApiClient(configuration))
    return inspect_metrics(reader, POLICY, project=minimal_project(name=model))


def serve_metrics(api: ApiServer) -> None:
    api.objects["metrics.k8s.io", "v1beta1"] = {"resources": [{"name": "nodes"}, {"name": "pods"}]}


def scale(api: ApiServer, reason: str = "ValidMetricFound", message: str = "") -> None:
    """There is an autoscaler of the model."""
    active: dict[str, Any] = {"type": "ScalingActive", "status": "False" if message else "True", "reason": reason}
    autoscaler = {
        "metadata": {"name": "loans", "namespace": "models"},
        "spec": {"scaleTargetRef": {"kind": "Rollout", "name": "loans"}},
        "status": {"conditions": [active | {"message": message}]},
    }
    api.objects["models", "horizontalpodautoscalers"] = {"items": [autoscaler]}


def test_without_an_autoscaler_no_metrics_are_needed(api: ApiServer) -> None:
    assert metrics(api).status is Status.UNSET
    serve_metrics(api)
    assert metrics(api).status is Status.OK


def test_an_autoscaler_without_a_metrics_api_does_nothing(api: ApiServer) -> None:
    scale(api)
    finding = metrics(api)
    assert finding.status is Status.MISSING
    assert finding.message == "the cluster has no metrics API, so that the autoscaler loans in models does nothing"
    assert "metrics-server" in finding.remedy
    assert metrics(api, "claims").status is Status.UNSET  # the autoscaler is another model's
    serve_metrics(api)
    assert metrics(api).status is Status.OK


def test_a_metrics_api_that_does_not_answer_is_told_from_none(api: ApiServer) -> None:
    scale(api)
    condition = {"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "no endpoints"}
    api.objects["apiservices", "v1beta1.metrics.k8s.io"] = {"status": {"conditions": [condition]}}
    api.refusals["metrics.k8s.io"] = status(503, "service unavailable")
    finding = metrics(api)
    assert finding.status is Status.MISSING
    assert finding.message.startswith("the cluster's metrics API does not answer (no endpoints)")
    api.refusals["apiservices"] = status(403, 'User "ada" cannot get resource "apiservices"')
    assert metrics(api).message.startswith("the cluster has no metrics API")


def test_an_autoscaler_that_gets_no_metrics_says_why_and_one_that_is_stopped_is_fine(api: ApiServer) -> None:
    serve_metrics(api)
    message = "unable to get metrics for resource cpu: no metrics returned from resource metrics API"
    scale(api, "FailedGetResourceMetric", message)
    finding = metrics(api)
    assert (finding.status, finding.message) == (
        Status.MISSING,
        f"the autoscaler loans in models gets no metrics: {message}",
    )
    scale(api, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
    assert metrics(api).status is Status.OK
    api.refusals["horizontalpodautoscalers"] = status(403, 'User "ada" cannot list resource')
    assert metrics(api).status is Status.OK
