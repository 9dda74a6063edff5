"""Whether a cluster is prepared: what runs read in their namespace, where addresses lead, what rollouts need."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.instructions import (
    ADDRESSES,
    CONFIG_MAP,
    S3_CONCERNS,
    S3_SECRET,
    config_map_authorities,
    config_map_key,
    new_config_map,
    new_s3_secret,
    s3_secret_of,
)
from modelway.components.core.storage.certificates import check_certificates
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.deploy.analysis import PROMETHEUS
from modelway.pipelines.doctor.admission import inspect_admission
from modelway.pipelines.doctor.cluster_reader import ClusterReader, DeniedError
from modelway.pipelines.doctor.metrics import inspect_metrics

_RUNS = "kubeflow"  # where runs are by default
_ROLLOUTS = "argo-rollouts"  # where Argo Rollouts is by default
_PROMETHEUS = "http://prometheus.monitoring:9090"  # as `deploy_model` has it where nothing else is said
_ACCOUNTS = ("modelway-runner", "modelway-packager", "modelway-deployer", "modelway-monitor")


@dataclass(frozen=True)
class _OptionalObject:
    """A Secret or ConfigMap that not every project needs."""

    kind: str  # ``secrets`` or ``configmaps``
    name: str
    key: str  # that must be in it
    file: str  # that the key is made of


_VERIFYING = _OptionalObject("configmaps", "modelway-verifying-key", key="verifying.pem", file="keys/verifying.pem")
_OPTIONAL = (
    _OptionalObject("secrets", "modelway-signing-key", key="signing.pem", file="keys/signing.pem"),
    _OptionalObject("configmaps", "modelway-encryption-recipient", key="recipient", file="keys/encryption.recipient"),
    _VERIFYING,
    _OptionalObject("secrets", "modelway-registry", key="config.json", file="config.json"),
)
_TARGETS = {  # what serves each, its resource in the cluster, and the remedy where that is absent
    "rollout": ("Argo Rollouts", "argoproj.io/v1alpha1", "rollouts", "install it, or choose `target: deployment`"),
    "kserve": ("KServe", "serving.kserve.io/v1beta1", "inferenceservices", "install it, or choose another target"),
}
_APPLY = "kubectl apply -k manifests/base/kinds && kubectl apply -k .    (in modelway's repository)"


def inspect_cluster(
    policy: Policy, namespace: str | None = None, *, project: Project | None = None, repository: str = ""
) -> list[Finding]:
    """Inspects whether the cluster that ``KUBECONFIG`` names is prepared for the project.

    Args:
        policy: The project's policy: which environments there are, and how versions are rolled out.
        namespace: The namespace of the runs. Without it, ``kubeflow``, if the cluster has it.
        project: Says which keys of S3 its tasks have; None: those that Kubeflow installed.
        repository: Where its image goes, ``host/repository``; empty: nowhere yet.
    """
    separate = project is not None and project.s3_accounts == "separate"
    secrets = tuple(map(s3_secret_of, S3_CONCERNS)) if separate else (S3_SECRET,)
    try:
        reader = ClusterReader.connect()
        if reader is None:
            remedy = "name a kubeconfig file as KUBECONFIG; without a cluster runs are local and nothing is served"
            return [Finding("cluster", Status.UNSET, "no cluster is named", remedy, key="KUBECONFIG")]
        version = reader.version()
        findings = [Finding("cluster", Status.OK, f"Kubernetes {version} answers at {reader.host}")]
        findings += _runs(reader, namespace or _RUNS, explicit=namespace is not None, s3_secrets=secrets)
        if policy.deployment.target == "rollout":  # the others are not analysed
            findings.append(_own_prometheus(reader))
        findings += _rollouts(reader, policy, project=project)
        for environment, settings in policy.environments.items():
            findings += _environment(reader, environment, namespace=settings.namespace, repository=repository)
    except ModelwayError as error:
        return [Finding.of("cluster", error)]
    return findings


def _runs(reader: ClusterReader, namespace: str, *, explicit: bool, s3_secrets: Sequence[str]) -> list[Finding]:
    """What pipelines' tasks are given in the namespace of the runs."""
    subject = f"namespace {namespace}"
    if not reader.has_namespace(namespace):
        status = Status.MISSING if explicit else Status.UNSET
        remedy = f"install Kubeflow Pipelines there, or name the namespace of the runs: --namespace (not {namespace})"
        return [Finding(subject, status, f"the cluster has no namespace {namespace}", remedy)]
    pipelines = reader.get("services", "ml-pipeline", namespace=namespace) is not None
    absent = Status.MISSING if explicit or pipelines else Status.UNSET
    findings = []
    if not pipelines:
        message = f"Kubeflow Pipelines is not installed in {namespace}"
        remedy = "nothing to do if it runs in another namespace, and runs are in a profile's"
        findings.append(Finding("Kubeflow Pipelines", Status.UNSET, message, remedy))
    findings += _config_map(reader, namespace, absent=absent)
    findings += [_s3_keys(reader, namespace, secret=secret, absent=absent) for secret in s3_secrets]
    findings += [_optional(reader, part, namespace=namespace) for part in _OPTIONAL]
    accounts = [name for name in _ACCOUNTS if reader.get("serviceaccounts", name, namespace=namespace) is None]
    if accounts:
        message = f"{namespace} has no service account {', '.join(accounts)}: runs have `pipeline-runner`'s wide rights"
        findings.append(Finding("service accounts", Status.UNSET, message, _APPLY))
    else:
        findings.append(Finding("service accounts", Status.OK, f"{namespace} has {', '.join(_ACCOUNTS)}"))
    return findings


