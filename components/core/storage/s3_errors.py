"""What the errors of the `minio` client mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from modelway.components.core.errors import CredentialsError, NotFoundError, UnavailableError, first_line
from modelway.components.core.instructions import new_bucket
from modelway.components.core.storage.certificates import distrust

_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_WRONG_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect"}
_MISSING = {"NoSuchKey", "NoSuchObject", "InvalidBucketName"}


@contextmanager
def translate_errors(uri: str, url: str) -> Iterator[None]:
    """Turns the client's errors into ones that say what to do.

    Args:
        uri: What is read or written.
        url: The endpoint, with its scheme.

    Raises:
        CredentialsError: the keys are refused; `value` is the code of the answer.
        UnavailableError: no answer comes, none that S3 gives, or one of a failure.
        NotFoundError: there is no such bucket or object.
    """
    from minio.error import InvalidResponseError, S3Error, ServerError
    from urllib3.exceptions import HTTPError

    endpoint = urlsplit(url).netloc
    try:
        yield
    except S3Error as error:
        if error.code == "NoSuchBucket":
            raise _no_bucket(uri, url) from error
        if error.code in _MISSING:
            raise missing(uri, f"{endpoint} answers {error.code}") from error
        if error.code in _REFUSED:
            raise CredentialsError(
                f"S3 at {endpoint} refuses access: {error.code}",
                file=uri,
                value=error.code,
                remedy="check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, that they may use this bucket, and that "
                "AWS_ENDPOINT_URL is theirs (without it Amazon's S3 is asked)",
            ) from error
        region = (
            "set AWS_REGION to the bucket's region; on a cluster it is the key `s3-region` of the ConfigMap modelway"
        )
        raise UnavailableError(
            f"S3 at {endpoint} answers {error.code}: {error.message}",
            file=uri,
            remedy=region if error.code in _WRONG_REGION else "see the S3 server's log, then run again",
        ) from error
    except ValueError as error:  # the client's word on a name that no bucket can have
        raise missing(uri, first_line(error)) from error
    except (InvalidResponseError, ParseError) as error:
        raise UnavailableError(
            f"S3 at {endpoint} cannot be reached: what answers at {url} does not speak S3",
            file=uri,
            key="AWS_ENDPOINT_URL",
            remedy="check its scheme (http or https), host and port: a console or a proxy may stand there",
        ) from error
    except (HTTPError, ServerError) as error:
        plain = ": it does not speak TLS; is it http:// ?" if "WRONG_VERSION_NUMBER" in str(error) else ""
        raise distrust(error, f"S3 at {endpoint}", key="AWS_ENDPOINT_URL") or UnavailableError(
            f"S3 at {endpoint} cannot be reached{plain}",
            file=uri,
            remedy="check AWS_ENDPOINT_URL (or MINIO_ENDPOINT) and that the server runs, then run again",
        ) from error


def missing(source: str, detail: str = "there is nothing at this address") -> NotFoundError:
    """The error of something that is not where it should be."""
    return NotFoundError(
        f"{source} cannot be read: {detail}", file=source, remedy="correct the path or URI, or put the file there"
    )


def _no_bucket(uri: str, url: str) -> NotFoundError:
    bucket = urlsplit(uri).netloc
    return NotFoundError(
        f"there is no bucket {bucket!r} at {urlsplit(url).netloc}",
        file=uri,
        value=bucket,
        remedy=f"correct the address, or make the bucket: {new_bucket(bucket, url)}",
    )
