"""Versions go live, or are undone by themselves, under steady traffic: real images, real pods, real measurements."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from kube import eventually, kubectl

from modelway.components.core.errors import NotFoundError
from modelway.components.deploy.targets.annotations import RUN, UNDONE_RUN, UNDONE_VERSION, VERSION
from modelway.pipelines.cli.promote import promotion_run

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

COMPARED = {"compare_with_stable": {"error_rate": 0.02, "latency_ratio": 20}}  # a busy machine is not the version's


def _last_entry(place: Any, version: str) -> Any:
    """The entry that ended the latest promotion of a version."""
    log = place.log()
    (begun, *_) = [entry for entry in reversed(log) if (entry.event, entry.version) == ("promotion.begun", version)]
    entries = [entry for entry in log if entry.details.get("promotion") == begun.sha256()]
    (last_entry,) = [entry for entry in entries if entry.event not in {"deployed", "undoing"}]
    return last_entry


@pytest.mark.parametrize(("strategy", "analysis"), [("canary", {}), ("blue-green", {}), ("rolling", COMPARED)])
def test_a_good_version_takes_over_without_a_failed_request(
    place: Any, stable: str, good: str, strategy: str, analysis: dict[str, Any]
) -> None:
    with ExitStack() as flowing:
        traffic = flowing.enter_context(place.traffic().flowing())
        if strategy == "blue-green":  # what the new version is judged on before the switch
            flowing.enter_context(place.traffic("loans-preview").flowing())
        result = place.deploy(good, strategy=strategy, analysis=analysis)
        eventually(lambda: traffic.answers[-1].version == good, "the new version answers")
    assert (result.status, result.replaced_version) == ("promoted", stable), result.reasons
    assert traffic.failed == []
    assert {answer.version for answer in traffic.answers} == {stable, good}
    eventually(place.whole, "the new version serves alone", 60)
    assert place.image() == result.image
    assert place.holder() == good
    assert (_last_entry(place, good).event, _last_entry(place, good).actor) == ("promoted", "ada@example.org")


@pytest.mark.parametrize(
    ("fault", "strategy", "says"),
    [
        ("fails", "canary", "error-rate"),
        ("slow", "canary", "p95 latency"),
        ("drifts", "canary", "drift"),
        ("crashes", "canary", "CrashLoopBackOff"),
        ("idles", "canary", "minimum_requests"),
        ("fails", "rolling", "error-rate"),
        ("fails", "blue-green", "error-rate"),
        ("idles", "blue-green", "minimum_requests"),
    ],
)
def test_a_bad_version_is_undone_by_itself(
    place: Any, releases: Any, stable: str, good: str, fault: str, strategy: str, says: str
) -> None:
    bad = good if fault in {"drifts", "idles"} else releases[fault]
    before, hash_before = place.image(), place.rollout()["status"]["stableRS"]
    with ExitStack() as flowing:
        # Nothing but the stable version's pods are asked where the new one is to get no traffic.
        service = place.service_of(hash_before) if fault == "idles" else "loans"
        traffic = flowing.enter_context(place.traffic(service, drifted=fault == "drifts").flowing())
        if (fault, strategy) == ("fails", "blue-green"):
            flowing.enter_context(place.traffic("loans-preview").flowing())
        result = place.deploy(bad, strategy=strategy)
        eventually(place.whole, "the stable version serves alone", 60)
        whole_at = time.monotonic()
        eventually(lambda: len(traffic.since(whole_at)) > 30, "more is asked")
    assert (result.status, result.restored_image) == ("undone", before), result.reasons
    assert says in " ".join(result.reasons)
    assert {answer.version for answer in traffic.since(whole_at)} == {stable}
    # Every request was answered, the stable version failed none, and it was never gone.
    expected = {500} if fault == "fails" and strategy != "blue-green" else set()
    assert [answer for answer in traffic.failed if answer.status not in expected] == []
    assert place.failures_of(hash_before) == 0
    assert traffic.longest_gap(stable) < 3
    assert place.image() == before
    assert place.rollout()["status"]["stableRS"] == hash_before
    assert place.holder() == stable
    annotations = place.rollout()["metadata"]["annotations"]
    assert (annotations[VERSION], annotations[UNDONE_VERSION]) == (stable, bad)
    assert annotations[RUN] != annotations[UNDONE_RUN]
    assert _last_entry(place, bad).event == "undone"
    assert says in _last_entry(place, bad).details["reason"]


@pytest.mark.parametrize(
    ("fault", "strategy", "says"),
    [
        ("errs", "canary", r"error-rate is 100 % over \d+ requests; the policy allows 2 % "),
        ("errs", "blue-green", r"error-rate is 100 % over \d+ requests; the policy allows 2 % "),
        ("slow", "rolling", r"p95 latency is [\d,.]+ ms over \d+ requests; the policy allows 250 ms "),
    ],
)
def test_what_certainly_fails_is_undone_long_before_there_are_enough_requests(
    place: Any, releases: Any, stable: str, fault: str, strategy: str, says: str
) -> None:
    """The pods would need minutes for so many requests, and the analysis as long to ask for them."""
    before, requests = place.image(), 3000
    patient = {"minimum_requests": requests, "count": 90, "interval_seconds": 2}
    with ExitStack() as flowing:
        traffic = flowing.enter_context(place.traffic().flowing())
        if strategy == "blue-green":
            flowing.enter_context(place.traffic("loans-preview").flowing())
        result = place.deploy(releases[fault], strategy=strategy, analysis=patient, timeout_seconds=300)
        eventually(place.whole, "the stable version serves alone", 60)
        whole_at = time.monotonic()
        eventually(lambda: len(traffic.since(whole_at)) > 30, "more is asked")
    assert (result.status, result.restored_image) == ("undone", before), result.reasons
    (reason,) = [reason for reason in result.reasons if re.match(says, reason)]
    (answered,) = re.findall(r" over (\d+) requests", reason)
    assert int(answered) < requests / 10
    assert result.seconds < 75
    assert {answer.version for answer in traffic.since(whole_at)} == {stable}


@pytest.mark.usefixtures("stable")
def test_a_crash_loop_is_not_waited_for(place: Any, releases: Any) -> None:
    before = place.image()
    with place.traffic().flowing() as traffic:
        result = place.deploy(releases["crashes"], progress_deadline_seconds=120)
        eventually(place.whole, "the stable version serves alone", 60)
    assert (result.status, result.restored_image) == ("undone", before), result.reasons
    assert "CrashLoopBackOff: Error with exit status 132" in " ".join(result.reasons)
    assert "this model was built for another processor" in " ".join(result.reasons)
    assert result.seconds < 90
    assert traffic.failed == []


def test_pods_killed_under_load_lose_nothing(place: Any, stable: str) -> None:
    pods = place.pods_of(place.rollout()["status"]["stableRS"])
    first, second, *_ = (pod["metadata"]["name"] for pod in pods)
    with place.traffic().flowing() as traffic:
        for name in (first, second):
            kubectl("-n", place.namespace, "delete", "pod", name, "--wait=false")
            eventually(lambda name=name: name not in {pod["metadata"]["name"] for pod in place.pods()}, "it is going")
            eventually(place.whole, "another took its place", 60)
    assert len(traffic.answers) > 50
    assert traffic.failed == []
    assert {answer.version for answer in traffic.answers} == {stable}


DEPLOY = """
import sys
from modelway.components.core.config.policy import Policy
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.stage import deploy
store, number, policy = sys.argv[1:]
version = RegisteredModel("loans", store, Tracking.from_environment()).version(number)
deploy(version, "staging", run="dies", actor="ada@example.org", policy=Policy.parse(policy))
"""


def test_a_task_that_dies_midway_is_taken_up_by_running_it_again(place: Any, stable: str, good: str) -> None:
    command = [sys.executable, "-c", DEPLOY, place.store, good, place.policy().canonical()]
    with place.traffic().flowing() as traffic:
        process = subprocess.Popen(
            command, env={**os.environ, "KUBECONFIG": str(place.deployer)}, stdout=subprocess.DEVNULL
        )
        try:
            eventually(lambda: place.image_version() == good, "the Rollout is asked for it", 60)
        finally:
            process.send_signal(signal.SIGKILL)
            assert process.wait(timeout=20) == -signal.SIGKILL
        assert place.holder() == stable
        result = place.deploy(good, run="dies")
        again = place.deploy(good, run="dies")
    assert (result.status, again.status) == ("promoted", "promoted")
    assert traffic.failed == []
    assert place.holder() == good
    events = [entry.event for entry in place.log() if entry.details.get("run") == "dies"]
    assert events.count("promotion.begun") == 1
    assert [entry.event for entry in place.log()][-1] == "promoted"


def test_the_way_back_is_one_call(place: Any, stable: str, good: str) -> None:
    before = place.image()
    with place.traffic().flowing() as traffic:
        assert place.deploy(good).status == "promoted"
        result = place.roll_back()
        eventually(place.whole, "the version before serves alone", 60)
    assert (result.status, result.version, result.image) == ("rolled-back", stable, before)
    assert (result.replaced_version, place.rollout()["metadata"]["annotations"][VERSION]) == (good, stable)
    assert traffic.failed == []
    assert (place.image(), place.holder()) == (before, stable)
    released = place.get("releasedimages", "modelway")["spec"]["digests"]
    assert set(released) == {f"loans.{stable}", f"loans.{good}"}
    last = place.log()[-1]
    assert (last.event, last.actor, last.details["reason"]) == (
        "rolled-back",
        "bob@example.org",
        "complaints from the branches",
    )
    with pytest.raises(NotFoundError, match=f"version {good} was rolled back from") as error:
        place.roll_back()
    assert "--to" in error.value.remedy


def test_a_rollback_amid_a_promotion_ends_it_and_the_same_person_may_promote_again(
    place: Any, stable: str, good: str
) -> None:
    def promote() -> Any:
        version = place.model.version(good)
        return place.deploy(good, run=promotion_run(version, "staging", by="ada@example.org"))

    with ThreadPoolExecutor() as pool, place.traffic().flowing() as traffic:
        promotion = pool.submit(promote)
        eventually(lambda: place.serving()[good], "the new version serves beside the stable one", 60)
        result = place.roll_back(to=stable)
        undone = promotion.result()
        assert (result.status, result.version) == ("rolled-back", stable), result.reasons
        assert undone.status == "undone"
        assert "taken over" in undone.reasons[0]
        place.assert_as_recorded()
        again = promote()
    assert (again.status, traffic.failed) == ("promoted", [])
