"""What is said of a namespace's quotas when a project is compiled is what the cluster then does."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube import kubectl, run_kubectl
from small_projects import write_small_project

from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.pipelines.cluster_settings import TaskSettings
from modelway.pipelines.compile import compile_spec
from modelway.pipelines.compile_checks.project import Problem
from modelway.pipelines.compile_checks.quota import check_quota
from modelway.pipelines.project.workspace import Workspace
from modelway.pipelines.release import release_pipeline

pytestmark = pytest.mark.cluster
Check = Callable[[str], list[Problem]]
ROOM = {"requests.cpu": "8", "requests.memory": "16Gi", "limits.cpu": "16", "limits.memory": "32Gi", "pods": "20"}
DEFAULTS = {"default": {"cpu": "500m", "memory": "256Mi"}, "defaultRequest": {"cpu": "10m", "memory": "32Mi"}}
RESOURCES = {"train_model": {"memory": "6Gi", "cpu": 2, "gpu": {"count": 2}, "node_selector": {"pool": "gpu"}}}


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """What is said of a project that sets what training is given, by the namespace."""
    folder = write_small_project(tmp_path_factory.mktemp("quota"))
    with (folder / "project.yaml").open("a", encoding="utf-8") as file:
        file.write(yaml.safe_dump({"resources": RESOURCES}))
    workspace = Workspace.load(folder)
    specification = compile_spec(release_pipeline("registered", TaskSettings.of(workspace.project))).specification
    return lambda namespace: check_quota(specification, workspace, namespace=namespace)


def has_quota(namespace: str, hard: Mapping[str, str], **spec: Any) -> None:
    """Gives a namespace a quota, and waits until the cluster counts by it."""
    content = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {"hard": dict(hard), **spec},
    }
    kubectl("apply", "-f", "-", content=content)
    for _ in range(100):
        if (
            json.loads(kubectl("-n", namespace, "get", "resourcequota", "team", "-o", "json"))
            .get("status", {})
            .get("used")
        ):
            return
        time.sleep(0.1)
    pytest.fail("the cluster does not count by the quota")


def has_limit_range(namespace: str, entry: Mapping[str, Any]) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {"limits": [{"type": "Container", **entry}]},
    }
    kubectl("apply", "-f", "-", content=content)


def start(namespace: str, stage: str, *, fails: bool = False, **resources: Any) -> str:
    """Makes a pod that asks for what a stage's does by default, or for this; it is never scheduled."""
    if not resources:
        stage_resources = TaskSettings().resources_for(stage)
        assert stage_resources.cpu is not None
        assert stage_resources.memory is not None
        resources = {
            "requests": {"cpu": stage_resources.cpu.request, "memory": stage_resources.memory.request},
            "limits": {"cpu": stage_resources.cpu.limit, "memory": stage_resources.memory.limit},
        }
    content = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": stage.replace("_", "-"), "namespace": namespace},
        "spec": {
            "nodeSelector": {"modelway-test": "nowhere"},
            "containers": [{"name": "main", "image": "stand-in:1", "resources": resources}],
        },
    }
    process = run_kubectl("create", "-f", "-", content=content, check=not fails)
    assert (process.returncode != 0) is fails
    return process.stderr if fails else process.stdout


def of(problems: list[Problem], severity: str) -> list[tuple[str, str | None, str]]:
    """The problems of a severity: the message, the key, and the line's text."""
    entries = []
    for problem in problems:
        if problem.severity == severity:
            error = problem.error
            text = ""
            if error.file is not None and error.line is not None:
                text = Path(error.file).read_text(encoding="utf-8").splitlines()[error.line - 1].strip()
            entries.append((error.message, error.key, text))
    return entries


def test_a_namespace_without_quotas_has_room(namespace: str, check: Check) -> None:
    assert check(namespace) == []


def test_a_quota_that_suffices(namespace: str, check: Check) -> None:
    has_limit_range(namespace, DEFAULTS)
    has_quota(namespace, {**ROOM, "requests.nvidia.com/gpu": "2"})
    assert [problem.error.message for problem in check(namespace)] == []
    for stage in ("evaluate_model", "probe_model"):
        start(namespace, stage)


def test_a_task_that_alone_passes_a_quota(namespace: str, check: Check) -> None:
    has_limit_range(namespace, DEFAULTS)
    has_quota(namespace, {"limits.memory": "5Gi", "requests.nvidia.com/gpu": "1", "cpu": "20"})
    errors = of(check(namespace), "error")
    assert ("train_model asks for 6Gi of limits.memory", "resources.train_model.memory", "memory: 6Gi") in [
        (message.partition(" and the ")[0], key, line) for message, key, line in errors
    ]
    assert [message for message, _, _ in errors if "allows 5Gi in all: its pod stays pending for ever" in message]
    by_default = [(message, key) for message, key, _ in errors if message.startswith("evaluate_model")]
    assert by_default == [
        (
            f"evaluate_model asks for 8Gi of limits.memory, its default, and the ResourceQuota team of {namespace} "
            "allows 5Gi in all: its pod stays pending for ever",
            None,
        )
    ]
    assert [key for message, key, _ in errors if "2 of requests.nvidia.com/gpu" in message] == [
        "resources.train_model.gpu"
    ]
    assert len(errors) == 3
    assert "exceeded quota: team" in start(namespace, "evaluate_model", fails=True)


