"""The development cluster's one node, which tests that change it or fill it use one after the other."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def whole_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Waits until nobody else has the node, and has it until the end of the block."""
    with (tmp_path_factory.getbasetemp().parent / "rollouts.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
