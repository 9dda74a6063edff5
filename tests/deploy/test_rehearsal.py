"""The pod of a rehearsal is what serves, by another name."""

from __future__ import annotations

from user_files import minimal_policy

from modelway.components.deploy.objects import rollout, services
from modelway.components.deploy.rehearsal import rehearsal_pod


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
