"""Whether the server lives through everything that it is asked."""

from __future__ import annotations

from modelway.components.core.checks import Check, passed_or_failed
from modelway.components.probe.measuring import Observed


def server_alive_check(observed: Observed) -> Check:
    """That the server lived through everything, or what killed it."""
    message = "the server answered its health after everything that it was asked"
    if observed.death:
        message = (
            f"the server died when it was asked {observed.death}; its log ends with: {observed.log or 'nothing'}; "
            "a model must raise an exception and never end its process"
        )
    return passed_or_failed("server_alive", not observed.death, message=message)
