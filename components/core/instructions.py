"""The commands that create what is missing on a cluster, for errors and findings."""

from __future__ import annotations

import json
import os
from pathlib import Path

CONFIG_MAP = "modelway"
CONFIG_MAP_FOLDER = "/var/run/modelway/services"  # where pods have it mounted, a file for each key
S3_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - the name of the Secret that Kubeflow keeps its S3 keys in
S3_SECRET_VARIABLE = "MODELWAY_S3_SECRET"  # noqa: S105 - names the Secret, where it is another
S3_CONCERNS = ("runner", "registrar", "packager", "deployer")  # each with an account of S3 and the Secret of its keys
ADDRESSES = {
    "s3-endpoint": "http://minio-service.kubeflow:9000",
    "mlflow-tracking-uri": "http://mlflow.mlflow:5000",
}  # what the ConfigMap must say, with an example of each
AWS_ENDPOINT = "https://s3.REGION.amazonaws.com"

_NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
_FROM_CONFIG_MAP = ("AWS_ENDPOINT_URL", "MLFLOW_TRACKING_URI", "MODELWAY_PROMETHEUS")


def in_pod() -> bool:
    """Whether this runs in a pod of a Kubernetes cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


def pod_namespace() -> str:
    """The namespace that this runs in; ``kubeflow``, where runs are by default, if it is not known."""
    try:
        return Path(_NAMESPACE_FILE).read_text(encoding="utf-8").strip() or "kubeflow"
    except OSError:
        return "kubeflow"


def new_config_map(namespace: str) -> str:
    """The command that makes the ConfigMap with the addresses of the services."""
    literals = " ".join(f"--from-literal={key}={example}" for key, example in ADDRESSES.items())
    return f"kubectl -n {namespace} create configmap {CONFIG_MAP} {literals}"


def config_map_key(key: str, namespace: str) -> str:
    """The command that gives the ConfigMap, which is there, one of its addresses."""
    change = json.dumps({"data": {key: ADDRESSES[key]}})
    return f"kubectl -n {namespace} patch configmap {CONFIG_MAP} --type merge -p '{change}'"


def config_map_lack(key: str, namespace: str) -> tuple[str, str]:
    """What this pod's ConfigMap lacks for an address to be known, in words, and the command that gives it."""
    folder = Path(CONFIG_MAP_FOLDER)
    mounted = folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir())
    if mounted or any(os.environ.get(name) for name in _FROM_CONFIG_MAP):
        return f"has no key {key}", config_map_key(key, namespace)
    return "is missing", new_config_map(namespace)


def config_map_authorities(namespace: str) -> str:
    """The command that gives the ConfigMap, which is there, the certificates of private authorities."""
    return (
        f"kubectl -n {namespace} create configmap {CONFIG_MAP} --from-file=ca=ca.pem --dry-run=client -o json "
        f"| kubectl -n {namespace} patch configmap {CONFIG_MAP} --type merge --patch-file /dev/stdin"
    )


def s3_secret_of(concern: str) -> str:
    """The Secret with the S3 keys of one of `S3_CONCERNS`, where these have accounts of their own."""
    return f"modelway-s3-{concern}"


def pod_s3_secret() -> str:
    """The Secret that this pod's S3 keys come from."""
    return os.environ.get(S3_SECRET_VARIABLE) or S3_SECRET


def new_s3_secret(namespace: str, secret: str = S3_SECRET) -> str:
    """The command that makes a Secret with S3 keys."""
    return (
        f"kubectl -n {namespace} create secret generic {secret} "
        "--from-literal=accesskey=ACCESS_KEY --from-literal=secretkey=SECRET_KEY"
    )


def new_bucket(name: str, endpoint: str) -> str:
    """The commands of which one makes a bucket, with object lock for the audit log: MinIO's client's, and Amazon's."""
    return (
        f"mc alias set s3 {endpoint} ACCESS_KEY SECRET_KEY && mc mb --with-lock --with-versioning s3/{name}    "
        f"(or: aws --endpoint-url {endpoint} s3api create-bucket --bucket {name} --object-lock-enabled-for-bucket)"
    )
