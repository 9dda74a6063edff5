"""The development cluster's MinIO."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from kube import temporary_namespace
from minio import Minio

from modelway.components.core.storage.s3 import S3


@pytest.fixture
def minio_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is read by MinIO's variables alone."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def client() -> Minio:
    endpoint, access_key, secret_key = (
        os.environ[f"MINIO_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY")
    )
    return S3(endpoint, access_key, secret_key=secret_key).client


@pytest.fixture
def namespace() -> Iterator[str]:
    with temporary_namespace() as name:
        yield name
