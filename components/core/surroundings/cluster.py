"""The connection to a Kubernetes cluster: the one of ``KUBECONFIG``, or else the one that this runs in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from modelway.components.core.errors import ModelwayError, first_line


def api_client() -> Any:
    """A client of the cluster's API server (``kubernetes.client.ApiClient``).

    Raises:
        ModelwayError: no cluster is configured.
    """
    import urllib3
    from kubernetes import client, config  # type: ignore[import-untyped]

    configuration = client.Configuration()
    # Passed explicitly: the library reads the variable only when it is imported.
    kubeconfig = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    try:
        if os.environ.get("KUBECONFIG") or Path(kubeconfig).exists():
            config.load_kube_config(kubeconfig, client_configuration=configuration)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as error:
        raise ModelwayError(
            f"no cluster is configured: {first_line(error)}",
            key="KUBECONFIG",
            remedy="set KUBECONFIG to a kubeconfig file, or run in a pod of the cluster with a service account",
        ) from error
    if not configuration.verify_ssl:  # the kubeconfig says so; otherwise each call prints a warning
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    return client.ApiClient(configuration)