def test_tasks_that_wait_for_each_other_and_for_others(namespace: str, check: Check) -> None:
    has_limit_range(namespace, DEFAULTS)
    has_quota(namespace, {"limits.memory": "9Gi", "pods": "2"})
    problems = check(namespace)
    assert of(problems, "error") == []
    assert [message for message, _, _ in of(problems, "warning")] == [
        f"evaluate_model and probe_model ask for 12Gi of limits.memory at the same time, and the ResourceQuota team of "
        f"{namespace} allows 9Gi: they wait for each other"
    ]
    start(namespace, "evaluate_model")
    assert "exceeded quota: team" in start(namespace, "probe_model", fails=True)
    for _ in range(100):
        messages = [message for message, _, _ in of(check(namespace), "warning")]
        if any(message.endswith("allows 2, of which 1 are in use now") for message in messages):
            break
        time.sleep(0.1)
    else:
        pytest.fail(f"it is not said what is in use: {messages}")
    assert of(check(namespace), "error") == []


def test_containers_that_say_nothing_of_what_is_counted(namespace: str, check: Check) -> None:
    has_quota(namespace, {"limits.memory": "64Gi"})
    problems = check(namespace)
    assert [message for message, _, _ in of(problems, "warning")] == [
        f"the ResourceQuota team of {namespace} counts limits.memory, and Argo's own containers request none unless "
        "its controller is configured to: without a default, every pod of a run is refused"
    ]
    assert "must specify limits.memory" in start(namespace, "other", fails=True, requests={"cpu": "10m"})
    has_limit_range(namespace, DEFAULTS)
    assert check(namespace) == []
    start(namespace, "other", requests={"cpu": "10m"})


@pytest.mark.parametrize(
    ("entry", "says", "key", "line"),
    [
        ({"max": {"memory": "7Gi"}}, "evaluate_model asks for 8Gi of limits.memory, its default, and", None, ""),
        ({"max": {"cpu": "4", "memory": "8Gi"}}, "", None, ""),
        (
            {"min": {"cpu": "100m"}, "max": {"cpu": "1500m"}},
            "train_model asks for 2 of limits.cpu and a LimitRange allows a container at most 1500m: its pod",
            "resources.train_model.cpu",
            "cpu: 2",
        ),
        (
            {"min": {"memory": "300Mi"}},
            "enforce_gate asks for 256Mi of requests.memory, its default, and a LimitRange allows a container at least",
            None,
            "",
        ),
    ],
)
def test_a_limit_range(
    entry: dict[str, Any], says: str, key: str | None, line: str, namespace: str, check: Check
) -> None:
    has_limit_range(namespace, entry)
    errors = of(check(namespace), "error")
    if not says:
        assert errors == []
        start(namespace, "evaluate_model")
        return
    matching = [(where, text) for message, where, text in errors if message.startswith(says)]
    assert matching == [(key, line)]
    stage = says.partition(" ")[0]
    if key is None:
        assert "forbidden" in start(namespace, stage, fails=True)


def test_a_quota_of_other_pods_does_not_matter(namespace: str, check: Check) -> None:
    has_quota(namespace, {"pods": "0"}, scopes=["BestEffort"])
    assert check(namespace) == []
    start(namespace, "train_model")


def test_an_account_that_may_not_read_them(
    namespace: str, check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("-n", namespace, "create", "serviceaccount", "visitor")
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": kubectl("-n", namespace, "create", "token", "visitor").strip()}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    ((message, _, _),) = of(check(namespace), "warning")
    assert f"whether the tasks fit the quotas of {namespace} is not known: your account may not read this" in message
    config["users"][0]["user"] = {"token": "of nobody"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
    with pytest.raises(CredentialsError, match="does not accept the credentials of the context"):
        check(namespace)


@pytest.mark.parametrize(
    ("kubeconfig", "namespace", "says"),
    [(None, "modelway-test-nowhere", "has no namespace"), ("/nowhere", "kubeflow", "no cluster is configured")],
)
def test_a_cluster_or_namespace_that_is_not_there(
    kubeconfig: str | None, namespace: str, says: str, check: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kubeconfig is not None:
        monkeypatch.setenv("KUBECONFIG", kubeconfig)
    with pytest.raises(ModelwayError, match=says):
        check(namespace)


def test_no_cluster_is_an_error(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelwayError, match="no cluster is named") as refused:
        check("kubeflow")
    assert refused.value.key == "KUBECONFIG"
