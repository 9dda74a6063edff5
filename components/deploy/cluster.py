"""The edge to Kubernetes: one namespace's objects as plain data, with errors that say what to do."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError, first_line

if TYPE_CHECKING:
    from kubernetes.client import ApiException  # type: ignore[import-untyped]

Object = dict[str, Any]
Operation = dict[str, Any]  # of a JSON patch, RFC 6902

_APIS = {
    "rollouts": "apis/argoproj.io/v1alpha1",
    "analysistemplates": "apis/argoproj.io/v1alpha1",
    "analysisruns": "apis/argoproj.io/v1alpha1",
    "deployments": "apis/apps/v1",
    "replicasets": "apis/apps/v1",
    "inferenceservices": "apis/serving.kserve.io/v1beta1",
    "services": "api/v1",
    "pods": "api/v1",
    "events": "api/v1",
}
_NEEDS = {"rollouts": "Argo Rollouts", "inferenceservices": "KServe"}
_TIMEOUT = (10, 30)  # seconds to connect, and to answer


@dataclass(frozen=True)
class PodAnswer:
    """What a pod answered.

    Attributes:
        status: The HTTP status.
        content: The body's JSON; its text where it is none.
    """

    status: int
    content: Any


class Cluster:
    """One namespace of a cluster.

    Args:
        client: A client of the API server (``kubernetes.client.ApiClient``).
        namespace: The namespace.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self._client, self.namespace = client, namespace

    @classmethod
    def connect(cls, namespace: str) -> Cluster:
        """The cluster that ``KUBECONFIG`` names; without it, the one that this runs in.

        Raises:
            ModelwayError: there is neither.
        """
        import urllib3
        from kubernetes import client, config  # type: ignore[import-untyped]

        found = client.Configuration()
        # Named, since the library reads the variable when it is imported, and not again.
        named = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        try:
            if os.environ.get("KUBECONFIG") or Path(named).exists():
                config.load_kube_config(named, client_configuration=found)
            else:
                config.load_incluster_config(client_configuration=found)
        except config.ConfigException as error:
            raise ModelwayError(
                f"no cluster is known: {first_line(error)}",
                key="KUBECONFIG",
                remedy="name a kubeconfig file as KUBECONFIG, or run in a pod of the cluster with a service account",
            ) from error
        if not found.verify_ssl:  # the kubeconfig says so; without this each call would be warned of
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        return cls(client.ApiClient(found), namespace)

    def get(self, resource: str, name: str) -> Object | None:
        """An object; None if there is none of the name.

        Raises:
            ModelwayError: the cluster knows no such kind of object.
        """
        try:
            return self._ask("GET", resource, name=name)
        except NotFoundError:
            return None

    def find(self, resource: str, selector: str) -> list[Object]:
        """The objects with some labels."""
        answer = self._ask("GET", resource, query={"labelSelector": selector})
        return list(answer["items"])

    def create(self, resource: str, body: Mapping[str, Any]) -> Object:
        """Makes an object in the namespace."""
        return self._ask("POST", resource, body=body)

    def patch(self, resource: str, name: str, *, operations: Sequence[Operation], subresource: str = "") -> Object:
        """Changes an object by a JSON patch."""
        kind = "application/json-patch+json"
        return self._ask("PATCH", resource, name=name, subresource=subresource, body=list(operations), kind=kind)

    def delete(self, resource: str, name: str) -> None:
        """Removes an object at once, if it is there."""
        try:
            self._ask("DELETE", resource, name=name, query={"gracePeriodSeconds": "0"})
        except NotFoundError:
            return

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> list[str]:
        """The last lines that a container wrote; none where they cannot be had.

        Args:
            pod: The pod's name.
            container: The container's.
            lines: How many.
            previous: Whether those before its last restart are meant.
        """
        query = {"container": container, "tailLines": str(lines), "previous": str(previous).lower()}
        try:
            text = self._text(pod, query)
        except ModelwayError:
            return []
        return [line for line in text.splitlines() if line.strip()]

    def send(self, pod: str, port: int, *, path: str, body: Object, seconds: float) -> PodAnswer:
        """Sends JSON to a port of a pod, through the API server, and so from wherever that can be reached.

        Args:
            pod: The pod's name.
            port: The port.
            path: The path there, with its slash.
            body: What is sent.
            seconds: How long the answer may take.

        Returns:
            What the pod answered, whatever its status.

        Raises:
            UnavailableError: the API server or, by its word, the pod cannot be reached, or does not answer in time.
            CredentialsError: the account may not send anything to pods.
            ModelwayError: the pod is not there, or the API server does not pass the request on.
        """
        from kubernetes.client import ApiException

        with self._explaining("pods/proxy", pod):
            try:
                content = self._client.call_api(
                    f"/api/v1/namespaces/{self.namespace}/pods/{pod}:{port}/proxy{path}",
                    "POST",
                    header_params={"Accept": "application/json", "Content-Type": "application/json"},
                    body=body,
                    response_type="object",
                    auth_settings=["BearerToken"],
                    _return_http_data_only=True,
                    _request_timeout=(_TIMEOUT[0], seconds),
                )
            except ApiException as error:
                answer = _content(error.body)
                if not error.status or (isinstance(answer, dict) and answer.get("kind") == "Status"):
                    raise  # the API server's own word, or none at all
                return PodAnswer(int(error.status), answer)
            except UnicodeDecodeError:
                content = None
        return PodAnswer(int(HTTPStatus.OK), content)

    def check_sending(self) -> None:
        """Makes sure that the account may send requests to the namespace's pods.

        Raises:
            CredentialsError: it may not.
        """
        with suppress(NotFoundError):  # whether one may is asked before whether the pod is there
            self.send("modelway-may-send", 8080, path="/", body={}, seconds=_TIMEOUT[1])

    def warnings(self, kind: str, prefix: str) -> list[str]:
        """What Kubernetes warns of about objects of a kind whose names begin so, the latest last."""
        query = {"fieldSelector": f"involvedObject.kind={kind},type=Warning"}
        events = sorted(
            self._ask("GET", "events", query=query)["items"], key=lambda one: one.get("lastTimestamp") or ""
        )
        return [str(one["message"]) for one in events if str(one["involvedObject"]["name"]).startswith(f"{prefix}-")]

    def _ask(
        self,
        method: str,
        resource: str,
        *,
        name: str = "",
        subresource: str = "",
        body: Any = None,
        query: Mapping[str, str] | None = None,
        kind: str = "application/json",
    ) -> Object:
        parts = [_APIS[resource], "namespaces", self.namespace, resource, name, subresource]
        with self._explaining(resource, name):
            found: Object = self._client.call_api(
                "/" + "/".join(part for part in parts if part),
                method,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": kind},
                body=body,
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=_TIMEOUT,
            )
        return found

    def _text(self, pod: str, query: Mapping[str, str]) -> str:
        with self._explaining("pods/log", pod):
            answer = self._client.call_api(
                f"/api/v1/namespaces/{self.namespace}/pods/{pod}/log",
                "GET",
                query_params=list(query.items()),
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
        return bytes(answer.data).decode(errors="replace")

    @contextmanager
    def _explaining(self, resource: str, name: str) -> Iterator[None]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            raise self._explained(error, resource, name=name) from error
        except HTTPError as error:
            raise UnavailableError(
                f"the cluster's API server cannot be reached: {first_line(error)}",
                file=self._client.configuration.host,
                remedy="check KUBECONFIG and that the cluster runs, then run again: it goes on where it stopped",
            ) from error

    def _explained(self, error: ApiException, resource: str, *, name: str) -> ModelwayError:
        said, where = _said(error), f"{self.namespace}/{resource}/{name}".rstrip("/")
        if error.status == HTTPStatus.UNAUTHORIZED or (error.status == HTTPStatus.FORBIDDEN and " cannot " in said):
            return CredentialsError(
                f"the cluster refuses access: {said}",
                file=where,
                remedy="bind the account to the Role modelway-deployer of manifests/base/rbac in this namespace",
            )
        if error.status == HTTPStatus.NOT_FOUND:
            if not _is_about_an_object(error):
                return ModelwayError(
                    f"the cluster has no {resource}",
                    file=where,
                    remedy=f"install {_NEEDS.get(resource, 'what serves them')}, or choose another "
                    "`deployment.target` in the policy",
                )
            remedy = f"make what an environment needs: `kubectl apply -k` the overlay for {self.namespace}"
            return NotFoundError(f"{where} is not there: {said}", file=where, remedy=remedy)
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.TOO_MANY_REQUESTS:
            return UnavailableError(
                f"the cluster's API server answers {error.status}: {said}",
                file=where,
                remedy="see the API server's log, then run again: it goes on where it stopped",
            )
        return ModelwayError(
            f"the cluster refuses the change: {said}", file=where, remedy="correct what it names, then run again"
        )


def _content(body: Any) -> Any:
    """A body's JSON; itself where it is none."""
    try:
        return json.loads(body)
    except (TypeError, ValueError):
        return body


def _is_about_an_object(error: ApiException) -> bool:
    """Whether an answer names an object, and not a kind or a path that the cluster does not know at all."""
    try:
        return bool(json.loads(error.body)["details"]["name"])
    except (TypeError, ValueError, KeyError):
        return False


def _said(error: ApiException) -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.body or error.reason).strip()[:300]
