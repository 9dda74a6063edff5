from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from gate_checks import failed_checks, find_check


def test_a_server_that_is_not_ready_in_time_fails_and_is_stopped(prober: Any, servers: Callable[[], list[str]]) -> None:
    class Endless:
        def __reduce__(self) -> Any:
            return time.sleep, (60,)

    gate = prober(Endless, timeout_seconds=2)
    assert failed_checks(gate) == ["server_starts"]
    assert "was not ready within 2 seconds" in find_check(gate, "server_starts").message
    assert not servers()
