"""The issuers of identity tokens: the keys that they publish, and the cluster's word on its own accounts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from modelway.components.core.config.deploy_policy import KUBERNETES, address_problem
from modelway.components.core.errors import (
    CredentialsError,
    DamagedError,
    ModelwayError,
    RejectedError,
    UnavailableError,
    first_line,
)
from modelway.components.core.parsing import parse_json
from modelway.components.core.storage.certificates import bundle, distrust
from modelway.components.core.surroundings.api_server import credentials_error, denied_account
from modelway.components.core.surroundings.kubeconfig import api_client

if TYPE_CHECKING:
    from jwt import PyJWK
    from requests import PreparedRequest

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)  # no secret is shared with an issuer: the others are for those who share one
MOST_BYTES = 256 * 1024
_CONNECT_SECONDS, _READ_SECONDS, _TOTAL_SECONDS = 5, 10, 20
_DISCOVERY = "/.well-known/openid-configuration"
_KEY_TYPES = frozenset({"RSA", "EC", "OKP"})


class Issuers:
    """Asks issuers for their keys, each once."""

    def __init__(self) -> None:
        self._keys: dict[str, list[Mapping[str, Any]]] = {}

    def key(self, issuer: str, key_id: str, algorithm: str) -> PyJWK:
        """The public key that an issuer publishes under an id.

        Raises:
            RejectedError: it publishes none, or one of another kind.
            DamagedError: what it publishes cannot be read.
            UnavailableError: it cannot be reached.
        """
        from jwt import PyJWK
        from jwt.exceptions import PyJWTError

        if issuer not in self._keys:
            self._keys[issuer] = self._cluster_keys() if issuer == KUBERNETES else _published_keys(issuer)
        keys = [key for key in self._keys[issuer] if key.get("kid") == key_id and key.get("use", "sig") == "sig"]
        if not keys:
            raise RejectedError(
                f"{issuer} does not publish the key {key_id!r} that the token is signed with, or no longer does",
                value=key_id,
                remedy="approve again: issuers replace their keys now and then",
            )
        if keys[0].get("kty") not in _KEY_TYPES or keys[0].get("alg", algorithm) != algorithm:
            raise RejectedError(
                f"the token is signed by {algorithm}, for which the key {key_id!r} of {issuer} is not",
                value=algorithm,
                remedy="give a token of the issuer itself",
            )
        try:
            return PyJWK(dict(keys[0]), algorithm)
        except PyJWTError as error:
            raise _unreadable(issuer, f"the key {key_id!r} is not one for {algorithm}") from error

    @cached_property
    def cluster_issuer(self) -> str:
        """The issuer that the cluster's own tokens name.

        Raises:
            ModelwayError: no cluster is configured, or it cannot be reached, or refuses.
        """
        return str(self._ask_cluster(_DISCOVERY).get("issuer") or "")

    def review_token(self, token: str, *, audiences: Sequence[str], subject: str) -> None:
        """Asks the cluster whether a token of one of its accounts is valid now.

        Raises:
            RejectedError: it is not, for instance because the account was deleted.
            CredentialsError: the cluster refuses the review.
            UnavailableError: it cannot be reached.
        """
        from kubernetes import client  # type: ignore[import-untyped]

        review = client.V1TokenReview(spec=client.V1TokenReviewSpec(token=token, audiences=list(audiences)))
        with _translate_cluster_errors(self._client, "create tokenreviews.authentication.k8s.io"):
            status = client.AuthenticationV1Api(self._client).create_token_review(review, _request_timeout=30).status
        if not status.authenticated or not set(status.audiences or ()) & set(audiences):
            raise RejectedError(
                f"the cluster does not accept the token of {subject}: {status.error or 'it is not for this audience'}",
                value=subject,
                remedy="see that the account still exists, and make a new token for it",
            )
        if status.user.username != subject:
            raise RejectedError(
                f"the cluster says that the token of {subject} is of {status.user.username}",
                value=subject,
                remedy="make a token of the account itself",
            )

    @cached_property
    def _client(self) -> Any:
        return api_client()

    def _cluster_keys(self) -> list[Mapping[str, Any]]:
        return _keys_of(self._ask_cluster("/openid/v1/jwks"), KUBERNETES)

    def _ask_cluster(self, path: str) -> Mapping[str, Any]:
        with _translate_cluster_errors(self._client, f"get {path}"):
            response = self._client.call_api(
                path,
                "GET",
                auth_settings=["BearerToken"],
                _preload_content=False,  # the keys are no plain `application/json`
                _return_http_data_only=True,
                _request_timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            )
            content = response.data
        return _json_object(content, KUBERNETES)


def fetch_json(url: str, service: str, *, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """Fetches a JSON object from an issuer, within bounds of time and size, and without following redirects.

    Args:
        url: The address, https or of this machine.
        service: What to call the service in errors, which leave the address out.
        headers: Headers to send.

    Raises:
        DamagedError: the address is not allowed, or the answer is too large or not a JSON object.
        CredentialsError: the service refuses access.
        UnavailableError: it cannot be reached, or answers with an error or a redirect.
    """
    import requests
    from urllib3.exceptions import HTTPError

    if problem := address_problem(url):
        raise _unreadable(service, f"its keys or tokens cannot be fetched: {problem}")
    try:
        with requests.get(
            url,
            headers={"Accept": "application/json", **(headers or {})},
            auth=_no_password,
            timeout=(_CONNECT_SECONDS, _READ_SECONDS),
            allow_redirects=False,
            stream=True,
            verify=bundle() or True,
        ) as response:
            status, content = response.status_code, b""
            if status == HTTPStatus.OK:
                content = _bounded_content(response.raw, service)
    except (requests.RequestException, HTTPError) as error:
        raise distrust(error, service) or UnavailableError(
            f"{service} cannot be reached: {type(error).__name__}",
            value=service,
            remedy="check the network and the proxy's settings, then run again",
        ) from error
    if status == HTTPStatus.UNAUTHORIZED:
        raise CredentialsError(
            f"{service} does not accept the job's credentials: it answers {status}",
            value=service,
            remedy="run it inside the job that is to approve: what a job requests its token with ends with the job",
        )
    if status == HTTPStatus.FORBIDDEN:
        raise CredentialsError(
            f"{service} refuses access: it answers {status}",
            value=service,
            remedy="see that the job may request a token (on GitHub `permissions: {id-token: write}`)",
        )
    if status != HTTPStatus.OK:
        note = ": redirects are not followed" if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST else ""
        raise UnavailableError(
            f"{service} answers {status}{note}",
            value=service,
            remedy="see that the issuer's address is right, then run again",
        )
    return _json_object(content, service)


def _json_object(content: bytes, service: str) -> Mapping[str, Any]:
    try:
        answer = parse_json(content)
    except ValueError as error:
        raise _unreadable(service, "its answer is not JSON") from error
    if not isinstance(answer, dict):
        raise _unreadable(service, "its answer is not a JSON object")
    return answer


def _published_keys(issuer: str) -> list[Mapping[str, Any]]:
    configuration = fetch_json(issuer.rstrip("/") + _DISCOVERY, issuer)
    if configuration.get("issuer") != issuer:
        raise _unreadable(issuer, f"it says that it is {str(configuration.get('issuer'))[:200]!r}")
    return _keys_of(fetch_json(str(configuration.get("jwks_uri") or ""), issuer), issuer)


def _keys_of(answer: Mapping[str, Any], issuer: str) -> list[Mapping[str, Any]]:
    keys = answer.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        raise _unreadable(issuer, "it publishes no list of keys")
    return keys


def _bounded_content(raw: Any, service: str) -> bytes:
    """The body, as long as it is within the bounds of time and size."""
    content, ends_at = b"", time.monotonic() + _TOTAL_SECONDS
    while chunk := raw.read1(MOST_BYTES, decode_content=True):
        content += chunk
        if len(content) > MOST_BYTES:
            raise _unreadable(service, f"its answer is larger than {MOST_BYTES // 1024} KiB")
        if time.monotonic() > ends_at:
            raise UnavailableError(
                f"{service} took more than {_TOTAL_SECONDS} s to answer", value=service, remedy="run again later"
            )
    return content


def _no_password(request: PreparedRequest) -> PreparedRequest:
    """Keeps `requests` from sending what a .netrc has for the host."""
    return request


def _unreadable(issuer: str, problem: str) -> DamagedError:
    return DamagedError(
        f"the identity of {issuer} cannot be verified: {problem}",
        value=issuer,
        remedy="see that `identities` in the policy names the issuer as its tokens do",
    )


@contextmanager
def _translate_cluster_errors(client: Any, action: str) -> Iterator[None]:
    from kubernetes.client import ApiException  # type: ignore[import-untyped]
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        if unaccepted := credentials_error(error, client.configuration.host):
            raise unaccepted from error
        if error.status == HTTPStatus.FORBIDDEN:
            account = denied_account(error) or "this account"
            raise CredentialsError(
                f"the cluster does not let {account} {action}",
                remedy=f"bind {account} to a ClusterRole that may: docs/live.md has one",
            ) from error
        kind = UnavailableError if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ModelwayError
        raise kind(
            f"the cluster's API server answers {error.status} to {action}", remedy="see the API server's log, run again"
        ) from error
    except HTTPError as error:
        raise UnavailableError(
            f"the cluster's API server cannot be reached: {first_line(error)}",
            remedy="check KUBECONFIG and that the cluster runs, then run again",
        ) from error
