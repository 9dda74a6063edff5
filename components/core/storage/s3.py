"""An S3 endpoint through the `minio` client, with errors that say what to do.

Credentials and the endpoint come from the environment, in the names that S3 tools share
(``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``) or MinIO's
(``MINIO_ENDPOINT``, ``MINIO_ACCESS_KEY``, ``MINIO_SECRET_KEY``).
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError, first_line
from modelway.components.core.instructions import new_bucket
from modelway.components.core.storage.certificates import distrust, tls_context
from modelway.components.core.storage.locations import split_uri

if TYPE_CHECKING:
    from minio import Minio
    from minio.datatypes import Object
    from minio.error import S3Error

_ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT")
_ACCESS_KEY = ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY")
_SECRET_KEY = ("AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY")
_TAKEN, _BUSY = "PreconditionFailed", "ConditionalRequestConflict"  # the object is there; is just being written
_DENIED = "AccessDenied"  # the answer to keys that are known but may not do something
_UNACCEPTED = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_WRONG_REGION = {"AuthorizationHeaderMalformed", "PermanentRedirect"}
_MISSING = {"NoSuchKey", "NoSuchObject", "InvalidBucketName"}


class S3:
    """An S3 endpoint, with errors that say what to do.

    Args:
        endpoint: ``host:port`` or a URL; the scheme says whether TLS is used (plain HTTP without one).
        access_key: The access key.
        secret_key: The secret key.
        region: The region, where the endpoint asks for one.
        brief: Whether to give up within seconds where no answer comes, as checks do.
    """

    def __init__(
        self,
        endpoint: str,
        access_key: str | None,
        *,
        secret_key: str | None,
        region: str | None = None,
        brief: bool = False,
    ) -> None:
        import urllib3
        from minio import Minio

        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        self.endpoint = parts.netloc.rpartition("@")[2]
        self.url = f"{parts.scheme}://{self.endpoint}"
        self._lockable: dict[str, bool] = {}
        http_client = urllib3.PoolManager(
            maxsize=8,  # as many as `storage.read_all` reads at once
            timeout=urllib3.Timeout(connect=3, read=7) if brief else urllib3.Timeout(connect=5, read=120),
            retries=urllib3.Retry(connect=2, read=0, other=0, backoff_factor=0.5)
            if brief
            else urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=[500, 502, 503, 504]),
            ssl_context=tls_context() if parts.scheme == "https" else None,
        )
        try:
            self.client: Minio = Minio(
                endpoint=self.endpoint,
                access_key=access_key,
                secret_key=secret_key,
                secure=parts.scheme == "https",
                region=region or "us-east-1",
                http_client=http_client,
            )
        except ValueError as error:
            raise UnavailableError(
                f"the S3 endpoint {self.endpoint!r} is not an address: {first_line(error)}",
                key="AWS_ENDPOINT_URL",
                remedy="give the scheme, the host and the port alone, such as http://minio:9000",
            ) from error

    @classmethod
    def from_environment(cls, *, brief: bool = False) -> S3:
        """The endpoint that the environment names, `brief` as the class has it.

        Raises:
            CredentialsError: no endpoint or no keys are set.
        """
        endpoint = endpoint_named() or "https://s3.amazonaws.com"
        access, secret = _first(*_ACCESS_KEY), _first(*_SECRET_KEY)
        if access is None or secret is None:
            raise CredentialsError(
                "an s3:// address is used, but no S3 credentials are set",
                remedy="set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for MinIO, AWS_ENDPOINT_URL "
                "(on a cluster: the Secret that the pipeline mounts)",
            )
        return cls(endpoint, access, secret_key=secret, region=_first("AWS_REGION", "AWS_DEFAULT_REGION"), brief=brief)

    def read(self, uri: str, most_bytes: int | None = None) -> bytes:
        """The bytes of an object, or its first `most_bytes`."""
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            response = self.client.get_object(bucket_name=bucket, object_name=key)
            try:
                return response.read(most_bytes)
            finally:
                response.close()
                response.release_conn()

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object."""
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            self.client.put_object(bucket_name=bucket, object_name=key, data=BytesIO(content), length=len(content))

    def delete(self, uri: str) -> None:
        """Deletes an object, if it is there."""
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            self.client.remove_object(bucket_name=bucket, object_name=key)

    def create(self, uri: str, content: bytes, *, retain_days: int = 0) -> bool:
        """Writes an object if there is none: of several writers at once exactly one does.

        Args:
            uri: The object.
            content: Its bytes; an answer that was lost and asked for again is recognized by them, so that writers at
                once must not write the same.
            retain_days: For how long the object must not be removed (in governance mode), where the bucket has object
                lock and no rule of its own; 0: as the bucket says.

        Returns:
            Whether this call wrote it.
        """
        return self.put_new(uri, content, retain_days=retain_days) or self.read(uri) == content

    def put_new(self, uri: str, content: bytes, *, retain_days: int = 0) -> bool:
        """Like `create`, but says False too where the object is there with the same content."""
        from minio.error import S3Error

        bucket, key = split_uri(uri)
        digest = hashlib.md5(content, usedforsecurity=False).digest()  # asked for beside a retention
        headers: dict[str, str | list[str] | tuple[str]] = {
            "If-None-Match": "*",
            "Content-MD5": base64.b64encode(digest).decode(),
        }
        with self._translate_errors(uri):
            if retain_days and self._locks_without_a_rule(bucket):
                until = datetime.now(UTC) + timedelta(days=retain_days)
                headers["x-amz-object-lock-mode"] = "GOVERNANCE"
                headers["x-amz-object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
            for pause in (0.05, 0.2, 1, None):
                try:
                    # `put_object` makes metadata of a condition.
                    self.client._put_object(bucket, key, content, headers)  # noqa: SLF001
                except S3Error as error:
                    if error.code == _TAKEN:
                        return False
                    if error.code != _BUSY or pause is None:
                        raise
                    time.sleep(pause)
                else:
                    return True
        raise AssertionError

    def _locks_without_a_rule(self, bucket: str) -> bool:
        from minio.error import S3Error

        if bucket not in self._lockable:
            try:
                rule = self.client.get_object_lock_config(bucket_name=bucket)
                self._lockable[bucket] = rule.mode is None
            except S3Error as error:
                if error.code in {"NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
                    raise
                self._lockable[bucket] = False  # no object lock, or nothing that we may know
        return self._lockable[bucket]

    def names(self, uri: str, after: str = "") -> list[str]:
        """The names directly below a prefix that ends in ``/``, in order; with `after`, those that come after it."""
        _, key = split_uri(uri)
        entries = self._entries(uri, start_after=f"{key}{after}" if after else None)
        return [str(entry.object_name).removeprefix(key) for entry in entries if not entry.is_dir]

    def folders(self, uri: str) -> list[str]:
        """The names directly below a prefix that ends in ``/`` that have something below them in turn, in order."""
        _, key = split_uri(uri)
        return [str(entry.object_name).removeprefix(key).rstrip("/") for entry in self._entries(uri) if entry.is_dir]

    def states(self, uri: str) -> tuple[dict[str, str], dict[str, str]]:
        """The states of what is directly below a prefix, and what of it is tampered with, as `uri.Listing` has them."""
        states: dict[str, str] = {}
        tampered: dict[str, str] = {}
        names: set[str] = set()
        for version in self._entries(uri, include_version=True):
            if version.is_dir:
                continue
            name = str(version.object_name).rsplit("/", 1)[-1]
            if version.is_delete_marker:
                tampered[name] = "deleted"
            elif name in names:
                tampered.setdefault(name, "replaced")
            if version.is_latest == "true" and not version.is_delete_marker:  # the only one is, without versioning
                states[name] = f"{version.version_id} {version.etag} {version.size} {version.last_modified}"
            names.add(name)
        return dict(sorted(states.items())), tampered

    def _entries(self, uri: str, **options: Any) -> list[Object]:
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            return list(self.client.list_objects(bucket_name=bucket, prefix=key, **options))

    def upload(self, path: Path, uri: str) -> None:
        """Copies a local file to an object."""
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            self.client.fput_object(bucket_name=bucket, object_name=key, file_path=str(path))

    def download(self, uri: str, folder: Path) -> Path:
        """Copies an object, or everything below a prefix that ends in ``/``, into a folder; returns its local path."""
        bucket, key = split_uri(uri)
        target = folder / (Path(key.rstrip("/")).name or bucket)
        with self._translate_errors(uri):
            if not key.endswith("/") and key:
                self.client.fget_object(bucket_name=bucket, object_name=key, file_path=str(target))
                return target
            for name, _ in self.etags(uri):
                local = target / name.removeprefix(key)
                if not local.resolve().is_relative_to(target.resolve()):
                    raise ModelwayError(
                        f"the object {name!r} would be written outside of its folder",
                        file=uri,
                        value=name,
                        remedy="remove the object; keys with `..` are not taken",
                    )
                self.client.fget_object(bucket_name=bucket, object_name=name, file_path=str(local))
        return target

    def etags(self, uri: str) -> list[tuple[str, str]]:
        """Key and ETag of an object, or of everything below a prefix that ends in ``/``, in order of the keys."""
        bucket, key = split_uri(uri)
        if key and not key.endswith("/"):
            with self._translate_errors(uri):
                return [(key, self.client.stat_object(bucket_name=bucket, object_name=key).etag or "")]
        entries = self._entries(uri, recursive=True)
        etags = sorted((str(entry.object_name), entry.etag or "") for entry in entries if not entry.is_dir)
        if not etags:
            raise missing(uri)
        return etags

    def has_objects(self, uri: str) -> bool:
        """Whether there is an object whose key begins so."""
        bucket, key = split_uri(uri)
        with self._translate_errors(uri):
            listing = self.client.list_objects(
                bucket_name=bucket, prefix=key, recursive=True, extra_query_params={"max-keys": "1"}
            )
            return next(iter(listing), None) is not None

    def _why_denied(self, uri: str, error: S3Error) -> str | None:
        """The code of a refusal: the answer to a HEAD has no text, and is the same for keys that are not accepted."""
        from minio.error import S3Error
        from urllib3.exceptions import HTTPError

        if error.response is None or error.response.data:
            return error.code
        try:
            listing = self.client.list_objects(bucket_name=split_uri(uri)[0], extra_query_params={"max-keys": "1"})
            next(iter(listing), None)
        except S3Error as reason:
            return reason.code if reason.code in _UNACCEPTED else error.code
        except HTTPError:
            return error.code
        return error.code

    @contextmanager
    def _translate_errors(self, uri: str) -> Iterator[None]:
        """Turns the client's errors about a URI into ones that say what to do; of refused keys `value` says why."""
        from minio.error import InvalidResponseError, S3Error, ServerError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            if error.code == "NoSuchBucket":
                bucket, _ = split_uri(uri)
                raise NotFoundError(
                    f"there is no bucket {bucket!r} at {self.endpoint}",
                    file=uri,
                    value=bucket,
                    remedy=f"correct the address, or make the bucket: {new_bucket(bucket, self.url)}",
                ) from error
            if error.code in _MISSING:
                raise missing(uri, f"{self.endpoint} answers {error.code}") from error
            code = self._why_denied(uri, error) if error.code == _DENIED else error.code
            if code == _DENIED:
                raise CredentialsError(
                    f"S3 at {self.endpoint} refuses access: {code}",
                    file=uri,
                    value=code,
                    remedy="give the keys in AWS_ACCESS_KEY_ID the right to use this bucket "
                    "(manifests/base/storage/pipelines.json is the policy that a run needs), or use other keys",
                ) from error
            if code in _UNACCEPTED:
                raise CredentialsError(
                    f"S3 at {self.endpoint} does not accept the keys: {code}",
                    file=uri,
                    value=code,
                    remedy="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY anew, and check that AWS_ENDPOINT_URL is "
                    "theirs (without it Amazon's S3 is asked)",
                ) from error
            raise UnavailableError(
                f"S3 at {self.endpoint} answers {error.code}: {error.message}",
                file=uri,
                remedy="set AWS_REGION to the bucket's region; on a cluster it is the key `s3-region` of the ConfigMap "
                "modelway"
                if error.code in _WRONG_REGION
                else "see the S3 server's log, then run again",
            ) from error
        except ValueError as error:  # the client's word on a name that no bucket can have
            raise missing(uri, first_line(error)) from error
        except (InvalidResponseError, ParseError) as error:
            raise UnavailableError(
                f"S3 at {self.endpoint} cannot be reached: what answers at {self.url} does not speak S3",
                file=uri,
                key="AWS_ENDPOINT_URL",
                remedy="check its scheme (http or https), host and port: a console or a proxy may stand there",
            ) from error
        except (HTTPError, ServerError) as error:
            plain = ": it does not speak TLS; is it http:// ?" if "WRONG_VERSION_NUMBER" in str(error) else ""
            raise distrust(error, f"S3 at {self.endpoint}", key="AWS_ENDPOINT_URL") or UnavailableError(
                f"S3 at {self.endpoint} cannot be reached{plain}",
                file=uri,
                remedy="check AWS_ENDPOINT_URL (or MINIO_ENDPOINT) and that the server runs, then run again",
            ) from error


def endpoint_named() -> str | None:
    """The S3 endpoint that the environment names; None if it names none, which means Amazon's."""
    return _first(*_ENDPOINT)


def has_keys() -> bool:
    """Whether the environment has S3 credentials."""
    return _first(*_ACCESS_KEY) is not None and _first(*_SECRET_KEY) is not None


def missing(source: str, detail: str = "there is nothing at this address") -> NotFoundError:
    """The error of something that is not where it should be."""
    return NotFoundError(
        f"{source} cannot be read: {detail}", file=source, remedy="correct the path or URI, or put the file there"
    )


def _first(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)
