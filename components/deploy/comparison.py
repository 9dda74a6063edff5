"""What serves in an environment by the record, compared with what serves by the cluster, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import Period
from modelway.components.core.audit.lock import PromotionLock
from modelway.components.deploy.reconciliation import undo_reasons
from modelway.components.deploy.serving import Serving

State = Literal["same", "changing", "undone", "differs", "unknown"]


@dataclass(frozen=True)
class Comparison:
    """The record of an environment, and what the cluster says.

    Attributes:
        environment: The environment.
        state: ``same``: the ready pods serve the recorded version and no other; ``changing``: a promotion changes what
            they serve, or died at that; ``undone``: a promotion that has not ended was undone; ``differs``: they serve
            something else; ``unknown``: the cluster does not say.
        sentence: The same in words.
        serving: What the cluster serves; None where it does not say.
    """

    environment: str
    state: State
    sentence: str
    serving: Serving | None = None

    def json(self) -> dict[str, Any]:
        """The comparison as `--json` prints it."""
        cluster = None if self.serving is None else self.serving.json()
        return {"state": self.state, "sentence": self.sentence, "cluster": cluster}


def compare(
    environment: str,
    period: Period | None,
    *,
    lock: PromotionLock | None,
    entries: Iterable[Entry],
    serving: Serving | None,
) -> Comparison:
    """Compares the record of an environment with what the cluster serves.

    Args:
        environment: The environment.
        period: The latest of what it served, by the record; None: nothing yet.
        lock: The promotion that holds it, alive or dead; None if none does.
        entries: The audit log's.
        serving: What the cluster serves; None: there is no such object.
    """
    version = "" if period is None or period.until is not None else period.version
    record = f"{environment}: {_record(version, lock)}"
    if serving is None:
        state: State = "changing" if lock is not None else "differs"
        return Comparison(environment, state, f"{record}; the cluster has no such object")
    pods = serving.pods()
    if lock is None:
        if version and serving.serves(version):
            count = serving.ready[version]
            sentence = f"version {version} serves by the record and by the cluster ({count} of {count} ready pods)"
            return Comparison(environment, "same", f"{environment}: {sentence}{_unrest(serving, version)}", serving)
        return Comparison(environment, "differs", f"{record}; {pods}{_unrest(serving, version)}", serving)
    if reasons := undo_reasons(serving, lock, entries):
        by = "the cluster has undone it" if serving.undone else "its undo was not recorded"
        return Comparison(environment, "undone", f"{record}; {by}: {'; '.join(reasons)}; {pods}", serving)
    return Comparison(environment, "changing", f"{record}; {_change(serving, lock)}: {pods}", serving)


def _record(version: str, lock: PromotionLock | None) -> str:
    """What the record says."""
    if lock is None:
        return f"the record says version {version}" if version else "nothing serves by the record"
    begun = f"begun {lock.time:%Y-%m-%d %H:%M} UTC, not ended, locked until {lock.until:%Y-%m-%d %H:%M} UTC"
    promotion = f"run {lock.run} of {lock.actor}, {begun}"
    if version == lock.version:
        return f"the record says version {version} ({promotion})"
    served = f"version {version}" if version else "nothing"
    return f"the record says {served}, and a promotion of version {lock.version} ({promotion})"


def _change(serving: Serving, lock: PromotionLock) -> str:
    """How far the cluster is with the change of a promotion that was not undone."""
    if serving.set_to != lock.version or serving.run != lock.run:
        return f"the cluster is set to {f'version {serving.set_to}' if serving.set_to else 'no version that it names'}"
    if serving.phase == "failed":
        return f"its rollout has failed ({'; '.join(serving.reasons)})"
    if serving.phase == "healthy" and serving.serves(lock.version):
        return "the cluster has finished its rollout"
    return f"the cluster is at it ({serving.progress})"


def _unrest(serving: Serving, version: str) -> str:
    """What else there is to know of an environment that no promotion holds; empty: nothing."""
    run = f" (run {serving.run})" if serving.run else ""
    if serving.undone:
        return f"; the cluster has undone version {serving.set_to}{run}: {'; '.join(serving.reasons)}"
    if serving.set_to not in {"", version}:
        return f"; the cluster is set to version {serving.set_to}{run}"
    if serving.phase != "healthy":
        return f"; it is not healthy: {'; '.join(serving.reasons) or serving.progress}"
    return ""
