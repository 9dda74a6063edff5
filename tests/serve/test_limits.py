from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.limits import Limits, allow_open_files


@pytest.fixture
def hard() -> Iterator[int]:
    """The hard limit of open files; the soft one is restored."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_as_many_files_may_be_opened_as_connections_need(hard: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    allow_open_files(200)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 512
    allow_open_files(Limits.connections)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > Limits.connections


def test_more_connections_than_the_system_allows_are_refused(hard: int) -> None:
    if hard == resource.RLIM_INFINITY:
        pytest.skip("the system has no limit")
    with pytest.raises(ModelwayError, match="open files, but the system allows") as error:
        allow_open_files(hard)
    assert error.value.remedy.startswith("allow fewer with --max-connections")
