"""What speaks against promoting a version to an environment: that it ended badly there, or is older than what serves.

None of it blocks a promotion, as `approvals.promotion_blockers` says what does: a person may have good reasons.
"""

from __future__ import annotations

from collections.abc import Iterable

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import Period, periods


def promotion_doubts(entries: Iterable[Entry], model: str, *, version: str, environment: str) -> list[str]:
    """What speaks against promoting a version to an environment, a sentence each; empty if nothing does.

    The last time counts that the environment served it; one that was undone without a verdict does not count. A version
    that serves, or is being rolled out, is not doubted.

    Args:
        entries: The audit log's entries in order.
        model: The registered model's name.
        version: The version.
        environment: The environment.
    """
    history = periods(entries, model, environment=environment)
    own = [period for period in history if period.version == version and not period.inconclusive]
    serving = _serving_version(history)
    if version == serving or (own and own[-1].end is None):
        return []
    doubts = []
    if own and (ending := _bad_end(own[-1])):
        doubts.append(f"{environment} serves {f'version {serving}' if serving else 'nothing'}: {ending}")
    if version.isdecimal() and serving.isdecimal() and int(version) < int(serving):
        served = [period for period in own if not period.undone]
        earlier = "has not served this one"
        if served:
            since, until = served[-1].since, served[-1].until or served[-1].since
            earlier = f"served this one from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC"
        doubts.append(f"{environment} serves version {serving}, which is newer, and {earlier}")
    return doubts


def _serving_version(history: list[Period]) -> str:
    """The version that serves, which the one that is being rolled out may replace; empty if none does."""
    if not history or history[-1].end is not None:
        return ""
    return next((period.version for period in reversed(history) if period.state in {"serving", "served"}), "")


def _bad_end(period: Period) -> str:
    """How an environment's service of a version ended, and why, where it did not end well."""
    if period.end is None or not (period.undone or period.rolled_back):
        return ""
    deed = "this one was undone" if period.undone else f"{period.end.actor} rolled back from this one"
    reason = period.end.details.get("reason", "")
    return f"{deed} there at {period.end.time:%Y-%m-%d %H:%M} UTC" + (f", {reason}" if reason else "")
