"""What the errors of MLflow's client mean, and what to do about them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError, first_line
from modelway.components.core.storage.certificates import distrust

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"}
NO_ALIAS = _ABSENT | {"INVALID_PARAMETER_VALUE"}
_AWAY = {"TEMPORARILY_UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
_REFUSED = {"PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}


@contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Turns MLflow's errors into ones that say what to do.

    Args:
        uri: The tracking server.

    Raises:
        NotFoundError: MLflow has no such thing.
        CredentialsError: it refuses access.
        UnavailableError: it cannot be reached, or not now.
        ModelwayError: it answers something else.
    """
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except MlflowException as error:
        if error.error_code in _REFUSED:
            raise CredentialsError(
                f"MLflow at {uri} refuses access",
                key="MLFLOW_TRACKING_URI",
                remedy="check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD (or MLFLOW_TRACKING_TOKEN)",
            ) from error
        # Of one file among several that failed, MLflow keeps only the text.
        no_answer = isinstance(error.__context__, RequestException) or "Max retries exceeded" in str(error)
        if no_answer or error.error_code in _AWAY:
            raise _unreachable(uri, error) from error
        kind = NotFoundError if error.error_code in _ABSENT else ModelwayError
        raise kind(
            f"MLflow at {uri} answers: {first_line(error)}",
            key="MLFLOW_TRACKING_URI",
            remedy="see the MLflow server's log",
        ) from error
    except RequestException as error:
        raise _unreachable(uri, error) from error


def _unreachable(uri: str, error: Exception) -> UnavailableError:
    return distrust(error, f"MLflow at {uri}", key="MLFLOW_TRACKING_URI") or UnavailableError(
        f"MLflow at {uri} cannot be reached",
        key="MLFLOW_TRACKING_URI",
        remedy="check MLFLOW_TRACKING_URI and that the server runs, then run again",
    )
