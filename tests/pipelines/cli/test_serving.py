"""The history says whether the cluster serves what the record says; without a cluster it shows the record alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from audited_model import AuditedModel
from pod_proxy import ApiServer, listening, status
from serving_objects import add_aborted_rollout, add_analysis, add_pod, add_rollout, add_service
from user_files import minimal_policy

from modelway.components.core.audit.lock import acquire
from modelway.components.core.errors import SetupError
from modelway.components.core.surroundings import kubeconfig
from modelway.pipelines.cli import serving
from modelway.pipelines.cli.history import serving_periods
from modelway.pipelines.cli.serving import environment_services, print_services, with_services

POLICY = minimal_policy(environments={"staging": {"namespace": "models"}, "production": {"namespace": "models"}})


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A cluster that is configured, whose objects have the name of the model."""
    with listening() as server:
        _configure(monkeypatch, tmp_path, server.host)
        monkeypatch.setattr("modelway.components.deploy.objects.kubernetes_name", lambda _: "loans")
        yield server


@pytest.fixture
def without_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def _configure(monkeypatch: pytest.MonkeyPatch, folder: Path, host: str, user: Any = None) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "one", "user": "ada"}}],
        "clusters": [{"name": "one", "cluster": {"server": host}}],
        "users": [{"name": "ada", "user": user or {"token": "t"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(content), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))


def _four_serves(audited: AuditedModel) -> None:
    audited.say("promoted", "4", "staging")


def test_what_serves_by_the_record_and_by_the_cluster_is_one_line(
    audited: AuditedModel, api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    audited.say("registered", "1", "development")
    _four_serves(audited)
    add_rollout(api, "4", phase="Healthy")
    add_service(api)
    for name in ("a", "b", "c"):
        add_pod(api, name, "4")
    services = environment_services(audited.handle, POLICY)
    assert set(services) == {"staging"}, "nothing was deployed to the others"
    print_services(services)
    line = "same staging: version 4 serves by the record and by the cluster (3 of 3 ready pods)"
    assert capsys.readouterr().out.splitlines() == [line]
    rows = with_services(serving_periods(audited.handle), services)
    assert [(row["environment"], row["serving"] and row["serving"]["state"]) for row in rows] == [
        ("development", None),
        ("staging", "same"),
    ]
    assert json.loads(json.dumps(rows)) == rows


def test_what_the_cluster_undid_of_a_promotion_that_has_not_ended_is_told_with_the_way_out(
    audited: AuditedModel, api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    _four_serves(audited)
    about: Any = {"model": audited.model, "version": "5", "environment": "staging", "actor": "ada"}
    lock = acquire(audited.log, **about, run="run-5", lease=timedelta(hours=1))
    audited.say("deployed", "5", "staging", promotion=lock.id)
    add_aborted_rollout(api)
    add_analysis(api)
    services = environment_services(audited.handle, POLICY)
    print_services(services)
    line, remedy = capsys.readouterr().out.splitlines()
    assert line.startswith("undone staging: the record says version 5 (run run-5 of ada, begun ")
    assert line.endswith(
        "the cluster has undone it: error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate); "
        "2 of 2 ready pods serve version 4"
    )
    assert "--take-over REASON" in remedy
    rows = with_services(serving_periods(audited.handle), services)
    answers = {row["version"]: row.get("serving", "none") for row in rows}
    assert answers["4"] == "none", "what served before has no such key"
    assert answers["5"]["cluster"]["undone"] is True


@pytest.mark.usefixtures("api")
def test_an_environment_that_only_a_promotion_holds_is_told_of_too(audited: AuditedModel) -> None:
    about: Any = {"model": audited.model, "version": "5", "environment": "staging", "actor": "ada"}
    acquire(audited.log, **about, run="run-5", lease=timedelta(hours=1))
    (service,) = environment_services(audited.handle, POLICY).values()
    assert service is not None
    assert service.state == "changing"
    assert service.sentence.endswith("the cluster has no such object")


@pytest.mark.parametrize(
    ("refusals", "says"),
    [
        ({"pods": status(403, 'User "ada" cannot list resource "pods"')}, 'refuses access: User "ada" cannot list'),
        ({"rollouts": status(404, "the server could not find it")}, "the cluster has no rollouts"),
        ({"rollouts": status(500, "etcd is away")}, "answers 500: etcd is away"),
    ],
)
def test_what_the_cluster_refuses_is_said_and_the_record_is_shown(
    audited: AuditedModel, api: ApiServer, refusals: Any, says: str
) -> None:
    _four_serves(audited)
    add_rollout(api, "4", phase="Healthy")
    api.refusals |= refusals
    (service,) = environment_services(audited.handle, POLICY).values()
    assert service is not None
    assert (service.state, service.serving) == ("unknown", None)
    assert service.sentence.startswith("staging: the record alone is shown: ")
    assert says in service.sentence
    assert service.json()["cluster"] is None


def test_a_cluster_that_cannot_be_reached_is_said_within_seconds(
    audited: AuditedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _four_serves(audited)
    audited.say("promoted", "4", "production")
    _configure(monkeypatch, tmp_path, "http://192.0.2.1:6443")  # RFC 5737: nobody answers there
    monkeypatch.setattr(serving, "_CONNECT_SECONDS", 0.5)
    start = time.monotonic()
    services = environment_services(audited.handle, POLICY)
    assert time.monotonic() - start < 5
    for service in services.values():
        assert service is not None
        assert (service.state, "cannot be reached" in service.sentence) == ("unknown", True)


def test_a_plugin_that_hangs_is_not_waited_for(
    audited: AuditedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _four_serves(audited)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sleep", "args": ["9"]}
    user = {"exec": {**plugin, "interactiveMode": "Never"}}
    _configure(monkeypatch, tmp_path, "http://127.0.0.1:1", user)
    monkeypatch.setattr(serving, "_ALL_SECONDS", 0.5)
    (service,) = environment_services(audited.handle, POLICY).values()
    assert service is not None
    assert service.sentence.endswith("the cluster has not answered within 0 s")


def test_a_kubeconfig_that_is_none_is_said(
    audited: AuditedModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _four_serves(audited)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (service,) = environment_services(audited.handle, POLICY).values()
    assert service is not None
    assert "no cluster is configured" in service.sentence


@pytest.mark.usefixtures("without_cluster")
def test_without_a_cluster_the_record_alone_is_shown(audited: AuditedModel, capsys: pytest.CaptureFixture[str]) -> None:
    _four_serves(audited)
    services = environment_services(audited.handle, POLICY)
    assert services == {"staging": None}
    print_services(services)
    assert capsys.readouterr().out == "the record alone is shown: no cluster is configured (KUBECONFIG)\n"
    (row,) = with_services(serving_periods(audited.handle), services)
    assert row["serving"] is None


@pytest.mark.usefixtures("without_cluster")
def test_where_nothing_was_deployed_nothing_is_asked_and_nothing_said(
    audited: AuditedModel, capsys: pytest.CaptureFixture[str]
) -> None:
    audited.say("registered", "1", "development")
    assert environment_services(audited.handle, POLICY) == {}
    print_services({})
    assert capsys.readouterr().out == ""


WITHOUT = """
import sys
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.policy import Policy
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.cli.serving import environment_services

name, store, uri, policy = sys.argv[1:]
assert environment_services(RegisteredModel(name, store, Tracking(uri)), Policy.parse(policy)) == {"staging": None}
print([module for module in ("kubernetes", "modelway.components.deploy") if module in sys.modules])
"""


@pytest.mark.usefixtures("without_cluster")
def test_without_a_cluster_its_client_is_not_even_imported(audited: AuditedModel) -> None:
    _four_serves(audited)
    uri = audited.handle.tracking.uri
    arguments = [audited.model, audited.handle.store, uri, POLICY.canonical()]
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[]\n"


@pytest.mark.usefixtures("without_cluster")
def test_a_cluster_is_configured_by_a_variable_a_file_or_a_pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not kubeconfig.is_cluster_configured()
    assert kubeconfig.cluster_configuration() is None
    with pytest.raises(SetupError):
        kubeconfig.api_client(patient=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert kubeconfig.is_cluster_configured()
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    (tmp_path / ".kube").mkdir()
    (tmp_path / ".kube" / "config").touch()
    assert kubeconfig.is_cluster_configured()
    (tmp_path / ".kube" / "config").unlink()
    monkeypatch.setenv("KUBECONFIG", "nowhere")
    assert kubeconfig.is_cluster_configured()