def _config_map(reader: ClusterReader, namespace: str, *, absent: Status) -> list[Finding]:
    """The ConfigMap with the services' addresses, and whether these lead to something."""
    subject = f"ConfigMap {CONFIG_MAP}"
    content = reader.get("configmaps", CONFIG_MAP, namespace=namespace)
    if content is None:
        message = f"{namespace} has no ConfigMap {CONFIG_MAP}, so that tasks do not know the addresses of MLflow and S3"
        return [Finding(subject, absent, message, new_config_map(namespace))]
    entries: dict[str, str] = content.get("data") or {}
    findings = []
    for key in ADDRESSES:
        address = entries.get(key, "").strip()
        if not address:
            message = f"the ConfigMap {CONFIG_MAP} in {namespace} has no key {key}"
            findings.append(Finding(subject, Status.MISSING, message, config_map_key(key, namespace), key=key))
        else:
            findings.append(_address(reader, key, address=address, namespace=namespace))
    prometheus = entries.get("prometheus", "").strip()
    finding = _address(reader, "prometheus", address=prometheus or _PROMETHEUS, namespace=namespace)
    if not prometheus and finding.status.blocks:  # the address that nobody has named
        message = f"there is no Prometheus at {_PROMETHEUS}, and the ConfigMap {CONFIG_MAP} names no other"
        remedy = "name it as the key prometheus: rollouts are judged by it"
        finding = Finding("prometheus", Status.UNSET, message, remedy)
    findings.append(finding)
    if "ca" in entries:
        findings.append(_authorities(entries["ca"], namespace))
    return findings


def _authorities(content: str, namespace: str) -> Finding:
    file = f"{namespace}/configmaps/{CONFIG_MAP}"
    try:
        check_certificates(content.encode(), file=file, key="ca")
    except ModelwayError as error:
        return Finding("ca", Status.MISSING, error.message, config_map_authorities(namespace), key="ca", file=file)
    return Finding("ca", Status.OK, f"{file} holds private authorities' certificates", key="ca", file=file)


def _s3_keys(reader: ClusterReader, namespace: str, *, secret: str, absent: Status) -> Finding:
    """A Secret with S3 keys."""
    subject, remedy = f"Secret {secret}", new_s3_secret(namespace, secret)
    try:
        content = reader.get("secrets", secret, namespace=namespace)
    except DeniedError:
        return Finding(subject, Status.UNKNOWN, f"your account may not read Secrets in {namespace}")
    if content is None:
        return Finding(subject, absent, f"{namespace} has no Secret {secret}, so that tasks have no S3 keys", remedy)
    entries = content.get("data") or {}
    lacking = [key for key in ("accesskey", "secretkey") if not b64decode(entries.get(key) or "")]
    if lacking:
        message = f"the Secret {secret} in {namespace} has no {' and no '.join(lacking)}"
        return Finding(subject, Status.MISSING, message, remedy)
    return Finding(subject, Status.OK, f"{namespace} has the S3 keys")


def _optional(reader: ClusterReader, part: _OptionalObject, *, namespace: str) -> Finding:
    """Whether an object that not every project needs is there."""
    subject = f"{'Secret' if part.kind == 'secrets' else 'ConfigMap'} {part.name}"
    make = "secret generic" if part.kind == "secrets" else "configmap"
    remedy = f"kubectl -n {namespace} create {make} {part.name} --from-file={part.key}={part.file}"
    try:
        content = reader.get(part.kind, part.name, namespace=namespace)
    except DeniedError:
        return Finding(subject, Status.UNKNOWN, f"your account may not read {part.kind} in {namespace}")
    if content is None:
        return Finding(subject, Status.UNSET, f"{namespace} has no {subject}", remedy)
    if part.key not in (content.get("data") or {}):
        return Finding(subject, Status.MISSING, f"{subject} in {namespace} has no key {part.key}", remedy, key=part.key)
    return Finding(subject, Status.OK, f"{namespace} has it")


