"""A bucket with object lock on the development cluster's MinIO, and an account for each concern by its policy."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from minio import Minio
from minio.credentials import StaticProvider
from minio.deleteobjects import DeleteObject
from minio.error import S3Error
from minio.minioadmin import MinioAdmin

STORAGE = Path(__file__).resolve().parents[2] / "manifests" / "base" / "storage"
CONCERNS = ("runner", "registrar", "packager", "deployer", "server", "monitor", "pipelines", "mlflow", "artifacts")
BUCKETS = ("modelway", "data", "mlflow", "mlpipeline")  # as the policies name them


@dataclass(frozen=True)
class Accounts:
    """The store's bucket and its neighbours, under names of their own, with a client for each concern.

    Attributes:
        prefix: What each bucket's name begins with.
        owner: A client that may do anything.
        keys: Access key and secret key by concern.
        clients: A client by concern.
    """

    prefix: str
    owner: Minio
    keys: dict[str, tuple[str, str]]
    clients: dict[str, Minio]

    def bucket(self, name: str) -> str:
        """The bucket that the policies call `name`."""
        return f"{self.prefix}-{name}"

    @property
    def store(self) -> str:
        return f"s3://{self.bucket('modelway')}/store"

    def environment(self, concern: str) -> dict[str, str]:
        """What a task of a concern is told of S3."""
        access, secret = self.keys[concern]
        endpoint = f"http://{os.environ['MINIO_ENDPOINT']}"
        return {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}

    def may(self, concern: str, action: str, key: str, *, bucket: str = "modelway") -> bool:
        """Whether it is done rather than refused."""
        client, bucket = self.clients[concern], self.bucket(bucket)
        try:
            match action:
                case "put":
                    client.put_object(bucket_name=bucket, object_name=key, data=BytesIO(b"new"), length=3)
                case "get":
                    client.get_object(bucket_name=bucket, object_name=key).close()
                case "delete":
                    client.remove_object(bucket_name=bucket, object_name=key)
                case "delete version":
                    version = self.owner.stat_object(bucket_name=bucket, object_name=key).version_id
                    client.remove_object(bucket_name=bucket, object_name=key, version_id=version)
                case "list":
                    list(client.list_objects(bucket_name=bucket, prefix=key))
        except S3Error as error:
            if error.code == "AccessDenied":
                return False
            raise
        return True


@contextmanager
def separate_accounts(folder: Path) -> Iterator[Accounts]:
    """Makes the buckets and the accounts, and removes them all in the end.

    Args:
        folder: An empty folder, for the policies under their new names.
    """
    endpoint, access, secret = (os.environ[f"MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
    prefix = f"mw{uuid.uuid4().hex[:8]}"
    owner = Minio(endpoint=endpoint, access_key=access, secret_key=secret, secure=False)
    admin = MinioAdmin(endpoint=endpoint, credentials=StaticProvider(access, secret), secure=False)
    keys = {concern: (f"{prefix}-{concern}", uuid.uuid4().hex) for concern in CONCERNS}
    for name in BUCKETS:
        owner.make_bucket(bucket_name=f"{prefix}-{name}", object_lock=name == "modelway")
    try:
        for concern, (key, password) in keys.items():
            text = (STORAGE / f"{concern}.json").read_text(encoding="utf-8")
            (folder / concern).write_text(text.replace("arn:aws:s3:::", f"arn:aws:s3:::{prefix}-"), encoding="utf-8")
            admin.policy_add(key, str(folder / concern))
            admin.user_add(key, password)
            admin.attach_policy([key], user=key)
        clients = {
            concern: Minio(endpoint=endpoint, access_key=key, secret_key=password, secure=False, region="us-east-1")
            for concern, (key, password) in keys.items()
        }
        yield Accounts(prefix, owner, keys, clients)
    finally:
        for key, _ in keys.values():
            admin.user_remove(key)
            admin.policy_remove(key)
        for name in BUCKETS:
            _remove(owner, f"{prefix}-{name}")


def _remove(owner: Minio, bucket: str) -> None:
    """Removes a bucket with all versions in it, those under governance too."""
    versions = [
        DeleteObject(str(item.object_name), item.version_id if item.version_id != "null" else None)
        for item in owner.list_objects(bucket_name=bucket, recursive=True, include_version=True)
    ]
    errors = owner.remove_objects(bucket_name=bucket, delete_object_list=versions, bypass_governance_mode=True)
    assert not list(errors)
    owner.remove_bucket(bucket_name=bucket)
