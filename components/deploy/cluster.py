"""The client of Kubernetes: a namespace's objects as plain data, with errors that say what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError, first_line
from modelway.components.core.parsing import parse_json
from modelway.components.core.surroundings.api_server import answer_message, credentials_error, denied_account
from modelway.components.core.surroundings.kubeconfig import api_client

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
    "releasedimages": "apis/modelway.io/v1",
    "services": "api/v1",
    "pods": "api/v1",
    "events": "api/v1",
    "nodes": "api/v1",
}
_NEEDS = {"rollouts": "Argo Rollouts", "inferenceservices": "KServe"}
_CONNECT_SECONDS, _ANSWER_SECONDS = 10, 30
UNLISTED = "ReleasedImages modelway do not list"  # as components/admission/releases.yaml says it
_UNTIL_LISTED = (0.2, 0.5, 1, 2)  # seconds: API servers hear of a change of the list a moment after it was made


class MissingKindError(ModelwayError):
    """The cluster does not have this kind of object."""


class Cluster:
    """A namespace of a cluster.

    Args:
        client: A client of the API server (``kubernetes.client.ApiClient``).
        namespace: The namespace.
        connect_seconds: How long the API server may take to be reached.
    """

    def __init__(self, client: Any, namespace: str, *, connect_seconds: float = _CONNECT_SECONDS) -> None:
        self._client, self.namespace, self._connect_seconds = client, namespace, connect_seconds

    @classmethod
    def connect(cls, namespace: str, *, connect_seconds: float | None = None) -> Cluster:
        """Connects to the cluster of ``KUBECONFIG``, or else to the one that this runs in.

        Args:
            namespace: The namespace.
            connect_seconds: How long the API server may take to be reached, in one try; None: ten seconds, and tries.

        Raises:
            SetupError: there is neither, or its configuration cannot be used.
        """
        if connect_seconds is None:
            return cls(api_client(), namespace)
        return cls(api_client(patient=False), namespace, connect_seconds=connect_seconds)

    def get(self, resource: str, name: str) -> Object | None:
        """An object by name; None if there is none.

        Raises:
            MissingKindError: the cluster does not have this kind of object.
        """
        try:
            return self._request("GET", resource, name=name)
        except NotFoundError:
            return None

    def find(self, resource: str, selector: str) -> list[Object]:
        """The objects that match a label selector."""
        answer = self._request("GET", resource, query={"labelSelector": selector})
        return list(answer["items"])

    def find_everywhere(self, resource: str, query: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a kind, in all namespaces or in none, such as nodes.

        Raises:
            CredentialsError: the account may not list them.
        """
        with self._translate_errors(resource, ""):
            answer = self._call("GET", f"{_APIS[resource]}/{resource}", body=None, query=query)
        return list(answer["items"])

    def create(self, resource: str, body: Mapping[str, Any]) -> Object:
        """Creates an object in the namespace."""
        return self._request("POST", resource, body=body)

    def patch(self, resource: str, name: str, *, operations: Sequence[Operation], subresource: str = "") -> Object:
        """Changes an object by a JSON patch."""
        return self._request("PATCH", resource, name=name, subresource=subresource, body=list(operations))

    def delete(self, resource: str, name: str) -> None:
        """Deletes an object at once, if it exists."""
        with suppress(NotFoundError):
            self._request("DELETE", resource, name=name, query={"gracePeriodSeconds": "0"})

    def log(self, pod: str, container: str, *, lines: int, previous: bool) -> list[str]:
        """The last lines of a container's log, or of that before its last restart; none where they cannot be read."""
        from kubernetes.client import CoreV1Api

        try:
            with self._translate_errors("pods/log", pod):
                answer = CoreV1Api(self._client).read_namespaced_pod_log(
                    pod,
                    self.namespace,
                    container=container,
                    tail_lines=lines,
                    previous=previous,
                    _preload_content=False,
                    _request_timeout=(self._connect_seconds, _ANSWER_SECONDS),
                )
        except ModelwayError:
            return []
        text = bytes(answer.data).decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()]

    def send(self, pod: str, port: int, *, path: str, body: Object, seconds: float) -> tuple[int, Any]:
        """Posts JSON to a port of a pod through the API server, so that it works wherever that can be reached.

        Returns:
            The HTTP status of the pod's answer, whatever it is, and the body's JSON, or its text where it is not JSON.

        Raises:
            UnavailableError: the API server or the pod cannot be reached, or does not answer in time.
            CredentialsError: the account may not send requests to pods.
            ModelwayError: the pod does not exist, or the API server rejects the request.
        """
        from kubernetes.client import ApiException

        with self._translate_errors("pods/proxy", pod):
            try:
                proxy = f"api/v1/namespaces/{self.namespace}/pods/{pod}:{port}/proxy{path}"
                content = self._call("POST", proxy, body=body, seconds=seconds)
            except ApiException as error:
                answer = _content(error.body)
                if not error.status or (isinstance(answer, dict) and answer.get("kind") == "Status"):
                    raise  # an answer of the API server itself, or none at all
                return int(error.status), answer
            except UnicodeDecodeError:
                content = None
        return int(HTTPStatus.OK), content

    def check_may_send(self) -> None:
        """Checks that the account may send requests to the namespace's pods.

        Raises:
            CredentialsError: it may not.
        """
        with suppress(NotFoundError):  # access is checked before the pod is looked up
            self.send("modelway-may-send", 8080, path="/", body={}, seconds=_ANSWER_SECONDS)

    def warnings(self, kind: str, prefix: str) -> list[str]:
        """Kubernetes' warnings about objects of a kind whose names start with `prefix-`, the latest last."""
        query = {"fieldSelector": f"involvedObject.kind={kind},type=Warning"}
        events = self._request("GET", "events", query=query)["items"]
        return [
            str(event["message"])
            for event in sorted(events, key=lambda event: event.get("lastTimestamp") or "")
            if str(event["involvedObject"]["name"]).startswith(f"{prefix}-")
        ]

    def _request(
        self,
        method: str,
        resource: str,
        *,
        name: str = "",
        subresource: str = "",
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        parts = [_APIS[resource], "namespaces", self.namespace, resource, name, subresource]
        path = "/".join(filter(None, parts))
        for pause in (*_UNTIL_LISTED, None):
            try:
                with self._translate_errors(resource, name):
                    answer: Object = self._call(method, path, body=body, query=query)
            except ModelwayError as error:
                if pause is None or UNLISTED not in error.message:
                    raise
                time.sleep(pause)
            else:
                return answer
        raise AssertionError

    def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any,
        query: Mapping[str, str] | None = None,
        seconds: float = _ANSWER_SECONDS,
    ) -> Any:
        kind = "application/json-patch+json" if method == "PATCH" else "application/json"
        return self._client.call_api(
            f"/{path}",
            method,
            query_params=list((query or {}).items()),
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            response_type="object",
            auth_settings=["BearerToken"],
            _return_http_data_only=True,
            _request_timeout=(self._connect_seconds, seconds),
        )

    @contextmanager
    def _translate_errors(self, resource: str, name: str) -> Iterator[None]:
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            raise self._modelway_error(error, resource, name=name) from error
        except HTTPError as error:
            raise UnavailableError(
                f"the cluster's API server cannot be reached: {first_line(error)}",
                file=self._client.configuration.host,
                remedy="check KUBECONFIG and that the cluster runs, then run again: it resumes where it stopped",
            ) from error

    def _modelway_error(self, error: ApiException, resource: str, *, name: str) -> ModelwayError:
        content, place = _content(error.body), f"{self.namespace}/{resource}/{name}".rstrip("/")
        status = content if isinstance(content, dict) else {}
        message = answer_message(error)
        kind: type[ModelwayError] = ModelwayError
        if unaccepted := credentials_error(error, self._client.configuration.host):
            return unaccepted
        if account := denied_account(error):
            kind, problem = CredentialsError, f"the cluster refuses access: {message}"
            remedy = (
                f"bind {account} to the Role modelway-deployer of manifests/base/rbac in the namespace "
                f"{self.namespace}, or use an account that is"
            )
        elif error.status == HTTPStatus.NOT_FOUND and not (status.get("details") or {}).get("name"):
            kind, problem = MissingKindError, f"the cluster has no {resource}"
            provider = _NEEDS.get(resource, "what provides them")
            remedy = f"install {provider}, or choose another `deployment.target` in the policy"
        elif error.status == HTTPStatus.NOT_FOUND:
            kind, problem = NotFoundError, f"{place} does not exist: {message}"
            remedy = f"create the environment's objects: `kubectl apply -k` the overlay for {self.namespace}"
        elif error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.TOO_MANY_REQUESTS:
            kind, problem = UnavailableError, f"the cluster's API server answers {error.status}: {message}"
            remedy = "see the API server's log, then run again: it resumes where it stopped"
        else:
            problem, remedy = f"the cluster rejects the change: {message}", "fix what it names, then run again"
        return kind(problem, file=place, remedy=remedy)


def _content(body: Any) -> Any:
    """A body's JSON, or the body where it is not JSON."""
    try:
        return parse_json(body)
    except (TypeError, ValueError):
        return body