def _own_prometheus(reader: ClusterReader) -> Finding:
    """The Prometheus that judges rollouts which are started from here, as the Rollouts controller reaches it."""
    address = os.environ.get(PROMETHEUS, "").strip()
    if not address:
        message = f"{PROMETHEUS} is not set: rollouts that are started from here are judged by {_PROMETHEUS}"
        remedy = "set it to Prometheus as Argo Rollouts in the cluster reaches it"
        return Finding(PROMETHEUS, Status.UNSET, message, remedy, key=PROMETHEUS)
    return _address(reader, PROMETHEUS, address=address, namespace=_ROLLOUTS, remedy="set it anew")


def _address(reader: ClusterReader, key: str, *, address: str, namespace: str, remedy: str = "") -> Finding:
    """Whether an address of a Service in the cluster leads to pods; others are not tried from here.

    Args:
        reader: The cluster.
        key: What names the address: a key of the ConfigMap, or another with its own `remedy`.
        address: The address.
        namespace: The namespace of a Service that is named without one.
        remedy: How to correct it; empty: in the ConfigMap.
    """
    title = key if remedy else f"{CONFIG_MAP}'s {key}"
    subject = f"{title}, {address},"
    remedy = remedy or f"correct it: kubectl -n {namespace} edit configmap {CONFIG_MAP}"
    parts = urlsplit(address if "://" in address else f"http://{address}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if not port or (key == "mlflow-tracking-uri" and "://" not in address):
        message = f"{subject} is no address: write http(s)://HOST:PORT"
        return Finding(key, Status.MISSING, message, remedy, key=key)
    service = re.fullmatch(r"([a-z0-9-]+)(?:\.([a-z0-9-]+)(?:\.svc(?:\..+)?)?)?", parts.hostname or "")
    name, service_namespace = (service[1], service[2] or namespace) if service else ("", "")
    try:
        if not name or not reader.has_namespace(service_namespace):
            message = f"{subject} is outside of the cluster: try it from a pod, as docs/cluster.md says"
            return Finding(key, Status.UNKNOWN, message, key=key)
        problem = _why_not_served(reader, name, namespace=service_namespace, port=port)
        has_pods = problem is not None or reader.has_endpoints(name, service_namespace)
    except DeniedError as error:
        return Finding(key, Status.UNKNOWN, error.message, key=key)
    if problem is not None:
        return Finding(key, Status.MISSING, f"{subject} {problem}", remedy, key=key)
    if not has_pods:
        remedy = f"see why: kubectl -n {service_namespace} describe service {name}"
        return Finding(key, Status.UNREACHABLE, f"{subject} leads to no ready pod", remedy, key=key)
    return Finding(key, Status.OK, f"{address} leads to the Service {name} in {service_namespace}", key=key)


def _why_not_served(reader: ClusterReader, service: str, *, namespace: str, port: int) -> str | None:
    """What is wrong with the Service that an address names; None if nothing is."""
    content = reader.get("services", service, namespace=namespace)
    if content is None:
        return f"names no Service: {namespace} has no {service}"
    ports = [entry["port"] for entry in content["spec"].get("ports") or []]
    if ports and port not in ports:
        return f"names port {port}, and the Service {service} in {namespace} has {', '.join(map(str, ports))}"
    return None


def _rollouts(reader: ClusterReader, policy: Policy, *, project: Project | None) -> list[Finding]:
    """What rolls versions out, and what scales them."""
    target = policy.deployment.target
    findings = []
    if target in _TARGETS:
        subject, group, resource, remedy = _TARGETS[target]
        if reader.has_resource(group, resource):
            findings.append(Finding(subject, Status.OK, f"the cluster has {resource} of {group}"))
        else:
            has_namespace = any(settings.namespace for settings in policy.environments.values())
            absent = Status.MISSING if has_namespace else Status.UNSET
            message = f"the cluster has no {resource} of {group}, and the policy's deployment.target is {target}"
            findings.append(Finding(subject, absent, message, f"{remedy}; docs/cluster.md has the commands"))
    return [*findings, inspect_metrics(reader, policy, project=project)]


def _environment(reader: ClusterReader, environment: str, *, namespace: str | None, repository: str) -> list[Finding]:
    """The namespace that an environment's versions are served in."""
    subject, environment_namespace = f"environment {environment}", namespace or f"modelway-{environment}"
    if not reader.has_namespace(environment_namespace):
        status = Status.MISSING if namespace else Status.UNSET
        message = f"the cluster has no namespace {environment_namespace}, where the policy has {environment}"
        return [Finding(subject, status, message, f"{_APPLY}, or: kubectl create namespace {environment_namespace}")]
    return [
        Finding(subject, Status.OK, f"the cluster has the namespace {environment_namespace}"),
        _optional(reader, _VERIFYING, namespace=environment_namespace),
        inspect_admission(reader, environment_namespace, repository=repository),
    ]
