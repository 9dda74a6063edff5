"""A repository in an OCI registry, with oras' authentication: by Docker's configuration, basic or by tokens."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property, partial
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from modelway.components.core.addresses import without_secrets
from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError, first_line
from modelway.components.core.oci.image import ACCEPTED, MANIFEST, Descriptor, Image
from modelway.components.core.oci.layout import Images, Layout, Reference, copy_checked
from modelway.components.core.storage.certificates import bundle, distrust

if TYPE_CHECKING:
    from requests import Response, Session

_TIMEOUT = (10, 300)  # seconds to connect, and between two bytes
_MOUNTED = "/var/run/modelway/registry"  # where pods have Docker's configuration
_REFUSALS = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
_LACKS_SCOPE = "insufficient_scope"  # RFC 6750: the token is right, and not for this
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def images_at(reference: Reference, *, insecure: bool) -> Images:
    """Where an image is: its repository in a registry, or the OCI layout that it lies in."""
    if not reference.host:
        return Layout(Path(reference.repository))
    return Registry(reference.host, reference.repository, insecure=insecure)


class Registry:
    """A repository, with errors that say what to do.

    Args:
        host: The registry's host, with a port if it has one.
        repository: The repository.
        insecure: Whether to speak plain HTTP; with the machine itself it always is.
    """

    def __init__(self, host: str, repository: str, *, insecure: bool = False) -> None:
        self.host, self.repository = host, repository
        plain = insecure or urlsplit(f"//{host}").hostname in _LOOPBACK
        self._scheme = "http" if plain else "https"

    def manifest(self, reference: str) -> bytes:
        """The document that a tag or digest names."""
        response = self._ask("GET", f"manifests/{reference or 'latest'}", headers={"Accept": ", ".join(ACCEPTED)})
        return bytes(response.content)

    @contextmanager
    def blob(self, digest: str) -> Iterator[IO[bytes]]:
        """A blob's content, in a temporary file, checked against its digest."""
        with tempfile.TemporaryFile() as file:
            with self._ask("GET", f"blobs/{digest}", stream=True) as response:
                chunks = response.raw.stream(1 << 20, decode_content=False)
                copy_checked(chunks, file, digest=digest, location=self._name)
            file.seek(0)
            yield file

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there."""
        with suppress(NotFoundError):
            return self._ask("HEAD", f"blobs/{blob.digest}").status_code == HTTPStatus.OK
        return False

    def put(self, blob: Descriptor, content: IO[bytes]) -> None:
        """Uploads a blob."""
        begun = self._ask("POST", "blobs/uploads/")
        location = urljoin(self._url("blobs/uploads/"), begun.headers["Location"])
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        self._ask("PUT", location, params={"digest": blob.digest}, headers=headers, data=content)

    def mount(self, blob: Descriptor, source: object) -> bool:
        """Takes a blob over from another repository of the same registry, where it allows that."""
        if not isinstance(source, Registry) or source.host != self.host:
            return False
        origin = {"mount": blob.digest, "from": source.repository}
        return self._ask("POST", "blobs/uploads/", params=origin).status_code == HTTPStatus.CREATED

    def put_manifest(self, image: Image, tag: str) -> str:
        """Uploads an image's manifest."""
        for reference in (image.digest, *((tag,) if tag else ())):
            self._ask("PUT", f"manifests/{reference}", headers={"Content-Type": MANIFEST}, data=image.manifest)
        return f"{self._name}@{image.digest}"

    def check_writable(self) -> None:
        """Makes sure that images can be uploaded: begins an upload, and ends it without one.

        Raises:
            ModelwayError: the registry cannot be reached or refuses.
        """
        upload = self._ask("POST", "blobs/uploads/")
        with suppress(ModelwayError):  # some registries forget unfinished uploads by themselves, and cannot be told to
            self._ask("DELETE", urljoin(self._url("blobs/uploads/"), upload.headers["Location"]))

    @property
    def _name(self) -> str:
        return f"{self.host}/{self.repository}"

    def _url(self, path: str) -> str:
        return f"{self._scheme}://{self.host}/v2/{self.repository}/{path}"

    @cached_property
    def _session(self) -> Session:
        """What requests are sent by: without cookies, by which some registries take it for a browser."""
        import requests

        session = requests.Session()
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.request = partial(session.request, timeout=_TIMEOUT)  # type: ignore[method-assign]
        return session

    @cached_property
    def _auth(self) -> Any:
        """The authentication that the registry asks for, by oras, with the credentials of Docker's files."""
        from oras.auth import get_auth_backend  # type: ignore[import-untyped]
        from oras.container import Container  # type: ignore[import-untyped]

        answer = self._session.request("GET", f"{self._scheme}://{self.host}/v2/", verify=self._authorities)
        kind = "basic" if answer.headers.get("WWW-Authenticate", "").lower().startswith("basic") else "token"
        auth = get_auth_backend(kind, self._session, insecure=self._scheme == "http", tls_verify=self._authorities)
        configured = Path(os.environ.get("DOCKER_CONFIG") or _MOUNTED) / "config.json"
        files = [str(configured)] if "DOCKER_CONFIG" in os.environ or configured.is_file() else None
        auth.load_configs(Container(self._name), files)
        return auth

    @cached_property
    def _authorities(self) -> str | bool:
        """The certificate authorities, as `requests` takes them."""
        return bundle() or True

    def _send(self, method: str, url: str, *, headers: Mapping[str, str], data: Any = None, **options: Any) -> Response:
        """Sends a request, and once more with the answer to what the registry asks for."""
        from requests import RequestException

        start = data.tell() if hasattr(data, "tell") else None
        options |= {"data": data, "verify": self._authorities}
        token = self._auth.get_auth_header() if getattr(self._auth, "token", None) else {}
        response = self._session.request(method, url, headers={**headers, **token}, **options)
        if response.status_code not in _REFUSALS:
            return response
        try:  # a token may be for reading, say, and writing needs another one
            credentials, has_changed = self._auth.authenticate_request(response, dict(headers), refresh=True)
        except (AttributeError, ValueError) as error:  # oras has no credentials to answer with
            if isinstance(error, RequestException):
                raise
            raise self._no_access(response) from error
        if not has_changed:
            return response
        response.close()
        if start is not None:
            data.seek(start)
        return self._session.request(method, url, headers=credentials, **options)

    def _ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Response:
        import requests

        url = path if "://" in path else self._url(path)
        try:
            response = self._send(method, url, headers=headers or {}, **options)
        except requests.RequestException as error:
            raise distrust(error, f"the registry {self.host}") or UnavailableError(
                f"the registry {self.host} cannot be reached: {first_line(error)}",
                file=self._name,
                remedy="check the host, and that it speaks HTTPS, or allow plain HTTP by `insecure`; then run again",
            ) from error
        if response.status_code in _REFUSALS:
            raise self._no_access(response)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return response
        if response.status_code == HTTPStatus.NOT_FOUND:
            raise NotFoundError(
                f"{self._name} has no {path}",
                file=self._name,
                value=path,
                remedy="check the repository and the digest or tag",
            )
        raise UnavailableError(
            f"the registry {self.host} answers {response.status_code}: {without_secrets(response.text)[:300]}",
            file=self._name,
            remedy="see the registry's log, then run again",
        )

    def _no_access(self, response: Response) -> CredentialsError:
        """The error of a refusal: of an account that the registry knows and that lacks a right, or of credentials."""
        account = self._account()
        challenge = response.headers.get("WWW-Authenticate", "")
        if account and (response.status_code == HTTPStatus.FORBIDDEN or _LACKS_SCOPE in challenge):
            return CredentialsError(
                f"the registry {self.host} refuses {account} access to {self.repository}",
                file=self._name,
                remedy=f"give {account} the right to pull from and push to {self.repository}, or log in as somebody "
                "who has it",
            )
        who = f"the credentials of {account}" if account else "a caller without credentials"
        return CredentialsError(
            f"the registry {self.host} does not accept {who} for {self.repository}",
            file=self._name,
            remedy=f"log in with `docker login {self.host}`, or mount Docker's configuration and set DOCKER_CONFIG to "
            "its folder",
        )

    def _account(self) -> str:
        """The account that Docker's files have for the registry; empty where they have none."""
        try:
            return base64.b64decode(getattr(self._auth, "_basic_auth", None) or "").decode().partition(":")[0]
        except ValueError:
            return "the account of Docker's configuration"
