"""The pod of a rehearsal is what serves, by another name."""

from __future__ import annotations

import threading
import time

import pytest
from kube import eventually
from pod_proxy import ApiServer, status
from user_files import minimal_policy

from modelway.components.deploy import rehearsal as rehearsal_module
from modelway.components.deploy.objects import rollout, services
from modelway.components.deploy.rehearsal import rehearsal_pod, rehearse_rollback
from modelway.components.deploy.room import NoRoomError


def test_the_pod_is_what_serves_but_no_service_and_no_prometheus_finds_it() -> None:
    template = rollout(minimal_policy(), "loans", image=f"r.example/loans@sha256:{'1' * 64}")["spec"]["template"]
    pod = rehearsal_pod(template, "loans-rehearsal")
    for service in services("loans"):
        selector = service["spec"]["selector"].items()
        assert not selector <= pod["metadata"]["labels"].items()
    assert not any(key.startswith("prometheus.io/") for key in pod["metadata"]["annotations"])
    spec, template_spec = pod["spec"], template["spec"]
    assert spec["restartPolicy"] == "Never"
    (container,), (before,) = spec["containers"], template_spec["containers"]
    assert container == {**before, "imagePullPolicy": "Always"}
    for key in ("serviceAccountName", "securityContext", "volumes", "automountServiceAccountToken"):
        assert spec[key] == template_spec[key]
    assert before["imagePullPolicy"] == "IfNotPresent"
    assert pod["metadata"]["name"] != rehearsal_pod(template, "loans-rehearsal")["metadata"]["name"]


def test_a_server_that_ends_is_not_waited_for_though_a_sidecar_runs_on(api: ApiServer) -> None:
    template = rollout(minimal_policy(), "loans", image=f"r.example/loans@sha256:{'1' * 64}")["spec"]["template"]
    template["spec"]["containers"].append({"name": "proxy", "image": "r.example/proxy"})
    failures: list[str] = []

    def rehearse() -> None:
        failures.extend(rehearse_rollback(api.cluster(), "loans", template=template, seconds=60))

    thread = threading.Thread(target=rehearse, daemon=True)
    began = time.monotonic()
    thread.start()
    eventually(lambda: any(resource == "pods" for resource, _ in api.objects), "the pod is created", 20)
    (pod,) = [obj for (resource, _), obj in api.objects.items() if resource == "pods"]
    ended = {"terminated": {"reason": "Error", "exitCode": 132}}
    statuses = [{"name": "proxy", "state": {"running": {}}}, {"name": "server", "state": ended}]
    pod["status"] = {"phase": "Running", "containerStatuses": statuses}
    thread.join(timeout=30)
    assert time.monotonic() - began < 30
    assert failures[0] == "a pod is not ready: Error with exit status 132"


def test_a_rehearsal_without_room_is_no_failed_rollback(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal_module, "_POLL_SECONDS", 0.01)
    template = rollout(minimal_policy(), "loans", image=f"r.example/loans@sha256:{'1' * 64}")["spec"]["template"]
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1: full"}
    api.status = {"phase": "Pending", "conditions": [condition]}
    says = "inconclusive: no room for the rehearsal of the rollback: 1 pod asked for cpu 250m, memory 256Mi; "
    with pytest.raises(NoRoomError, match=f"^{says}0/1: full"):
        rehearse_rollback(api.cluster(), "loans", template=template, seconds=0.1)
    assert api.objects == {}
    quota = 'pods "loans" is forbidden: exceeded quota: modelway, requested: pods=1, used: pods=4, limited: pods=4'
    api.refusals["pods"] = [(200, {"items": []}), status(403, quota)]
    with pytest.raises(NoRoomError, match=f"^{says}exceeded quota: modelway, requested: pods=1"):
        rehearse_rollback(api.cluster(), "loans", template=template, seconds=0.1)
