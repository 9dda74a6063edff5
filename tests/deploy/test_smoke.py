"""Smoke traffic goes to the pods that it is aimed at and no others, steadily, and judges what they answer."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from kube import eventually
from pod_proxy import ApiServer, status
from user_files import minimal_policy

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.tables.inference import Tensor
from modelway.components.deploy.smoke import SmokeTraffic, requests_per_second, smoke_policy
from modelway.components.deploy.smoke_requests import SmokeRequests

REQUESTS = SmokeRequests("loans", "3", (Tensor("income", "FP64", [float(row) for row in range(50)]),), 50)
RIGHT = {"model_version": "3", "outputs": [{"name": "predict", "shape": [1], "data": [1]}]}


@pytest.fixture
def api(api: ApiServer) -> ApiServer:
    api.answers |= {"new-1": (200, RIGHT), "new-2": (200, RIGHT)}
    return api


def pod(name: str, *, ready: bool = True, ports: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    container = {"name": "server", "image": "r/loans", **({"ports": ports} if ports else {})}
    conditions = [{"type": "Ready", "status": str(ready)}]
    statuses = [{"name": "server", "restartCount": 0}]
    return {
        "metadata": {"name": name},
        "spec": {"containers": [container]},
        "status": {"conditions": conditions, "containerStatuses": statuses},
    }


def test_the_pods_that_are_aimed_at_are_sent_to_in_turn_and_no_others(api: ApiServer) -> None:
    ports = [{"name": "metrics", "containerPort": 9090}, {"name": "http", "containerPort": 8000}]
    with SmokeTraffic(api.cluster(), REQUESTS, policy=minimal_policy()) as smoke:
        time.sleep(0.3)
        assert (api.sent, smoke.enough, smoke.failures()) == ([], False, ())
        smoke.aim([pod("new-1", ports=ports), pod("new-2"), pod("starting", ready=False)])
        started_at = time.monotonic()
        eventually(lambda: smoke.enough, "it came", 20, interval=0.02)
        took = time.monotonic() - started_at
        assert smoke.failures() == ()
        assert re.fullmatch(r"\d+ smoke requests were answered right meanwhile", "; ".join(smoke.notes()))
        smoke.aim([pod("new-2")])
        before = api.count["new-1"]
        eventually(lambda: api.count["new-2"] > before + 5, "it came", 20, interval=0.02)
    assert took > 1.5  # 20 requests at 10 a second
    assert set(api.count) == {"new-1", "new-2"}
    assert api.count["new-1"] <= before + 1
    assert {(name, port) for name, port, *_ in api.sent} == {("new-1", "8000"), ("new-2", "8080")}
    assert {path for *_, path, _ in api.sent} == {"/v2/models/loans/infer"}
    rows = [body["inputs"][0]["data"] for *_, body in api.sent[:20]]
    assert sorted(rows) == [[float(row)] for row in range(20)]
    count_at_end = len(api.sent)
    time.sleep(0.5)
    assert len(api.sent) <= count_at_end + 4  # those that were under way


def test_one_wrong_answer_undoes_where_none_is_allowed_and_the_pods_log_is_quoted(api: ApiServer) -> None:
    api.answers["new-2"] = (500, {"error": "the prediction failed"})
    with SmokeTraffic(api.cluster(), REQUESTS, policy=minimal_policy()) as smoke:
        smoke.aim([pod("new-1"), pod("new-2")])
        eventually(smoke.failures, "it came", 20, interval=0.02)
        problem, log = smoke.failures()
    assert re.match(
        r"\d+ of \d+ smoke requests were answered wrong; row \d+ of the sample was answered with 500", problem
    )
    assert log == "its log ends: new-2 has no memory left"


def test_as_many_wrong_answers_are_let_pass_as_the_policy_has_room_for(api: ApiServer) -> None:
    lenient = minimal_policy(deployment={"analysis": {"error_rate": 0.7, "minimum_requests": 10}})
    api.answers["new-2"] = (500, {"error": "the prediction failed"})
    with SmokeTraffic(api.cluster(), REQUESTS, policy=lenient) as smoke:
        smoke.aim([pod("new-1"), pod("new-2")])
        eventually(lambda: smoke.enough, "it came", 20, interval=0.02)
        assert smoke.failures() == ()
        smoke.aim([pod("new-2")])
        eventually(smoke.failures, "it came", 20, interval=0.02)


def test_wrong_answers_that_leave_no_doubt_are_not_waited_for(api: ApiServer) -> None:
    patient = minimal_policy(deployment={"analysis": {"error_rate": 0.05, "minimum_requests": 1_000_000}})
    api.answers["new-1"] = (500, {"error": "the prediction failed"})
    with SmokeTraffic(api.cluster(), REQUESTS, policy=patient) as smoke:
        smoke.aim([pod("new-1")])
        eventually(smoke.failures, "it came", 20, interval=0.02)
        wrong, answered = map(int, smoke.failures()[0].split(" smoke")[0].split(" of "))
    assert wrong == answered < 50


@pytest.mark.parametrize(
    "answer", [status(503, "dial tcp 10.0.0.7:8080: i/o timeout"), status(429, "too many requests")]
)
def test_what_the_api_server_says_itself_is_no_answer_of_the_model(api: ApiServer, answer: tuple[int, Any]) -> None:
    api.answers["new-1"] = answer
    rules = minimal_policy(deployment={"analysis": {"minimum_requests": 20}})
    with SmokeTraffic(api.cluster(), REQUESTS, policy=rules, silent_seconds=1) as smoke:
        smoke.aim([pod("new-1")])
        eventually(lambda: len(smoke.notes()) == 2, "it came", 20, interval=0.02)
        assert smoke.failures() == ()
        assert answer[1]["message"] in smoke.notes()[1]
        eventually(smoke.failures, "it came", 20, interval=0.02)
        problem, remedy = smoke.failures()
        assert problem.startswith("no smoke request was answered within 1 s: ")
        assert "must reach port 8080 of the pods" in remedy
        api.answers["new-1"] = (200, RIGHT)
        eventually(lambda: smoke.enough, "it came", 20, interval=0.02)
        assert smoke.failures() == ()
        smoke.aim([pod("new-1"), pod("gone")])
        eventually(lambda: smoke.right > 25, "it came", 20, interval=0.02)
        assert (smoke.failures(), len(smoke.notes())) == ((), 1)


def test_a_request_through_the_api_server_tells_its_errors_from_the_pods(api: ApiServer) -> None:
    def send(answer: tuple[int, Any]) -> tuple[int, Any]:
        api.answers["new-1"] = answer
        return api.cluster().send("new-1", 8080, path="/v2", body={"a": [None]}, seconds=5)

    assert send((200, RIGHT)) == (200, RIGHT)
    assert api.sent[-1] == ("new-1", "8080", "/v2", {"a": [None]})
    assert send((500, {"error": "no"})) == (500, {"error": "no"})
    assert send((404, "not json")) == (404, "not json")
    assert send((200, b"\xff\xfe")) == (200, None)
    with pytest.raises(UnavailableError, match="answers 503: dial tcp"):
        send(status(503, "dial tcp: i/o timeout"))
    message = 'pods "x" is forbidden: User "y" cannot create resource "pods/proxy" in API group ""'
    with pytest.raises(CredentialsError, match="cannot create resource"):
        send(status(403, message))


def test_whether_one_may_send_is_asked_of_a_pod_that_is_not_there(api: ApiServer) -> None:
    api.cluster().check_may_send()
    (name, *_), *_ = api.sent
    api.answers[name] = status(403, f'pods "{name}" is forbidden: User "y" cannot create resource "pods/proxy"')
    with pytest.raises(CredentialsError, match="pods/proxy") as error:
        api.cluster().check_may_send()
    assert "modelway-deployer" in error.value.remedy


def test_an_api_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="API server cannot be reached"):
        ApiServer("http://127.0.0.1:1").cluster().send("a", 8080, path="/", body={}, seconds=1)


@pytest.mark.parametrize(
    ("minimum", "pause", "analysis", "minimum_in_force", "rate"),
    [
        (50, 30, {}, 50, 10.0),  # 20 + 4 * 10 + 30 seconds, less the first 20
        (525, 30, {}, 525, 15.0),
        (700, 30, {}, 700, 20.0),
        (5000, 30, {}, 700, 20.0),
        (5000, 460, {}, 5000, 20.0),
        (30, 1, {"count": 2, "initial_delay_seconds": 7}, 30, 15.0),  # half of 8 seconds
        (30, 1, {"count": 1, "initial_delay_seconds": 0}, 10, 20.0),  # the one second
    ],
)
def test_as_many_requests_are_sent_as_the_analysis_asks_for_and_no_more_are_asked_for_than_can_be_sent(
    minimum: int, pause: int, analysis: dict[str, int], minimum_in_force: int, rate: float
) -> None:
    steps = [{"weight": 20, "pause_seconds": pause}]
    policy = minimal_policy(deployment={"steps": steps, "analysis": {"minimum_requests": minimum, **analysis}})
    rules = smoke_policy(policy)
    assert rules.deployment.analysis.minimum_requests == minimum_in_force
    assert (rules is policy) == (minimum == minimum_in_force)
    assert requests_per_second(rules) == pytest.approx(rate)
    assert rules.model_copy(update={"deployment": policy.deployment}) == policy


def test_the_error_of_a_pod_that_is_not_there_is_for_people(api: ApiServer) -> None:
    with pytest.raises(ModelwayError, match="gone does not exist"):
        api.cluster().send("gone", 8080, path="/", body={}, seconds=1)
