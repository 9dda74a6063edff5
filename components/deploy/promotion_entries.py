"""The audit log's entries about one promotion: that the cluster was changed, that an undo began, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import INCONCLUSIVE
from modelway.components.core.audit.lock import PromotionLock
from modelway.components.core.evidence.runs import DeploymentResult


def deployed_entry(entries: list[Entry], claim: PromotionLock) -> Entry | None:
    """The entry that says that a promotion changed the cluster; None if it has not yet."""
    return next(
        (entry for entry in entries if entry.event == "deployed" and entry.details.get("promotion") == claim.id), None
    )


def undoing_entry(entries: list[Entry], claim: PromotionLock) -> Entry | None:
    """The entry that says that a promotion's undo has begun; None if it has not."""
    return next(
        (entry for entry in entries if entry.event == "undoing" and entry.details.get("promotion") == claim.id), None
    )


def is_inconclusive(entry: Entry | None) -> bool:
    """Whether an entry about an undo says that there is no verdict on the version."""
    return entry is not None and entry.details.get("verdict") == INCONCLUSIVE


def verdict_details(inconclusive: bool) -> dict[str, str]:
    """The details of an entry about an undo that says nothing about the version."""
    return {"verdict": INCONCLUSIVE} if inconclusive else {}


def status_of(event: str, details: Mapping[str, str]) -> DeploymentResult:
    """How a promotion ended, by the event and the details of the entry that says so."""
    if event == "undone" and details.get("verdict") == INCONCLUSIVE:
        return INCONCLUSIVE
    return cast(DeploymentResult, event)
