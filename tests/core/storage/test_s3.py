from __future__ import annotations

import pytest

from modelway.components.core.errors import CredentialsError, UnavailableError
from modelway.components.core.storage.s3 import S3, endpoint_named, has_keys, split_uri
from modelway.components.core.storage.uri import read_uri


def test_s3_without_credentials_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError, match="no S3 credentials") as error:
        read_uri("s3://bucket/key")
    assert "AWS_ACCESS_KEY_ID" in error.value.remedy


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [("s3://bucket/a/b.csv", "bucket", "a/b.csv"), ("s3://bucket/", "bucket", ""), ("s3://bucket", "bucket", "")],
)
def test_a_uri_is_a_bucket_and_a_key(uri: str, bucket: str, key: str) -> None:
    assert split_uri(uri) == (bucket, key)


def test_settings_are_taken_by_either_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MINIO_ENDPOINT", "minio:9000")
    monkeypatch.setenv("MINIO_ACCESS_KEY", "key")
    monkeypatch.delenv("MINIO_SECRET_KEY", raising=False)
    assert endpoint_named() == "minio:9000"
    assert not has_keys()
    monkeypatch.setenv("MINIO_SECRET_KEY", "secret")
    assert has_keys()
    assert S3.from_environment().url == "http://minio:9000"


def test_an_endpoint_that_is_no_address_is_named_without_its_password() -> None:
    with pytest.raises(UnavailableError, match="is not an address") as error:
        S3("http://ada:secret@ho_st:port", "key", secret_key="secret")
    assert "secret" not in str(error.value)
