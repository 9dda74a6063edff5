"""A task that is killed while its version rolls out: the cluster goes on, and its word becomes the record's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import eventually
from rollout_releases import ADA, PROJECT

from modelway.pipelines.cli.main import main

pytestmark = [pytest.mark.cluster, pytest.mark.docker, pytest.mark.filterwarnings("ignore:Unverified HTTPS request")]

BOB = "bob@example.org"
DEPLOY = """
import sys
from modelway.components.core.config.policy import Policy
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.stage import deploy
store, number, run, policy = sys.argv[1:]
version = RegisteredModel("loans", store, Tracking.from_environment()).version(number)
deploy(version, "staging", run=run, actor="ada@example.org", policy=Policy.parse(policy))
"""
Command = Callable[..., tuple[int, Any]]


@pytest.fixture
def command(place: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A command of Bob's, with the deployer's account and a project of his own; returns exit code and answer."""
    columns = {"income": {"type": "number"}, "age": {"type": "number"}, "region": {"type": "string"}}
    texts = {"project": PROJECT.canonical(), "policy": place.policy().canonical()}
    texts["contract"] = yaml.safe_dump({"columns": {**columns, "late": {"type": "integer"}}})
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    def call(*arguments: str, as_json: bool = True) -> tuple[int, Any]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setenv("KUBECONFIG", str(place.deployer))
            patch.setenv("MODELWAY_USER", BOB)
            patch.setenv("COLUMNS", "200")
            patch.setattr(sys, "argv", ["modelway", *arguments, *(["--json"] if as_json else [])])
            code: Any = 0
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        output = capsys.readouterr().out
        return int(code), json.loads(output) if as_json else output

    return call


def _die_while_deploying(place: Any, version: str, run: str) -> None:
    """Starts a deployment, and kills its task once the cluster is set to the version and the log says so."""
    arguments = [sys.executable, "-c", DEPLOY, place.store, version, run, place.policy().canonical()]
    process = subprocess.Popen(
        arguments, env={**os.environ, "KUBECONFIG": str(place.deployer)}, stdout=subprocess.DEVNULL
    )
    try:
        eventually(lambda: "deployed" in _events(place, run), "the Rollout is set to it", 60)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=20) == -signal.SIGKILL


def _events(place: Any, run: str) -> list[str]:
    return [entry.event for entry in place.log() if entry.details.get("run") == run]


def _ready_versions(place: Any) -> list[str]:
    """The version of each pod that is not going away."""
    return [pod["metadata"]["annotations"]["modelway.io/version"] for pod in place.pods()]


def _staging(answer: Any) -> Any:
    (row,) = [row for row in answer if row["environment"] == "staging" and row["until"] is None]
    return row


def test_what_the_cluster_undid_is_told_and_taken_over(
    place: Any, releases: Any, stable: str, good: str, command: Command
) -> None:
    bad, run = releases["fails"], "dies-bad"
    with place.traffic().flowing() as traffic:
        _die_while_deploying(place, bad, run)
        eventually(lambda: place.rollout()["status"].get("abort"), "the cluster's analysis undoes it", 120)
        eventually(lambda: _ready_versions(place) == [stable, stable], "no pod of it is left", 60)

        code, answer = command("history")
        row = _staging(answer)
        assert (code, row["version"], row["event"]) == (0, bad, "deployed")
        assert row["serving"]["state"] == "undone"
        assert row["serving"]["cluster"]["ready"] == {stable: 2}
        sentence = row["serving"]["sentence"]
        assert f"the record says version {bad} (run {run} of {ADA}, begun " in sentence
        assert "the cluster has undone it: error-rate is " in sentence
        assert "the policy allows 2 % (deployment.analysis.error_rate)" in sentence
        assert f"2 of 2 ready pods serve version {stable}" in sentence
        assert sentence in command("history", as_json=False)[1]

        code, refused = command("promote", good, "--to", "staging", "--yes")
        assert (code, refused.get("verdict")) == (1, "refused"), refused
        assert f"staging is locked by the promotion of version {bad}" in refused["reasons"][0]
        assert "--take-over REASON" in refused["reasons"][0]

        reason = "its pod was evicted"
        code, taken = command("promote", good, "--to", "staging", "--yes", "--take-over", reason)
        assert (code, taken.get("verdict"), taken.get("replaced")) == (0, "promoted", stable), taken
        eventually(lambda: traffic.answers[-1].version == good, "the good version answers")
    assert [answer for answer in traffic.failed if (answer.version, answer.status) != ("", 500)] == []
    assert {answer.version for answer in traffic.answers} <= {stable, bad, good, ""}
    eventually(place.whole, "the good version serves alone", 60)
    assert place.holder() == good
    assert _events(place, run) == ["promotion.begun", "deployed", "undone"]
    end = next(entry for entry in place.log() if (entry.event, entry.details.get("run")) == ("undone", run))
    assert (end.actor, end.version, end.details["restored"]) == (BOB, bad, stable)
    assert (end.details["told_by"], end.details["reason"][:14]) == ("the cluster", "error-rate is ")
    begun = next(entry for entry in reversed(place.log()) if entry.event == "promotion.begun")
    assert (begun.actor, begun.details["reason"]) == (BOB, reason)
    assert begun.details["took_over"] == end.details["promotion"]
    served = _staging(command("history")[1])
    assert (served["version"], served["serving"]["state"]) == (good, "same")
    assert set(served["serving"]["cluster"]["ready"]) == {good}


