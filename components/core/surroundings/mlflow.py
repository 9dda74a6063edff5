"""Whether an MLflow server answers, accepts who we are, and is new enough."""

from __future__ import annotations

import re
import time
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from modelway.components.core.errors import first_line
from modelway.components.core.instructions import config_map_lack, in_pod, pod_namespace
from modelway.components.core.storage.certificates import distrust, trust_for_mlflow
from modelway.components.core.storage.mlflow import access_error
from modelway.components.core.surroundings.findings import Finding, Status
from modelway.components.core.surroundings.storage import writable_folder

if TYPE_CHECKING:
    from requests import Response

_SUBJECT, _KEY = "MLflow", "MLFLOW_TRACKING_URI"
_OLDEST = 3  # the first major version with logged models
_TIMEOUT = (3, 7)  # seconds to connect, and to wait for an answer
_PAUSES = (1.0, 1.0)  # seconds between tries: a server or a sidecar that is just starting refuses at once
_flaw = partial(Finding, _SUBJECT, key=_KEY)


def no_tracking_uri() -> Finding:
    """The finding where ``MLFLOW_TRACKING_URI`` is not set."""
    message = f"{_KEY} is not set"
    remedy = "set it to the MLflow server, such as http://mlflow.mlflow:5000"
    if in_pod():
        namespace = pod_namespace()
        lacks, remedy = config_map_lack("mlflow-tracking-uri", namespace)
        message += f": the ConfigMap modelway in the namespace {namespace} {lacks}"
    return _flaw(Status.MISSING, message, remedy)


def tracking_finding(uri: str) -> Finding:
    """Whether runs can be tracked at an address; of a local database only the folder is looked at."""
    if uri.startswith(("http://", "https://")):
        return _server(uri.rstrip("/"))
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).absolute().parent
        finding = writable_folder(_SUBJECT, folder)
        return Finding(_SUBJECT, Status.OK, f"runs are tracked in {uri}") if finding.status is Status.OK else finding
    if "://" not in uri and not uri.startswith("databricks"):
        message = f"{_KEY} is {uri.rpartition('@')[2]!r}, which is not the address of a server"
        remedy = "set it to http(s)://HOST:PORT, or to sqlite:///FILE; MLflow keeps runs in folders no longer"
        return _flaw(Status.MISSING, message, remedy)
    return Finding(_SUBJECT, Status.UNKNOWN, f"{_KEY} is {uri}: only HTTP servers and sqlite are checked")


def load_client() -> None:
    """Imports what `tracking_finding` asks servers with, which takes seconds."""
    import mlflow.tracking.request_header.registry
    import mlflow.utils.rest_utils  # noqa: F401


def _server(uri: str) -> Finding:
    from mlflow.exceptions import MlflowException

    try:
        address = f"{urlsplit(uri).hostname}:{urlsplit(uri).port or ''}".rstrip(":")
    except ValueError:
        message, remedy = f"{_KEY} is not an address", "write http(s)://HOST:PORT; escape /, ? and # in a password by %"
        return _flaw(Status.MISSING, message, remedy)
    service = f"MLflow at {address}"
    try:
        trust_for_mlflow()
        response = _ask_again(uri, "/api/2.0/mlflow/experiments/search?max_results=1")
        if wrong := _wrong(response, service, host=urlsplit(uri).hostname or ""):
            return wrong
        version = _ask(uri, "/version").text.strip()
    except MlflowException as error:
        if untrusted := distrust(error, service, key=_KEY):
            return Finding.of(_SUBJECT, untrusted)
        remedy = f"check {_KEY} and that the server runs, then run again"
        if in_pod():
            remedy += f"; its address is the key mlflow-tracking-uri of the ConfigMap modelway in {pod_namespace()}"
        return _flaw(Status.UNREACHABLE, f"{service} cannot be reached: {_cause(error)}", remedy)
    return _judged_version(version, service)


def _ask(uri: str, path: str) -> Response:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    credentials = get_default_host_creds(uri)  # type: ignore[no-untyped-call]
    response: Response = http_request(  # type: ignore[no-untyped-call]
        credentials, path, "GET", max_retries=0, timeout=_TIMEOUT, raise_on_status=False
    )
    return response


def _ask_again(uri: str, path: str) -> Response:
    """Asks up to three times, as long as connections are refused at once."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import ConnectionError as NoConnectionError
    from requests.exceptions import SSLError, Timeout

    for pause in _PAUSES:
        start = time.monotonic()
        try:
            return _ask(uri, path)
        except MlflowException as error:
            cause = error.__cause__ or error.__context__
            final = not isinstance(cause, NoConnectionError) or isinstance(cause, SSLError | Timeout)
            if final or time.monotonic() - start > 1:
                raise
            time.sleep(pause)
    return _ask(uri, path)


def _wrong(response: Response, service: str, *, host: str) -> Finding | None:
    """What is wrong with the answer to a search for experiments; None if nothing is."""
    status, text = response.status_code, response.text
    if status == HTTPStatus.FORBIDDEN and "Invalid Host header" in text:
        message = f"{service} refuses requests for the host {host!r}"
        remedy = f"start the server with --allowed-hosts {host},{host}:* (or MLFLOW_SERVER_ALLOWED_HOSTS)"
        return _flaw(Status.REFUSED, message, remedy)
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        error = access_error(service, is_known=status == HTTPStatus.FORBIDDEN)
        return _flaw(Status.REFUSED, f"{error.message}: {status}", error.remedy)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return _flaw(Status.UNREACHABLE, f"{service} answers {status}", "see the MLflow server's log, then run again")
    try:
        understood = status == HTTPStatus.OK and isinstance(response.json(), dict)
    except ValueError:
        understood = False
    if understood:
        return None
    kind = response.headers.get("Content-Type", "no content type").partition(";")[0]
    message = f"what answers as {service} is not MLflow: {status}, {kind}"
    remedy = (
        f"check {_KEY}: scheme, host, port and path; a proxy that asks people to log in stands in the way of programs"
    )
    return _flaw(Status.UNREACHABLE, message, remedy)


def _judged_version(version: str, service: str) -> Finding:
    number = re.match(r"(\d+)\.\d+[\w.]*$", version)
    if number is None:
        return Finding(_SUBJECT, Status.OK, f"{service} answers")
    if int(number[1]) < _OLDEST:
        message = f"{service} is version {version}; models are kept with MLflow {_OLDEST} or newer"
        return _flaw(Status.MISSING, message, f"bring the server to MLflow {_OLDEST} or newer")
    return Finding(_SUBJECT, Status.OK, f"{service} answers, version {version}")


def _cause(error: Exception) -> str:
    """Why no answer came, in a few words."""
    text = first_line(error)
    for sign, words in (
        ("Connection refused", "connection refused"),
        ("timeout", "no answer within seconds"),
        ("timed out", "no answer within seconds"),
        ("Name or service not known", "the host is not known"),
        ("Failed to resolve", "the host is not known"),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS; is it http:// ?"),
    ):
        if sign in text or sign in str(error.__context__):
            return words
    return text
