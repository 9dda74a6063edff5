"""The edge to Kubernetes: objects as plain data, and errors that name the verb, the account and the remedy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from kube import kubectl, temporary_namespace

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.deploy.cluster import Cluster
from modelway.pipelines.doctor.cluster_reader import ClusterReader

POD = {
    "metadata": {"name": "one", "labels": {"app": "one"}},
    "spec": {"containers": [{"name": "server", "image": "nowhere.example/one:1"}]},
}


def kubeconfig(path: Path, server: str) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": server}}],
        "users": [{"name": "a", "user": {"token": "nobody"}}],
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_cluster_that_is_away_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kubeconfig(tmp_path / "config", "http://127.0.0.1:1")
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(UnavailableError, match="API server cannot be reached"):
        Cluster.connect("modelway-staging").get("pods", "one")


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    with temporary_namespace() as name:
        yield name


@pytest.mark.cluster
def test_objects_are_made_found_changed_and_removed(namespace: str) -> None:
    cluster = Cluster.connect(namespace)
    assert cluster.get("pods", "one") is None
    cluster.delete("pods", "one")
    cluster.create("pods", POD)
    cluster.patch("pods", "one", operations=[{"op": "add", "path": "/metadata/annotations", "value": {"a": "b"}}])
    (pod,) = cluster.find("pods", "app=one")
    assert pod["metadata"]["annotations"] == {"a": "b"}
    assert cluster.find("pods", "app=two") == []
    assert cluster.log("one", "server", lines=3, previous=False) == []
    with pytest.raises(ModelwayError, match=r"rejects the change: pods \"one\" already exists"):
        cluster.create("pods", POD)
    with pytest.raises(ModelwayError, match="rejects the change"):
        cluster.patch("pods", "one", operations=[{"op": "test", "path": "/metadata/name", "value": "two"}])
    cluster.delete("pods", "one")


@pytest.mark.cluster
def test_what_is_not_there_names_how_it_is_made(namespace: str) -> None:
    cluster = Cluster.connect(namespace)
    with pytest.raises(ModelwayError, match=f"{namespace}/rollouts/loans does not exist") as error:
        cluster.patch("rollouts", "loans", operations=[{"op": "add", "path": "/spec/paused", "value": True}])
    assert "kubectl apply -k" in error.value.remedy
    with pytest.raises(ModelwayError, match="the cluster has no inferenceservices") as error:
        cluster.get("inferenceservices", "loans")
    assert "install KServe" in error.value.remedy


@pytest.mark.cluster
def test_a_refusal_names_the_account_the_verb_and_the_role(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("-n", namespace, "create", "serviceaccount", "nobody")
    config = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    token = kubectl("-n", namespace, "create", "token", "nobody").strip()
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "config").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    account = f"system:serviceaccount:{namespace}:nobody"
    with pytest.raises(CredentialsError, match=f'{account}" cannot get resource "rollouts"') as error:
        Cluster.connect(namespace).get("rollouts", "loans")
    assert f"bind {account} to the Role modelway-deployer" in error.value.remedy
    assert error.value.key is None


@pytest.mark.cluster
@pytest.mark.parametrize(
    "user", [{"token": "of-nobody"}, {"token": ""}, {}], ids=["a token that is none", "an empty token", "no token"]
)
def test_credentials_that_are_not_accepted_are_not_a_matter_of_rights(
    user: dict[str, str], namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", "json"))
    config["users"][0]["user"] = user
    context = config["current-context"]
    (tmp_path / "config").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    for call in (
        lambda: Cluster.connect(namespace).get("rollouts", "loans"),
        lambda: Cluster.connect(namespace).check_may_send(),
        lambda: cast(ClusterReader, ClusterReader.connect()).version(),
    ):
        with pytest.raises(
            CredentialsError, match=f"does not accept the credentials of the context '{context}'"
        ) as error:
            call()
        assert (error.value.key, error.value.file) == ("KUBECONFIG", str(tmp_path / "config"))
        assert "log in to the cluster again" in error.value.remedy
        assert "bind" not in error.value.remedy
        assert "of-nobody" not in str(error.value)