def test_the_same_run_ends_with_what_the_cluster_measured(place: Any, releases: Any, stable: str) -> None:
    bad, run = releases["fails"], "dies-and-resumes"
    before = place.image()
    with place.traffic().flowing() as traffic:
        _die_while_deploying(place, bad, run)
        eventually(lambda: place.rollout()["status"].get("abort"), "the cluster's analysis undoes it", 120)
        result = place.deploy(bad, run=run)
    assert (result.status, result.restored_image) == ("undone", before)
    assert result.reasons[0].startswith("error-rate is ")
    assert [answer for answer in traffic.failed if answer.status != 500] == []
    eventually(place.whole, "the stable version serves alone", 60)
    assert (place.image(), place.holder()) == (before, stable)


def test_what_the_cluster_finished_is_told_and_replaced(place: Any, stable: str, good: str, command: Command) -> None:
    run = "dies-good"
    with place.traffic().flowing() as traffic:
        _die_while_deploying(place, good, run)
        eventually(place.whole, "the cluster finishes the rollout", 120)
        assert place.holder() == stable
        row = _staging(command("history")[1])
        assert (row["version"], row["serving"]["state"]) == (good, "changing")
        assert (
            f"the cluster has finished its rollout: 2 of 2 ready pods serve version {good}"
            in row["serving"]["sentence"]
        )

        code, back = command("promote", stable, "--to", "staging", "--yes", "--take-over", "its node is gone")
        assert (code, back.get("verdict"), back.get("replaced")) == (0, "promoted", good), back
    assert traffic.failed == []
    assert place.holder() == stable
    assert _events(place, run) == ["promotion.begun", "deployed", "promoted"]
    history = [row for row in command("history")[1] if row["environment"] == "staging"]
    assert [row["version"] for row in history[:2]] == [stable, good]
    assert history[0]["serving"]["state"] == "same"


def test_a_rollback_after_a_task_died_records_what_the_cluster_undid(
    place: Any, releases: Any, stable: str, command: Command
) -> None:
    bad, run = releases["fails"], "dies-and-is-rolled-back"
    before = place.image()
    with place.traffic().flowing() as traffic:
        _die_while_deploying(place, bad, run)
        eventually(lambda: place.rollout()["status"].get("abort"), "the cluster's analysis undoes it", 120)
        code, back = command("rollback", "staging", "-m", "the task is gone")
        assert (code, back.get("verdict"), back.get("version")) == (0, "rolled-back", stable), back
        eventually(place.whole, "the stable version serves alone", 60)
    assert [answer for answer in traffic.failed if answer.status != 500] == []
    assert (place.image(), place.holder()) == (before, stable)
    assert _events(place, run) == ["promotion.begun", "deployed", "undone"]
    end = next(entry for entry in place.log() if (entry.event, entry.details.get("run")) == ("undone", run))
    assert end.details["reason"].startswith("error-rate is ")
    row = _staging(command("history")[1])
    assert (row["version"], row["serving"]["state"]) == (stable, "same")
