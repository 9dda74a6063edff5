from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from modelway.components.serve.limits import Limits, allowed_connections


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit of open files; the soft one is restored."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_as_many_files_may_be_opened_as_connections_need(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    assert allowed_connections(200) == 200
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    assert allowed_connections(Limits.connections) == Limits.connections
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 2 * Limits.connections


def test_no_more_connections_are_allowed_than_the_system_has_files_for(
    hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("the system has no limit")
    assert hard // 2 - 100 < allowed_connections(hard) < hard // 2
    assert "instead of" in caplog.text
