"""What the doctor finds on a real cluster, and that the commands that it names make it right."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_installation import install_kinds
from kube import kubectl
from private_tls import new_authority
from user_files import minimal_policy, minimal_project

from modelway.components.core.bundle.keys import new_keys
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.pipelines.doctor.admission import inspect_admission
from modelway.pipelines.doctor.cluster import inspect_cluster
from modelway.pipelines.doctor.cluster_reader import ClusterReader

pytestmark = pytest.mark.cluster


def about(namespace: str, subject: str, **changes: Any) -> Finding:
    findings = {finding.subject: finding for finding in inspect_cluster(minimal_policy(**changes), namespace)}
    return findings[subject]


def follow(finding: Finding, folder: Path) -> None:
    """Runs the command that a finding names."""
    command = finding.remedy.partition("    ")[0]
    subprocess.run(command, shell=True, check=True, cwd=folder, timeout=60, capture_output=True)  # noqa: S602


def admission(namespace: str, repository: str = "") -> Finding:
    reader = ClusterReader.connect()
    assert reader is not None
    return inspect_admission(reader, namespace, repository=repository)


def test_what_an_environment_admits(namespace: str) -> None:
    install_kinds()
    finding = admission(namespace)
    assert finding.status is Status.UNSET
    assert "mount any Secret" in finding.message
    kubectl("label", "namespace", namespace, "modelway.io/images=releases")
    for kind, plural in (("Admission", "admissions"), ("ReleasedImages", "releasedimages")):
        finding = admission(namespace)
        assert finding.status is Status.MISSING
        assert f"has no {kind} modelway, so that it admits no pods at all" in finding.message
        spec = {"registries": ["registry.example.com/models"]} if plural == "admissions" else {}
        obj = {"apiVersion": "modelway.io/v1", "kind": kind, "metadata": {"name": "modelway"}, "spec": spec}
        kubectl("-n", namespace, "create", "-f", "-", content=json.dumps(obj))
    assert admission(namespace).status is Status.OK
    assert admission(namespace, "registry.example.com/models/claims").status is Status.OK
    for repository in ("registry.example.com/models-too/claims", "registry.example.com.evil/models/claims"):
        finding = admission(namespace, repository)
        assert (finding.status, finding.key) == (Status.MISSING, "registries")
        assert repository in finding.message
    findings = inspect_cluster(minimal_policy(environments={"staging": {"namespace": namespace}}))
    assert f"admission in {namespace}" in {finding.subject for finding in findings}


def test_separate_accounts_have_a_secret_each(namespace: str, folder: Path) -> None:
    project = minimal_project(s3_accounts="separate")
    subject = "Secret modelway-s3-registrar"

    def findings() -> dict[str, Finding]:
        return {finding.subject: finding for finding in inspect_cluster(minimal_policy(), namespace, project=project)}

    before = findings()
    assert "Secret mlpipeline-minio-artifact" not in before
    for concern in ("runner", "registrar", "packager", "deployer"):
        assert before[f"Secret modelway-s3-{concern}"].status is Status.MISSING
    follow(before[subject], folder)
    assert findings()[subject].status is Status.OK


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that the commands name."""
    (tmp_path / "keys").mkdir()
    new_keys(tmp_path / "keys" / "signing.pem", tmp_path / "keys" / "verifying.pem")
    (tmp_path / "keys" / "encryption.recipient").write_text("age1", encoding="utf-8")
    (tmp_path / "keys" / "encryption.key").write_text("key", encoding="utf-8")
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "ca.pem").write_bytes(new_authority(tmp_path / "authority").certificate.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("subject", "status"),
    [
        ("Secret mlpipeline-minio-artifact", Status.MISSING),
        ("Secret modelway-signing-key", Status.UNSET),
        ("ConfigMap modelway-encryption-recipient", Status.UNSET),
        ("ConfigMap modelway-verifying-key", Status.UNSET),
        ("Secret modelway-registry", Status.UNSET),
    ],
)
def test_what_lacks_is_there_after_its_command(subject: str, status: Status, namespace: str, folder: Path) -> None:
    finding = about(namespace, subject)
    assert finding.status is status
    assert namespace in finding.message
    follow(finding, folder)
    assert about(namespace, subject).status is Status.OK


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("", Status.UNSET, "MODELWAY_PROMETHEUS is not set: rollouts that are started from here are judged by http"),
        (
            "http://nowhere.kubeflow:80",
            Status.MISSING,
            "PROMETHEUS, http://nowhere.kubeflow:80, names no Service",
        ),
        ("http://minio-service.kubeflow:9000", Status.OK, "leads to the Service minio-service in kubeflow"),
        ("http://10.0.0.1:9090", Status.UNKNOWN, "is outside of the cluster"),
    ],
)
def test_the_prometheus_that_judges_what_is_promoted_from_here(
    address: str, status: Status, message: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELWAY_PROMETHEUS", address)
    finding = about(namespace, "MODELWAY_PROMETHEUS")
    assert (finding.status, finding.key) == (status, "MODELWAY_PROMETHEUS")
    assert message in finding.message


def test_the_config_map_key_by_key(namespace: str, folder: Path) -> None:
    finding = about(namespace, "ConfigMap modelway")
    assert finding.status is Status.MISSING
    follow(finding, folder)
    findings = {finding.subject: finding for finding in inspect_cluster(minimal_policy(), namespace)}
    assert "ConfigMap modelway" not in findings
    assert findings["s3-endpoint"].status is Status.OK  # the development cluster's MinIO has the example's name
    assert findings["mlflow-tracking-uri"].status is Status.UNKNOWN  # there is no namespace mlflow here
    assert findings["prometheus"].status is Status.OK
    kubectl(
        "-n",
        namespace,
        "patch",
        "configmap",
        "modelway",
        "--type=json",
        "-p",
        '[{"op":"remove","path":"/data/s3-endpoint"}]',
    )
    finding = about(namespace, "ConfigMap modelway")
    assert finding.key == "s3-endpoint"
    follow(finding, folder)
    assert about(namespace, "s3-endpoint").status is Status.OK


@pytest.mark.parametrize(
    ("address", "status", "message"),
    [
        ("http://minio-service.kubeflow:9000", Status.OK, "leads to the Service minio-service in kubeflow"),
        ("http://minio-service.kubeflow.svc.cluster.local:9000", Status.OK, "minio-service"),
        ("minio-service.kubeflow:9000", Status.OK, "minio-service"),
        ("http://minio-service.kubeflow:9001", Status.MISSING, "names port 9001, and the Service"),
        ("http://seaweedfs.kubeflow:9000", Status.MISSING, "kubeflow has no seaweedfs"),
        ("http://nobody:9000", Status.UNREACHABLE, "leads to no ready pod"),
        ("https://s3.eu-central-1.amazonaws.com", Status.UNKNOWN, "is outside of the cluster"),
        ("http://minio:port", Status.MISSING, "is no address"),
    ],
)
def test_where_an_address_leads(address: str, status: Status, message: str, namespace: str) -> None:
    kubectl("-n", namespace, "create", "configmap", "modelway", f"--from-literal=s3-endpoint={address}")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "nobody", "namespace": namespace},
        "spec": {"selector": {"app": "nobody"}, "ports": [{"port": 9000}]},
    }
    kubectl("apply", "-f", "-", content=json.dumps(service))
    finding = about(namespace, "s3-endpoint")
    assert finding.status is status
    assert message in finding.message


