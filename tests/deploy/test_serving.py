"""What the cluster serves is told by the pods that requests reach, with why the cluster itself undid a version."""

from __future__ import annotations

import pytest
from pod_proxy import ApiServer, status
from serving_objects import (
    ABORTED,
    HASH,
    IMAGES,
    add_aborted_rollout,
    add_analysis,
    add_pod,
    add_rollout,
    add_service,
)
from user_files import minimal_policy

from modelway.components.core.errors import CredentialsError
from modelway.components.deploy.serving import Serving, serving
from modelway.components.deploy.workload import Workload


def serves(api: ApiServer, target: str = "rollout") -> Serving | None:
    policy = minimal_policy(deployment={"target": target})
    return serving(Workload(api.cluster(), "loans", policy, progress=str), "loans")


def test_where_there_is_no_such_object_nothing_is_said_to_serve(api: ApiServer) -> None:
    assert serves(api) is None


def test_a_healthy_rollout_serves_its_version_on_its_ready_pods(api: ApiServer) -> None:
    add_rollout(api, "4", phase="Healthy")
    add_service(api)
    for name, ready in (("a", True), ("b", True), ("c", False)):
        add_pod(api, name, "4", ready=ready)
    answer = serves(api)
    assert answer is not None
    assert (answer.ready, answer.set_to, answer.run, answer.phase) == ({"4": 2}, "4", "run-5", "healthy")
    assert (answer.namespace, answer.image, answer.undone, answer.reasons) == ("models", IMAGES["4"], False, ())
    assert answer.serves("4")
    assert not answer.serves("5")
    assert answer.pods() == "2 of 2 ready pods serve version 4"


def test_what_the_cluster_undid_is_told_with_the_measured_value_and_its_bound(api: ApiServer) -> None:
    add_aborted_rollout(api)
    add_analysis(api)
    answer = serves(api)
    assert answer is not None
    assert (answer.undone, answer.set_to, answer.ready) == (True, "5", {"4": 2})
    assert answer.reasons == ("error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate)",)


def test_without_an_analysis_the_pods_that_are_left_and_then_kubernetes_warnings_say_why(api: ApiServer) -> None:
    add_aborted_rollout(api)
    add_pod(api, "c", "5", ready=False)
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    api.objects["pods", "c"]["status"]["containerStatuses"] = [{"name": "server", "state": state}]
    answer = serves(api)
    assert answer is not None
    assert answer.reasons == ("a pod is not ready: CrashLoopBackOff", "its log ends: c has no memory left")
    del api.objects["pods", "c"]
    answer = serves(api)
    assert answer is not None
    assert answer.reasons == (ABORTED,)
    for number, (name, message) in enumerate((("loans-h5-x", "back-off"), ("loans-h4-y", "of another version"))):
        event = {"message": message, "lastTimestamp": str(number), "involvedObject": {"name": name}}
        api.objects["events", name] = event
    answer = serves(api)
    assert answer is not None
    assert answer.reasons == (ABORTED, "Kubernetes' last warning about its pods: back-off")


def test_rights_that_are_missing_are_said_where_they_only_hide_the_reason(api: ApiServer) -> None:
    add_aborted_rollout(api)
    api.refusals["analysisruns"] = status(403, 'User "ada" cannot list resource "analysisruns"')
    answer = serves(api)
    assert answer is not None
    assert (answer.undone, answer.reasons[0]) == (True, ABORTED)
    assert 'cannot be read: the cluster refuses access: User "ada" cannot list' in answer.reasons[1]
    api.refusals["pods"] = status(403, 'User "ada" cannot list resource "pods"')
    with pytest.raises(CredentialsError, match="pods"):
        serves(api)


def test_only_the_pods_of_the_active_service_serve_under_blue_green(api: ApiServer) -> None:
    add_rollout(api, "5", {"blueGreen": {"activeService": "loans", "previewService": "p"}}, phase="Progressing")
    for name, version in (("a", "4"), ("b", "4"), ("c", "5")):
        add_pod(api, name, version)
    add_service(api, **{HASH: "h4"})
    answer = serves(api)
    assert answer is not None
    assert answer.ready == {"4": 2}
    add_service(api, **{HASH: "h5"})
    answer = serves(api)
    assert answer is not None
    assert answer.ready == {"5": 1}


def test_amid_a_canary_both_versions_serve_and_pods_that_name_none_are_those_of_its_image(api: ApiServer) -> None:
    add_rollout(api, "5", phase="Progressing")
    add_service(api)
    add_pod(api, "a", "4")
    add_pod(api, "b", "5", named=False)
    answer = serves(api)
    assert answer is not None
    assert (answer.phase, answer.ready) == ("progressing", {"4": 1, "5": 1})
    assert answer.pods() == "1 of 2 ready pods serves version 4, 1 of 2 ready pods serves version 5"
    api.objects["pods", "a"]["metadata"]["annotations"] = {}
    answer = serves(api)
    assert answer is not None
    assert answer.pods().startswith("1 of 2 ready pods serves no version that they name")


def test_a_deployment_is_never_undone_by_the_cluster_but_fails(api: ApiServer) -> None:
    add_rollout(api, "5")
    obj = api.objects.pop(("rollouts", "loans"))
    late = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it is late"}
    obj["status"] = {"observedGeneration": 4, "replicas": 3, "availableReplicas": 2, "conditions": [late]}
    api.objects["deployments", "loans"] = obj
    add_pod(api, "a", "4")
    answer = serves(api, "deployment")
    assert answer is not None
    assert (answer.phase, answer.undone, answer.reasons) == ("failed", False, ("it is late",))
    assert answer.ready == {"4": 1}, "without a Service of its name all pods of the label are counted"


def test_the_answer_is_plain_content(api: ApiServer) -> None:
    add_aborted_rollout(api)
    answer = serves(api)
    assert answer is not None
    assert answer.json()["ready"] == {"4": 2}
    assert answer.json()["reasons"] == [ABORTED]
