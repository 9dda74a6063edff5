"""What the audit log's entries say of a promotion."""

from __future__ import annotations

import pytest

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.lock import PromotionLock
from modelway.components.deploy.promotion_entries import (
    deployed_entry,
    is_inconclusive,
    status_of,
    undoing_entry,
    verdict_details,
)


def _entry(event: str, number: int, **details: str) -> Entry:
    about = {"model": "loans", "version": "2", "environment": "staging", "actor": "ada", "nonce": "1"}
    place = {"number": number, "previous": "0" * 64, "at": "2026-11-01T12:00:00+00:00"}
    return Entry.model_validate({**place, **about, "event": event, "details": details})


def test_entries_are_those_of_the_promotion_and_of_no_other() -> None:
    claim = PromotionLock(**dict(_entry("promotion.begun", 1, run="run-1")))
    entries = [_entry("deployed", 2, promotion="another"), _entry("undoing", 3, promotion="another")]
    assert deployed_entry(entries, claim) is undoing_entry(entries, claim) is None
    own = [_entry("deployed", 4, promotion=claim.id), _entry("undoing", 5, promotion=claim.id)]
    assert (deployed_entry(entries + own, claim), undoing_entry(entries + own, claim)) == tuple(own)


@pytest.mark.parametrize(
    ("event", "inconclusive", "status"),
    [("undone", False, "undone"), ("undone", True, "inconclusive"), ("undone-in-part", True, "undone-in-part")],
)
def test_an_undo_without_a_verdict_is_inconclusive(event: str, inconclusive: bool, status: str) -> None:
    details = verdict_details(inconclusive)
    assert is_inconclusive(_entry(event, 1, **details)) is inconclusive
    assert status_of(event, details) == status


def test_no_entry_says_nothing() -> None:
    assert not is_inconclusive(None)
