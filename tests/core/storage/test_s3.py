from __future__ import annotations

import pytest
from minio.error import InvalidResponseError, S3Error
from urllib3.exceptions import ProtocolError

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError
from modelway.components.core.storage.s3 import S3, endpoint_named, has_keys, split_uri
from modelway.components.core.storage.uri import read_uri

URI, URL = "s3://models/claims/a.json", "http://minio:9000"


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


def answer(code: str) -> S3Error:
    return S3Error(None, code, "no", "/models", "1", "2")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "message", "remedy"),
    [
        (answer("NoSuchBucket"), NotFoundError, "there is no bucket 'models' at minio:9000", "mc mb"),
        (answer("NoSuchKey"), NotFoundError, "minio:9000 answers NoSuchKey", "correct the path"),
        (answer("AccessDenied"), CredentialsError, "refuses access: AccessDenied", "the right to use this bucket"),
        (
            answer("InvalidAccessKeyId"),
            CredentialsError,
            "does not accept the keys: Invalid",
            "AWS_SECRET_ACCESS_KEY anew",
        ),
        (answer("ExpiredToken"), CredentialsError, "does not accept the keys: ExpiredToken", "anew"),
        (answer("PermanentRedirect"), UnavailableError, "answers PermanentRedirect: no", "AWS_REGION"),
        (answer("InternalError"), UnavailableError, "answers InternalError: no", "server's log"),
        (ValueError("invalid bucket name"), NotFoundError, "invalid bucket name", "correct the path"),
        (InvalidResponseError(200, "text/html", "<p>"), UnavailableError, "does not speak S3", "a console or a proxy"),
        (ProtocolError("reset"), UnavailableError, "cannot be reached", "AWS_ENDPOINT_URL"),
    ],
)
def test_errors_of_the_client_say_what_to_do(
    error: Exception, kind: type[ModelwayError], message: str, remedy: str
) -> None:
    s3 = S3(URL, "key", secret_key="secret")
    with pytest.raises(kind) as raised_error, s3._translate_errors(URI):
        raise error
    assert type(raised_error.value) is kind
    assert message in raised_error.value.message
    assert remedy in raised_error.value.remedy
    assert raised_error.value.file == URI