def test_private_authorities_in_the_config_map(namespace: str, folder: Path) -> None:
    kubectl("-n", namespace, "create", "configmap", "modelway", "--from-literal=ca=nonsense", "--from-literal=x=y")
    finding = about(namespace, "ca")
    assert finding.status is Status.MISSING
    follow(finding, folder)
    assert about(namespace, "ca").status is Status.OK
    assert kubectl("-n", namespace, "get", "configmap", "modelway", "-o", "jsonpath={.data.x}") == "y"


def test_a_secret_without_a_key(namespace: str) -> None:
    kubectl("-n", namespace, "create", "secret", "generic", "mlpipeline-minio-artifact", "--from-literal=accesskey=a")
    finding = about(namespace, "Secret mlpipeline-minio-artifact")
    assert finding.status is Status.MISSING
    assert finding.message.endswith("has no secretkey")


def test_environments_and_what_rolls_versions_out(namespace: str) -> None:
    environments = {"staging": {"namespace": namespace}, "production": {"namespace": f"{namespace}-no"}}
    assert about(namespace, "environment staging", environments=environments).status is Status.OK
    assert about(namespace, "environment production", environments=environments).status is Status.MISSING
    assert about(namespace, "Argo Rollouts", environments=environments).status is Status.OK
    changes: dict[str, Any] = {"environments": environments, "deployment": {"target": "kserve"}}
    assert about(namespace, "KServe", **changes).status is Status.MISSING


def test_a_namespace_that_is_named_and_not_there() -> None:
    assert about("mw-nowhere", "namespace mw-nowhere").status is Status.MISSING


def test_somebody_who_may_read_little_is_told_what_was_not_checked(
    namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("-n", namespace, "create", "serviceaccount", "visitor")
    token = kubectl("-n", namespace, "create", "token", "visitor").strip()
    kubectl(
        "-n", namespace, "create", "role", "visitor", "--verb=get", "--resource=configmaps,services,serviceaccounts"
    )
    kubectl(
        "-n", namespace, "create", "rolebinding", "visitor", "--role=visitor", f"--serviceaccount={namespace}:visitor"
    )
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text(encoding="utf-8"))
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert about(namespace, "Secret mlpipeline-minio-artifact").status is Status.UNKNOWN
    assert about(namespace, "ConfigMap modelway").status is Status.MISSING
    config["users"][0]["user"] = {"token": "of nobody"}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config), encoding="utf-8")
    finding = about(namespace, "cluster")
    assert finding.status is Status.REFUSED
    assert "does not accept the credentials of the context" in finding.message
    assert (finding.key, finding.file) == ("KUBECONFIG", str(tmp_path / "kubeconfig"))


def commands(text: str) -> list[str]:
    """The kubectl commands of the shell blocks that make or change something in the namespace of the runs."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    script = "\n".join(blocks).replace("\\\n", " ").replace("|\n", "| ")
    return [line for line in script.splitlines() if line.startswith("kubectl -n kubeflow create ")]


def test_the_documented_commands_make_what_a_run_needs(
    namespace: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "cluster.md").read_text(encoding="utf-8")
    (folder / ".docker").mkdir()
    (folder / ".docker" / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.setenv("HOME", str(folder))
    documented = commands(text)
    assert len(documented) >= 7
    for command in documented:
        own_command = command.replace("-n kubeflow", f"-n {namespace}")
        subprocess.run(own_command, shell=True, check=True, cwd=folder, timeout=60, capture_output=True)  # noqa: S602
    findings = {finding.subject: finding for finding in inspect_cluster(minimal_policy(), namespace)}
    for subject in (
        "Secret mlpipeline-minio-artifact",
        "Secret modelway-signing-key",
        "ConfigMap modelway-encryption-recipient",
        "ConfigMap modelway-verifying-key",
        "Secret modelway-registry",
        "s3-endpoint",
        "ca",
    ):
        assert findings[subject].status is Status.OK, findings[subject]
    assert "ConfigMap modelway" not in findings
