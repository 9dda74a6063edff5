"""The cluster that the environment names: its kubeconfig file, read with errors that say what is wrong with it."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from modelway.components.core.errors import SetupError, first_line
from modelway.components.core.instructions import in_pod

KUBECONFIG = "KUBECONFIG"
_REMEDY = "set KUBECONFIG to a kubeconfig file that works: `kubectl config view` prints what kubectl uses"


def is_cluster_configured() -> bool:
    """Whether there is a cluster that `cluster_configuration` would read the settings of; asks nothing."""
    return bool(kubeconfig_file()) or in_pod()


def cluster_configuration() -> Any | None:
    """The settings of the cluster that ``KUBECONFIG`` names, else ``~/.kube/config``, else of the one this runs in.

    Returns:
        A ``kubernetes.client.Configuration``; None where there is no cluster.

    Raises:
        SetupError: the file is missing or malformed, what it names cannot be read, or its plugin fails.
    """
    import urllib3
    from kubernetes import client, config  # type: ignore[import-untyped]

    file = kubeconfig_file()  # passed explicitly: the library reads the variable only when it is imported
    settings = client.Configuration()
    if file:
        try:
            with _plugin_errors(file):
                config.load_kube_config(file, client_configuration=settings)
        except config.ConfigException as error:
            raise _error(file, first_line(error)) from error
        except SetupError:
            raise
        except OSError as error:
            raise _error(file, error.strerror or first_line(error)) from error
        except Exception as error:  # whatever the library makes of a file that is no kubeconfig
            raise _error(file, f"it is not a kubeconfig file: {first_line(error)}") from error
        _check(settings, file)
    elif in_pod():
        try:
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException as error:
            raise SetupError(
                f"no cluster is configured: {first_line(error)}",
                key=KUBECONFIG,
                remedy="mount the pod's service account, or set KUBECONFIG to a kubeconfig file",
            ) from error
    else:
        return None
    if not settings.verify_ssl:  # the file says so; without this each call would be warned of
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return settings


def api_client(*, patient: bool = True) -> Any:
    """A client of that cluster's API server (``kubernetes.client.ApiClient``).

    Args:
        patient: Whether it tries again where the API server cannot be reached.

    Raises:
        SetupError: there is no cluster, or its configuration cannot be used.
    """
    from kubernetes import client

    configuration = cluster_configuration()
    if configuration is None:
        raise SetupError(
            "no cluster is configured: there is no kubeconfig file, and this is no pod of a cluster",
            key=KUBECONFIG,
            remedy="set KUBECONFIG to a kubeconfig file, or run in a pod of the cluster with a service account",
        )
    if not patient:
        configuration.retries = False
    return client.ApiClient(configuration)


def kubeconfig_file() -> str:
    """The kubeconfig file that ``KUBECONFIG`` names, or the account's own; empty where there is neither."""
    own = os.path.expanduser("~/.kube/config")  # noqa: PTH111 - Path.expanduser raises without a home
    return os.environ.get(KUBECONFIG) or (own if Path(own).exists() else "")


def current_context(file: str) -> str:
    """The current context of a kubeconfig file and its user, in words; empty where it cannot be read."""
    from kubernetes import config

    try:
        _, current = config.list_kube_config_contexts(file)
        return f"the context {current['name']!r} (user {current['context']['user']!r})"
    except Exception:  # whatever the library makes of a file that was changed since it was read
        return ""


def _check(settings: Any, file: str) -> None:
    """Checks what the library would notice at the first call only."""
    address = urlsplit(settings.host or "")
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise _error(file, f"its cluster's server is no address: {settings.host!r}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if settings.ssl_ca_cert:
            context.load_verify_locations(settings.ssl_ca_cert)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
    except (OSError, ValueError) as error:
        raise _error(file, f"a certificate or key that it names cannot be read: {first_line(error)}") from error


@contextmanager
def _plugin_errors(file: str) -> Iterator[None]:
    """Raises what the library only logs: that the plugin which gets the credentials fails."""
    errors = _Errors()
    root = logging.getLogger()
    root.addHandler(errors)
    try:
        yield
    finally:
        root.removeHandler(errors)
    if errors.messages:
        raise _error(file, f"its credentials' plugin fails: {errors.messages[0]}")


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def _error(file: str, problem: str) -> SetupError:
    return SetupError(f"no cluster is configured: {problem}", key=KUBECONFIG, file=file, remedy=_REMEDY)
