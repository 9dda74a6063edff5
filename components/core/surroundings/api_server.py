"""Why the API server of a cluster refuses: credentials that it does not accept, or an account that lacks a right."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from modelway.components.core.addresses import without_secrets
from modelway.components.core.errors import CredentialsError
from modelway.components.core.parsing import parse_json
from modelway.components.core.surroundings.kubeconfig import KUBECONFIG, current_context, kubeconfig_file

if TYPE_CHECKING:
    from kubernetes.client import ApiException  # type: ignore[import-untyped]

_ACCOUNT = re.compile(r'User "([^"]+)" cannot ')  # as the server says who lacks a right
_ANONYMOUS = "system:anonymous"  # whom it takes a caller for who sends no credentials


def answer_message(error: ApiException) -> str:
    """What the API server says, in its own words where it has any."""
    try:
        return str(parse_json(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return without_secrets(str(error.body or error.reason)).strip()[:300]


def denied_account(error: ApiException) -> str:
    """The account that lacks a right, as the API server names it; empty if the answer is about something else.

    Quotas and admission rules answer 403 too.
    """
    account = _ACCOUNT.search(answer_message(error)) if error.status == HTTPStatus.FORBIDDEN else None
    return account[1] if account is not None else ""


def credentials_error(error: ApiException, host: str) -> CredentialsError | None:
    """The error of credentials that the API server does not accept or did not get; None if its answer is another.

    Args:
        error: The answer.
        host: The API server's address.

    Returns:
        The error, which names the kubeconfig file and the context in use, or the pod's service account.
    """
    if error.status != HTTPStatus.UNAUTHORIZED and denied_account(error) != _ANONYMOUS:
        return None
    why, file = f"it answers {error.status} ({answer_message(error)})", kubeconfig_file()
    if not file:
        return CredentialsError(
            f"the cluster at {host} does not accept the token of this pod's service account: {why}",
            remedy="see that the service account still exists, and start the task or pod again: it gets a new token",
        )
    return CredentialsError(
        f"the cluster at {host} does not accept the credentials of {current_context(file) or file}: {why}",
        key=KUBECONFIG,
        file=file,
        remedy="log in to the cluster again or renew the token; or name another file by KUBECONFIG, another context by "
        "`kubectl config use-context`",
    )
