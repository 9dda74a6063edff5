"""What tasks are given on a cluster: addresses, keys, resources; nothing of it where a pipeline runs locally."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kfp import kubernetes

from modelway.components.core.instructions import CONFIG_MAP, S3_SECRET
from modelway.components.core.tracking import RUN_VARIABLE

_SERVICES = {
    "s3-endpoint": "AWS_ENDPOINT_URL",
    "s3-region": "AWS_REGION",
    "mlflow-tracking-uri": "MLFLOW_TRACKING_URI",
}
_MOUNTS = "/var/run/modelway"  # where `core.signing` and `core.registry` look
_RUN_LABEL = "metadata.labels['pipeline/runid']"  # KFP labels every pod of a run with the run's id


@dataclass(frozen=True)
class Resources:
    """What a task's container requests and may use, as Kubernetes writes quantities.

    Attributes:
        cpu_request: The CPU that a node must have free, such as ``250m``.
        memory_request: The memory that a node must have free, such as ``512Mi``.
        cpu_limit: The CPU that the container is slowed down to.
        memory_limit: The memory beyond which the container is killed.
    """

    cpu_request: str
    memory_request: str
    cpu_limit: str
    memory_limit: str


# The libraries take 200 to 300 MiB once they are imported; the rest is the table. A request is what a small project
# needs, so that two tasks side by side fit a small node; a memory limit leaves room for tables of a few million rows.
_RECORDS = Resources("100m", "256Mi", "1", "1Gi")
_SERVICES_ONLY = Resources("250m", "512Mi", "2", "2Gi")
_TABLES = Resources("250m", "512Mi", "4", "4Gi")
_MODELS = Resources("500m", "1Gi", "4", "8Gi")
STAGES = {
    "enforce_gate": _RECORDS,
    "evaluate_model": _MODELS,
    "ingest_data": _TABLES,
    "prepare_features": _TABLES,
    "probe_model": _TABLES,
    "record_outcome": _RECORDS,
    "train_model": _MODELS,
    "validate_data": _TABLES,
}


def default_resources(stage: str) -> Resources:
    """What a stage is given where nobody says otherwise.

    Args:
        stage: The component's name, ``train_model`` or ``train-model``.
    """
    return STAGES.get(stage.replace("-", "_"), _SERVICES_ONLY)


def with_services(task: Any, *, cached: bool = True, resources: Resources | None = None) -> Any:
    """Gives a task its services' addresses and keys, the run's id and resources, and keeps it from running as root.

    Args:
        task: A task of a pipeline.
        cached: Whether it is served from KFP's cache where its inputs are the same. Resources are no part of the key.
        resources: What its container requests and may use. None: its stage's defaults.
    """
    task.set_caching_options(enable_caching=cached)
    kubernetes.use_secret_as_env(
        task, S3_SECRET, {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}, optional=True
    )
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, _SERVICES, optional=True)
    kubernetes.use_config_map_as_volume(task, CONFIG_MAP, f"{_MOUNTS}/services", optional=True)
    kubernetes.set_security_context(task, run_as_user=10001, run_as_group=10001, run_as_non_root=True)
    return _with_resources(with_run_id(task), resources or default_resources(task.component_spec.name))


def with_signing_keys(task: Any) -> Any:
    """`with_services` for `package_model`: with the keys to sign and to encrypt by, and the registry's credentials."""
    for use in ("signing", "encryption"):
        kubernetes.use_secret_as_volume(task, f"modelway-{use}-key", f"{_MOUNTS}/{use}", optional=True)
    return _with_registry(with_services(task, cached=False))


def with_deploy_access(task: Any) -> Any:
    """`with_services` for `deploy_model`: with the key to verify by, the registry's credentials, and Prometheus."""
    kubernetes.use_config_map_as_volume(task, "modelway-verifying-key", f"{_MOUNTS}/verifying", optional=True)
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, {"prometheus": "MODELWAY_PROMETHEUS"}, optional=True)
    return _with_registry(with_services(task, cached=False))


def with_run_id(task: Any) -> Any:
    """Sets `MODELWAY_RUN` to the run's id, which is the pod's label: as a parameter it would end caching."""
    return kubernetes.use_field_path_as_env(task, env_name=RUN_VARIABLE, field_path=_RUN_LABEL)


def with_display_name(task: Any, name: str) -> Any:
    """Gives a task the name that the dashboard shows."""
    task.set_display_name(name)
    return task


def _with_registry(task: Any) -> Any:
    """Mounts ``config.json`` as Docker keeps it."""
    kubernetes.use_secret_as_volume(task, "modelway-registry", f"{_MOUNTS}/registry", optional=True)
    return task


def _with_resources(task: Any, resources: Resources) -> Any:
    task.set_cpu_request(resources.cpu_request).set_cpu_limit(resources.cpu_limit)
    task.set_memory_request(resources.memory_request).set_memory_limit(resources.memory_limit)
    return task
