"""A cluster's objects, read within seconds and never changed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError
from modelway.components.core.surroundings.api_server import answer_message, credentials_error
from modelway.components.core.surroundings.kubeconfig import cluster_configuration

_TIMEOUT = (4, 8)  # seconds to connect, and to wait for an answer


class DeniedError(CredentialsError):
    """The account may not read something."""


class ClusterReader:
    """Reads objects of a cluster.

    Args:
        client: A client of the API server (``kubernetes.client.ApiClient``).
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    @classmethod
    def connect(cls) -> ClusterReader | None:
        """The cluster that ``KUBECONFIG`` names; without it, the one that this runs in; None if there is neither.

        Raises:
            SetupError: its configuration cannot be used.
        """
        import urllib3
        from kubernetes import client  # type: ignore[import-untyped]

        settings = cluster_configuration()
        if settings is None:
            return None
        settings.retries = urllib3.Retry(connect=1, read=0, other=0)
        return cls(client.ApiClient(settings))

    @property
    def host(self) -> str:
        """The API server's address."""
        return str(self._client.configuration.host)

    def version(self) -> str:
        """The cluster's version.

        Raises:
            ModelwayError: the cluster cannot be reached, or refuses.
        """
        answer = self._read("/version")
        self._read("/api/v1")  # unlike the version, only for whoever is known
        return str((answer or {}).get("gitVersion", "of an unknown version"))

    def get(self, kind: str, name: str, *, namespace: str) -> dict[str, Any] | None:
        """An object of the core API; None if it does not exist.

        Raises:
            DeniedError: the account may not read it.
        """
        return self._read(f"/api/v1/namespaces/{namespace}/{kind}/{name}")

    def get_custom(self, group: str, kind: str, *, name: str, namespace: str) -> dict[str, Any] | None:
        """An object of a kind of its own, such as ``rollouts`` of ``argoproj.io/v1alpha1``; None if it does not exist.

        Raises:
            DeniedError: the account may not read it.
        """
        return self._read(f"/apis/{group}/namespaces/{namespace}/{kind}/{name}")

    def labels(self, namespace: str) -> dict[str, str]:
        """The labels of a namespace.

        Raises:
            DeniedError: the account may not read it.
        """
        content = self._read(f"/api/v1/namespaces/{namespace}") or {}
        return content.get("metadata", {}).get("labels") or {}

    def list_objects(self, kind: str, *, namespace: str, group: str = "") -> list[dict[str, Any]]:
        """The objects of a kind of the core API, or of a group such as ``autoscaling/v2``.

        Raises:
            DeniedError: the account may not read them.
        """
        api = f"/apis/{group}" if group else "/api/v1"
        return (self._read(f"{api}/namespaces/{namespace}/{kind}") or {}).get("items") or []

    def api_failure(self, version: str, group: str) -> str:
        """Why an API that another server adds does not answer; empty if it does, or nobody has added it.

        Raises:
            DeniedError: the account may not read it.
        """
        service = self._read(f"/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}") or {}
        conditions = (service.get("status") or {}).get("conditions") or []
        failures = [entry for entry in conditions if (entry["type"], entry["status"]) == ("Available", "False")]
        return str(failures[0].get("message") or failures[0].get("reason") or "it is not available") if failures else ""

    def has_namespace(self, name: str) -> bool:
        """Whether there is a namespace; taken to be there where the account may not see it."""
        try:
            return self._read(f"/api/v1/namespaces/{name}") is not None
        except DeniedError:
            return True

    def has_resource(self, group: str, resource: str) -> bool:
        """Whether the cluster serves a kind of objects, such as ``rollouts`` of ``argoproj.io/v1alpha1``."""
        answer = self._read(f"/apis/{group}")
        return answer is not None and any(entry["name"] == resource for entry in answer.get("resources", []))

    def has_endpoints(self, service: str, namespace: str) -> bool:
        """Whether a Service leads to anything that is ready.

        Raises:
            DeniedError: the account may not read it.
        """
        path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
        answer = self._read(path, {"labelSelector": f"kubernetes.io/service-name={service}"}) or {}
        return any(
            (endpoint.get("conditions") or {}).get("ready") is not False
            for entry in answer.get("items") or []
            for endpoint in entry.get("endpoints") or []
        )

    def _read(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any] | None:
        from kubernetes.client import ApiException  # type: ignore[import-untyped]
        from urllib3.exceptions import HTTPError

        try:
            answer: dict[str, Any] = self._client.call_api(
                path,
                "GET",
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json"},
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
        except ApiException as error:
            if error.status in {HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE} and path.startswith("/api"):
                return None  # there is no such object; an aggregated API without its server
            raise self._readable(error, path) from error
        except HTTPError as error:
            raise UnavailableError(
                f"the cluster at {self.host} cannot be reached: {type(getattr(error, 'reason', error)).__name__}",
                key="KUBECONFIG",
                remedy="check KUBECONFIG, and that the cluster runs and can be reached from here",
            ) from error
        return answer

    def _readable(self, error: Any, path: str) -> ModelwayError:
        if unaccepted := credentials_error(error, self.host):
            return unaccepted
        message = answer_message(error)
        if error.status == HTTPStatus.FORBIDDEN:
            remedy = "request the right to read it, or let somebody with that right run this"
            return DeniedError(f"your account may not read this: {message}", file=path, remedy=remedy)
        remedy = "see the API server's log, then run again"
        return UnavailableError(f"the cluster at {self.host} answers {error.status}: {message}", remedy=remedy)
