"""What a fork leaves behind, as an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.errors import CrashError, ModelwayError, NotFoundError
from modelway.pipelines.local.worker_client import error_of


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        ({"kind": "NotFoundError", "error": {"message": "no such file", "remedy": "r"}}, NotFoundError, "no such file"),
        ({"crash": "KeyError: 'a'", "log": "a.log"}, CrashError, "KeyError: 'a'"),
        ({"log": "a.log"}, ModelwayError, "ended without an error message"),
    ],
)
def test_an_answer_is_the_error_that_it_tells_of(
    answer: dict[str, object], kind: type[ModelwayError], message: str, tmp_path: Path
) -> None:
    error = error_of(answer, tmp_path)
    assert type(error) is kind
    assert message in error.message
    assert list(tmp_path.iterdir()) == []
