"""Files by URI: local folders, and S3 through the `minio` client (MinIO or any other S3 endpoint).

Credentials and the endpoint come from the environment, in the names that S3 tools share
(``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_REGION``) or MinIO's
(``MINIO_ENDPOINT``, ``MINIO_ACCESS_KEY``, ``MINIO_SECRET_KEY``).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError, first_line

if TYPE_CHECKING:
    from minio import Minio

_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
_MISSING = {"NoSuchKey", "NoSuchBucket", "NoSuchObject"}


def is_uri(source: str) -> bool:
    """Whether the source names an S3 object or prefix rather than a local path."""
    return source.startswith("s3://")


def join(root: str, *parts: str) -> str:
    """A URI or path below `root`."""
    return "/".join([root.rstrip("/"), *parts])


def read_uri(source: str) -> bytes:
    """The bytes of a local file or an S3 object."""
    if is_uri(source):
        return S3.from_environment().read(source)
    try:
        return Path(source).read_bytes()
    except FileNotFoundError as error:
        raise _missing(source) from error
    except IsADirectoryError as error:
        raise _missing(source, "it is a folder") from error


def write_uri(target: str, content: bytes) -> None:
    """Writes a local file or an S3 object whole; a reader sees the old content or the new, never a part."""
    if is_uri(target):
        S3.from_environment().write(target, content)
        return
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def version_of(source: str) -> str:
    """A token that changes when the content of a file, folder, S3 object or S3 prefix does.

    Local files give the SHA-256 of their content; S3 objects their ETags, which need no download.
    """
    if is_uri(source):
        listing = "\n".join(f"{key} {etag}" for key, etag in S3.from_environment().etags(source))
        return f"etag:{hashlib.sha256(listing.encode()).hexdigest()}"
    return f"sha256:{sha256_of(Path(source))}"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, or of the names and contents of a folder's files."""
    if not path.exists():
        raise _missing(str(path))
    if path.is_dir():
        lines = [f"{file.relative_to(path)} {sha256_of(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: str, folder: Path) -> Path:
    """A local path with the content of a file, folder, S3 object or S3 prefix; downloads into `folder` if remote."""
    if not is_uri(source):
        path = Path(source)
        if not path.exists():
            raise _missing(source)
        return path
    return S3.from_environment().download(source, folder)


def copy_in(path: Path, target: str) -> None:
    """Copies a local file to a path or URI."""
    if is_uri(target):
        S3.from_environment().upload(path, target)
        return
    Path(target).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


class S3:
    """An S3 endpoint, with errors that say what to do.

    Args:
        endpoint: ``host:port`` or a URL; the scheme says whether TLS is used (plain HTTP without one).
        access_key: The access key.
        secret_key: The secret key.
        region: The region, where the endpoint asks for one.
    """

    def __init__(
        self, endpoint: str, access_key: str | None, secret_key: str | None, region: str | None = None
    ) -> None:
        import urllib3
        from minio import Minio

        parts = urlsplit(endpoint if "://" in endpoint else f"http://{endpoint}")
        self.endpoint = parts.netloc
        self.client: Minio = Minio(
            endpoint=parts.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=parts.scheme == "https",
            region=region or "us-east-1",
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=5, read=120),
                retries=urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=[500, 502, 503, 504]),
            ),
        )

    @classmethod
    def from_environment(cls) -> S3:
        """The endpoint that the environment names.

        Raises:
            CredentialsError: no endpoint or no keys are set.
        """
        endpoint = _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MINIO_ENDPOINT") or "https://s3.amazonaws.com"
        access, secret = (
            _first("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY"),
            _first("AWS_SECRET_ACCESS_KEY", "MINIO_SECRET_KEY"),
        )
        if access is None or secret is None:
            raise CredentialsError(
                "an s3:// address is used, but no S3 credentials are set",
                remedy="set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for MinIO, AWS_ENDPOINT_URL "
                "(on a cluster: the Secret that the pipeline mounts)",
            )
        return cls(endpoint, access, secret, _first("AWS_REGION", "AWS_DEFAULT_REGION"))

    def read(self, uri: str) -> bytes:
        """The bytes of an object."""
        bucket, key = _split(uri)
        with self._explaining(uri):
            response = self.client.get_object(bucket_name=bucket, object_name=key)
            try:
                return response.data
            finally:
                response.close()
                response.release_conn()

    def write(self, uri: str, content: bytes) -> None:
        """Writes an object."""
        bucket, key = _split(uri)
        with self._explaining(uri):
            self.client.put_object(bucket_name=bucket, object_name=key, data=BytesIO(content), length=len(content))

    def upload(self, path: Path, uri: str) -> None:
        """Copies a local file to an object."""
        bucket, key = _split(uri)
        with self._explaining(uri):
            self.client.fput_object(bucket_name=bucket, object_name=key, file_path=str(path))

    def download(self, uri: str, folder: Path) -> Path:
        """Copies an object, or everything below a prefix that ends in ``/``, into a folder; returns its local path."""
        bucket, key = _split(uri)
        target = folder / (Path(key.rstrip("/")).name or bucket)
        with self._explaining(uri):
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
        bucket, key = _split(uri)
        with self._explaining(uri):
            if key and not key.endswith("/"):
                return [(key, self.client.stat_object(bucket_name=bucket, object_name=key).etag or "")]
            found = [
                (item.object_name or "", item.etag or "")
                for item in self.client.list_objects(bucket_name=bucket, prefix=key, recursive=True)
                if not item.is_dir
            ]
        if not found:
            raise _missing(uri)
        return sorted(found)

    @contextmanager
    def _explaining(self, uri: str) -> Iterator[None]:
        from minio.error import InvalidResponseError, S3Error, ServerError
        from urllib3.exceptions import HTTPError

        try:
            yield
        except S3Error as error:
            if error.code in _MISSING:
                raise _missing(uri, f"{self.endpoint} answers {error.code}") from error
            if error.code in _REFUSED:
                raise CredentialsError(
                    f"S3 at {self.endpoint} refuses access: {error.code}",
                    file=uri,
                    remedy="check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may use this bucket",
                ) from error
            raise UnavailableError(
                f"S3 at {self.endpoint} answers {error.code}: {error.message}",
                file=uri,
                remedy="see the S3 server's log, then run again",
            ) from error
        except ValueError as error:  # the client's word on a name that no bucket can have
            raise _missing(uri, first_line(error)) from error
        except (HTTPError, InvalidResponseError, ServerError) as error:
            raise UnavailableError(
                f"S3 at {self.endpoint} cannot be reached",
                file=uri,
                remedy="check AWS_ENDPOINT_URL (or MINIO_ENDPOINT) and that the server runs, then run again",
            ) from error


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def _first(*names: str) -> str | None:
    return next((value for name in names if (value := os.environ.get(name))), None)


def _missing(source: str, detail: str = "there is nothing at this address") -> ModelwayError:
    return ModelwayError(
        f"{source} cannot be read: {detail}", file=source, remedy="correct the path or URI, or put the file there"
    )
