"""The cluster that attacks are made on, where they need one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cluster_installation import Api, Installation, api_server, installed


@pytest.fixture(scope="session")
def api() -> Api:
    """The API server, asked as the administrator."""
    return api_server()


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Both overlays with their Rollouts, the pipelines' part, and the admission policies."""
    with installed(tmp_path_factory.mktemp("installation")) as environment:
        yield environment
