from __future__ import annotations

import pytest
from minio.error import InvalidResponseError, S3Error
from urllib3.exceptions import ProtocolError

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError
from modelway.components.core.storage.s3_errors import translate_errors

URI, URL = "s3://models/claims/a.json", "http://minio:9000"


def answer(code: str) -> S3Error:
    return S3Error(None, code, "no", "/models", "1", "2")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind", "message", "remedy"),
    [
        (answer("NoSuchBucket"), NotFoundError, "there is no bucket 'models' at minio:9000", "mc mb"),
        (answer("NoSuchKey"), NotFoundError, "minio:9000 answers NoSuchKey", "correct the path"),
        (answer("AccessDenied"), CredentialsError, "refuses access: AccessDenied", "AWS_ACCESS_KEY_ID"),
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
    with pytest.raises(kind) as raised_error, translate_errors(URI, URL):
        raise error
    assert type(raised_error.value) is kind
    assert message in raised_error.value.message
    assert remedy in raised_error.value.remedy
    assert raised_error.value.file == URI
