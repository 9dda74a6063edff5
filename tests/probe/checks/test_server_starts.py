from __future__ import annotations

from typing import Any

from gate_checks import failed_checks, find_check


def test_a_server_that_does_not_start_fails_with_its_last_words(prober: Any) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    gate = prober(Unloadable)
    assert failed_checks(gate) == ["server_starts"]
    assert "ended with status 3; its log ends with: error: the model cannot be loaded: invalid literal" in (
        find_check(gate, "server_starts").message
    )
    assert "The end of the server's log" in prober.page
