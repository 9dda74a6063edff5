"""The commands of docs/live.md take a project from nothing to a version that serves and back, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import delete_policies, install_kinds, own_objects
from kube import eventually, kubectl, kubectl_json
from shared_node import whole_node
from small_projects import edit_yaml, write_small_project

pytestmark = [pytest.mark.cluster, pytest.mark.docker]

ROOT = Path(__file__).resolve().parents[3]
ADA = "ada@example.org"
POLICY = {
    "environments.staging.traffic": "smoke",
    "deployment.steps": [{"weight": 50, "pause_seconds": 3}],
    "deployment.analysis": {"interval_seconds": 2, "count": 3, "initial_delay_seconds": 3, "error_rate": 0.02},
    "deployment.progress_deadline_seconds": 30,
    "serving.sla": {"p95_ms": 2000},
}


@pytest.fixture(scope="module", autouse=True)
def _the_node() -> None:
    """The node is taken for the promotions only: what comes before has no pods."""


def documented_commands() -> list[str]:
    """The commands of the section, in order, each in one line."""
    text = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    section = text.partition("## Before the first promotion\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [line for line in block.splitlines() if line and not line.startswith("#")]


@dataclass
class Shell:
    """A shell that runs commands one after the other, as a person does, and keeps what they export."""

    folder: Path
    variables: dict[str, str]

    def __enter__(self) -> Shell:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.folder,
            env=self.variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(timeout=20)

    def __call__(self, command: str, status: int = 0) -> str:
        """Runs a command, which must exit with a status; returns what it prints."""
        stdin, stdout, mark = self._process.stdin, self._process.stdout, f"ended-{uuid.uuid4().hex}"
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{command} </dev/null\necho {mark} $?\n")
        stdin.flush()
        lines: list[str] = []
        for line in stdout:
            if line.startswith(mark):
                break
            lines.append(line)
        output = "".join(lines)
        assert line == f"{mark} {status}\n", f"$ {command}\n{output}{line}"
        return output


@contextmanager
def environments(folder: Path) -> Iterator[tuple[str, Path]]:
    """What `kubectl apply -k` of the repository applies, under names of its own: their prefix, and the file."""
    prefix = f"mw{uuid.uuid4().hex[:8]}"
    text = kubectl("kustomize", str(ROOT))
    for ours, theirs in {
        "modelway-staging": f"{prefix}-staging",
        "modelway-production": f"{prefix}-production",
        "namespace: kubeflow": f"namespace: {prefix}-pipelines",
    }.items():
        assert ours in text
        text = text.replace(ours, theirs)
    objects = own_objects(text, prefix)
    file = folder / "environments.yaml"
    file.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    kubectl("create", "namespace", f"{prefix}-pipelines")
    try:
        yield prefix, file
    finally:
        namespaces = [f"{prefix}-{name}" for name in ("pipelines", "staging", "production")]
        for namespace in namespaces:
            kubectl("-n", namespace, "delete", "pods", "--all", "--force", "--grace-period=0", check=False)
        kubectl("delete", "namespace", *namespaces, "--ignore-not-found", "--wait=false", check=False)
        delete_policies(objects)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = write_small_project(tmp_path)
    edit_yaml(folder / "policy.yaml", POLICY)
    return folder


def serving(namespace: str) -> set[str]:
    """The versions of the pods that are ready."""
    pods = kubectl_json("-n", namespace, "get", "pods", "-l", "app.kubernetes.io/name=visits")["items"]
    return {
        pod["metadata"]["annotations"]["modelway.io/version"]
        for pod in pods
        if "deletionTimestamp" not in pod["metadata"]
        and any((entry["type"], entry["status"]) == ("Ready", "True") for entry in pod["status"].get("conditions", ()))
    }


def test_the_commands_before_and_of_the_first_promotion(
    environ: dict[str, str],
    served_from: str,
    registry: Any,
    project: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    install_kinds()
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(kubectl("config", "view", "--minify", "--flatten", "--raw"), encoding="utf-8")
    with environments(tmp_path) as (prefix, file):
        staging, target = f"{prefix}-staging", f"{registry.host}/{prefix}/visits"
        edit_yaml(project / "policy.yaml", {"environments.staging.namespace": staging})
        places = {
            "s3://modelway/store": f"{environ['MODELWAY_STORE']}-{prefix}",
            "https://s3.example.com": f"http://{os.environ['MINIO_ENDPOINT']}",
            "ACCESS_KEY AWS": f"{os.environ['MINIO_ACCESS_KEY']} AWS",
            "=SECRET_KEY": f"={os.environ['MINIO_SECRET_KEY']}",
            "https://mlflow.example.com": environ["MLFLOW_TRACKING_URI"],
            "http://prometheus-server.monitoring:80": environ["MODELWAY_PROMETHEUS"],
            "registry.example.com/serving@sha256:DIGEST": served_from,
            "registry.example.com/claims": target,
            "kubectl apply -k ../modelway/manifests": f"kubectl apply -k {ROOT}/manifests",
            "kubectl apply -k ../modelway": f"kubectl apply -f {file}",
            "modelway-staging": staging,
            "-n kubeflow": f"-n {prefix}-pipelines",
        }
        commands = documented_commands()
        assert len(commands) > 20
        for name in places:
            assert any(name in command for command in commands), name
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        variables = {
            "PATH": path,
            "HOME": str(tmp_path),
            "KUBECONFIG": str(kubeconfig),
            "MODELWAY_USER": "ada@example.org",
        }
        outputs: dict[str, list[str]] = {}
        with Shell(project, variables) as shell:

            def run(documented: list[str]) -> None:
                for command in documented:
                    own = command
                    for name, value in places.items():
                        own = own.replace(name, value)
                    lacks = command == "modelway doctor" and command not in outputs  # what the policy names
                    outputs.setdefault(command, []).append(shell(own, 2 if lacks else 0))

            first = next(number for number, command in enumerate(commands) if command.startswith("modelway promote"))
            run(commands[:first])
            before, after = outputs["modelway doctor"]
            for lack in ("MODELWAY_SIGNING_KEY is not set", f"the cluster has no namespace {staging}"):
                assert lack in before
                assert lack not in after
            assert "all that is configured works" in after
            with whole_node(tmp_path_factory):
                run(commands[first:])
                eventually(lambda: serving(staging) == {"1"}, "version 1 serves alone", 60)
        (check,) = outputs["modelway promote development --to staging --check"]
        assert "it may be promoted" in check
        one, two = outputs["modelway promote development --to staging"]
        assert "promoted visits version 1 in staging" in one
        assert "promoted visits version 2 in staging" in two
        (back,) = next(texts for command, texts in outputs.items() if command.startswith("modelway rollback"))
        assert "rolling back staging from version 2 to version 1, the last version that served well" in back
        assert "rolled-back visits from version 2 to version 1 in staging" in back
        (log,) = outputs["modelway audit log"]
        assert re.search(r"rolled-back .* version 1  ada@example.org .*reason=complaints from Ulm .*replaced=2", log)
        rollout = kubectl_json("-n", staging, "get", "rollout", "visits")
        assert rollout["metadata"]["annotations"]["modelway.io/version"] == "1"
        rows = [line for line in outputs["modelway history"][0].splitlines() if line.startswith("staging")]
        assert [line.split()[1:3] for line in rows] == [["2", "serving"], ["1", "served"]]
