"""Versions go live, or are undone, where nobody asks anything: smoke requests are all the traffic that there is."""

from __future__ import annotations

from typing import Any

import pytest
from kube import eventually

from modelway.components.core.evidence.runs import DeploymentRecord
from modelway.components.deploy.stage import deploy_in_task

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]


@pytest.mark.parametrize("strategy", ["blue-green", "canary"])
def test_a_good_version_is_judged_by_the_analysis_and_promoted(
    place: Any, stable: str, good: str, capsys: pytest.CaptureFixture[str], strategy: str
) -> None:
    result = place.deploy(good, strategy=strategy, traffic="smoke")
    assert (result.status, result.replaced_version) == ("promoted", stable), result.reasons
    assert "smoke requests right; staging has no other traffic" in result.reasons[-1]
    output = capsys.readouterr().out
    for metric in (" requests, ", "error-rate 0 % (", "p95 latency ", " ms (", "drift "):
        assert metric in output
    assert int(place.log()[-1].details["smoke_requests"]) >= 15
    eventually(place.whole, "the new version serves alone", 60)
    assert place.holder() == good
    assert place.failures_of(place.rollout()["status"]["stableRS"]) == 0


def test_a_bad_version_is_undone_and_its_record_says_why(
    place: Any, releases: Any, stable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, hash_before = place.image(), place.rollout()["status"]["stableRS"]
    answered = place.requests_of(hash_before)
    monkeypatch.setenv("KUBECONFIG", str(place.deployer))
    about: dict[str, Any] = {"store": place.store, "model": "loans", "environment": "staging", "run": "smoked"}
    policy = place.policy(traffic="smoke").canonical()
    result = deploy_in_task(**about, version=releases["fails"], policy=policy, requested_by="ada@example.org")
    assert (result.status, result.restored_image) == ("undone", before), result.reasons
    wrong, log = result.reasons
    assert "smoke requests were answered wrong; row" in wrong
    assert "was answered with 500: the prediction failed" in wrong
    assert "the feature store does not answer" in log
    record = DeploymentRecord.read(place.store, "smoked")
    assert record is not None
    assert (record.verdict, record.restored, record.reasons) == ("undone", before, result.reasons)
    assert (record.version, record.sentence) == (releases["fails"], result.sentence())
    eventually(place.whole, "the stable version serves alone", 60)
    # The stable version was not asked anything, and serves on; a pod that made room for the canary is a new one.
    assert place.requests_of(hash_before) == {pod: answered.get(pod, 0) for pod in place.requests_of(hash_before)}
    assert (place.image(), place.holder()) == (before, stable)
