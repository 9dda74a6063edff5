"""Whether the server survives every request."""

from __future__ import annotations

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.probe.measuring import Measurements


def server_alive_check(measurements: Measurements) -> Check:
    """Checks that the server survived every request; names the one that killed it."""
    message = "the server answered its health check after every request"
    if measurements.death:
        message = (
            f"the server died of {measurements.death}; its log ends with: {measurements.log or 'nothing'}; "
            "a model must raise an exception and never end its process"
        )
    return passed_or_failed("server_alive", not measurements.death, message=message)
