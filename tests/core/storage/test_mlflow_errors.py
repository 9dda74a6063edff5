from __future__ import annotations

import pytest
from mlflow.exceptions import MlflowException
from requests.exceptions import ConnectionError as NoConnectionError

from modelway.components.core.errors import CredentialsError, ModelwayError, NotFoundError, UnavailableError
from modelway.components.core.storage.mlflow_errors import translate_errors

URI = "http://ada:secret@mlflow:5000"


def answer(code: str) -> MlflowException:
    error = MlflowException("no such thing")
    error.error_code = code
    return error


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (answer("RESOURCE_DOES_NOT_EXIST"), NotFoundError, "answers: no such thing"),
        (answer("PERMISSION_DENIED"), CredentialsError, "refuses access"),
        (answer("TEMPORARILY_UNAVAILABLE"), UnavailableError, "cannot be reached"),
        (answer("INVALID_PARAMETER_VALUE"), ModelwayError, "answers: no such thing"),
        (MlflowException("Max retries exceeded with url: /api"), UnavailableError, "cannot be reached"),
        (NoConnectionError("refused"), UnavailableError, "cannot be reached"),
    ],
)
def test_errors_of_the_client_say_what_to_do(error: Exception, kind: type[ModelwayError], message: str) -> None:
    with pytest.raises(ModelwayError, match=message) as raised_error, translate_errors(URI):
        raise error
    assert type(raised_error.value) is kind
    assert "secret" not in str(raised_error.value)
    assert raised_error.value.key == "MLFLOW_TRACKING_URI"
