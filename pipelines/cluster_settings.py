"""What tasks are given on a cluster: addresses, credentials and keys; nothing of it where a pipeline runs locally."""

from typing import Any

from kfp import kubernetes

CREDENTIALS = "mlpipeline-minio-artifact"  # the Secret that a Kubeflow installation keeps its S3 keys in
SERVICES = "modelway"  # a ConfigMap in the namespace of the runs
_SERVICES = {"s3-endpoint": "AWS_ENDPOINT_URL", "mlflow-tracking-uri": "MLFLOW_TRACKING_URI"}
_MOUNTS = "/var/run/modelway"  # where `core.signing` and `core.registry` look


def with_services(task: Any, *, cached: bool = True) -> Any:
    """Gives a task its services' addresses and keys, and keeps it from running as root."""
    task.set_caching_options(enable_caching=cached)
    kubernetes.use_secret_as_env(
        task, CREDENTIALS, {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}, optional=True
    )
    kubernetes.use_config_map_as_env(task, SERVICES, _SERVICES, optional=True)
    kubernetes.set_security_context(task, run_as_user=10001, run_as_group=10001, run_as_non_root=True)
    return task


def with_signing_keys(task: Any) -> Any:
    """`with_services` for `package_model`: with the keys to sign and to encrypt by, and the registry's credentials."""
    for use in ("signing", "encryption"):
        kubernetes.use_secret_as_volume(task, f"modelway-{use}-key", f"{_MOUNTS}/{use}", optional=True)
    return _with_registry(with_services(task, cached=False))


def with_deploy_access(task: Any) -> Any:
    """`with_services` for `deploy_model`: with the key to verify by, the registry's credentials, and Prometheus."""
    kubernetes.use_config_map_as_volume(task, "modelway-verifying-key", f"{_MOUNTS}/verifying", optional=True)
    kubernetes.use_config_map_as_env(task, SERVICES, {"prometheus": "MODELWAY_PROMETHEUS"}, optional=True)
    return _with_registry(with_services(task, cached=False))


def _with_registry(task: Any) -> Any:
    """Mounts ``config.json`` as Docker keeps it."""
    kubernetes.use_secret_as_volume(task, "modelway-registry", f"{_MOUNTS}/registry", optional=True)
    return task
