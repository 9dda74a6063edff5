"""What the record says and what the cluster serves are compared in one sentence for each environment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from modelway.components.core.audit.chain import NOTHING, Entry, Event
from modelway.components.core.audit.environments import Period
from modelway.components.core.audit.lock import PromotionLock
from modelway.components.deploy.comparison import Comparison, compare
from modelway.components.deploy.serving import Serving

AT = "2026-11-27T14:02:00+00:00"
ERRORS = "error-rate is 40 %; the policy allows 2 % (deployment.analysis.error_rate)"


def entry(event: Event, version: str, **details: str) -> Entry:
    about: Any = {"model": "loans", "environment": "production", "nonce": "n", "previous": NOTHING}
    return Entry(number=1, at=AT, event=event, actor="ada", version=version, details=details, **about)


def period(version: str, event: Event = "promoted") -> Period:
    return Period("production", version, datetime.now(UTC), None, entry(event, version))


LOCK = PromotionLock(
    **dict(entry("promotion.begun", "5", run="run-5", until="2026-11-27T15:27:00+00:00", replaces="4"))
)
FOUR = Serving("models", {"4": 3}, "4", "run-4", "r@sha256:4", "healthy", "3 of 3 new pods ready")
FIVE = replace(FOUR, ready={"5": 3}, set_to="5", run="run-5")
UNDONE = replace(FOUR, set_to="5", run="run-5", phase="failed", undone=True, reasons=(ERRORS,))
HELD = "begun 2026-11-27 14:02 UTC, not ended, locked until 2026-11-27 15:27 UTC"


def compared(
    last: Period | None, serving: Serving | None, *, lock: PromotionLock | None = None, entries: Any = ()
) -> Comparison:
    return compare("production", last, lock=lock, entries=entries, serving=serving)


@pytest.mark.parametrize(
    ("last", "serving", "state", "says"),
    [
        (period("4"), FOUR, "same", "version 4 serves by the record and by the cluster (3 of 3 ready pods)"),
        (
            period("4"),
            replace(FOUR, phase="progressing", progress="3 of 4 new pods ready"),
            "same",
            "version 4 serves by the record and by the cluster (3 of 3 ready pods); it is not healthy: "
            "3 of 4 new pods ready",
        ),
        (
            period("4"),
            UNDONE,
            "same",
            "version 4 serves by the record and by the cluster (3 of 3 ready pods); the cluster has undone version 5 "
            f"(run run-5): {ERRORS}",
        ),
        (
            period("4"),
            FIVE,
            "differs",
            "the record says version 4; 3 of 3 ready pods serve version 5; the cluster is set to version 5 (run run-5)",
        ),
        (
            period("4"),
            replace(FOUR, ready={"4": 2, "5": 1}),
            "differs",
            "the record says version 4; 2 of 3 ready pods serve version 4, 1 of 3 ready pods serves version 5",
        ),
        (
            period("4"),
            replace(FOUR, ready={}, phase="failed", reasons=("a pod is not ready: OOMKilled",)),
            "differs",
            "the record says version 4; no pod that requests reach is ready; it is not healthy: "
            "a pod is not ready: OOMKilled",
        ),
        (period("4"), None, "differs", "the record says version 4; the cluster has no such object"),
        (None, FOUR, "differs", "nothing serves by the record; 3 of 3 ready pods serve version 4; the cluster is set "
         "to version 4 (run run-4)"),
    ],
)  # fmt: skip
def test_what_serves_is_compared(last: Period | None, serving: Serving | None, state: str, says: str) -> None:
    comparison = compared(last, serving)
    assert (comparison.state, comparison.sentence) == (state, f"production: {says}")


@pytest.mark.parametrize(
    ("last", "serving", "state", "says"),
    [
        (
            period("5", "deployed"),
            UNDONE,
            "undone",
            f"the record says version 5 (run run-5 of ada, {HELD}); the cluster has undone it: {ERRORS}; "
            "3 of 3 ready pods serve version 4",
        ),
        (
            period("4"),
            UNDONE,
            "undone",
            f"the record says version 4, and a promotion of version 5 (run run-5 of ada, {HELD}); the cluster has "
            f"undone it: {ERRORS}; 3 of 3 ready pods serve version 4",
        ),
        (
            period("5", "deployed"),
            FIVE,
            "changing",
            f"the record says version 5 (run run-5 of ada, {HELD}); the cluster has finished its rollout: "
            "3 of 3 ready pods serve version 5",
        ),
        (
            period("5", "deployed"),
            replace(FIVE, ready={"4": 2, "5": 1}, phase="progressing", progress="step 1/2"),
            "changing",
            f"the record says version 5 (run run-5 of ada, {HELD}); the cluster is at it (step 1/2): "
            "2 of 3 ready pods serve version 4, 1 of 3 ready pods serves version 5",
        ),
        (
            period("5", "deployed"),
            replace(FIVE, ready={"4": 3}, phase="failed", reasons=("it is late",)),
            "changing",
            f"the record says version 5 (run run-5 of ada, {HELD}); its rollout has failed (it is late): "
            "3 of 3 ready pods serve version 4",
        ),
        (
            None,
            FOUR,
            "changing",
            f"the record says nothing, and a promotion of version 5 (run run-5 of ada, {HELD}); the cluster is set to "
            "version 4: 3 of 3 ready pods serve version 4",
        ),
    ],
)
def test_what_a_promotion_became_that_has_not_ended_is_told(
    last: Period | None, serving: Serving, state: str, says: str
) -> None:
    comparison = compared(last, serving, lock=LOCK)
    assert (comparison.state, comparison.sentence) == (state, f"production: {says}")


def test_an_undo_that_its_run_had_begun_is_told_with_its_reason() -> None:
    restored = replace(FOUR, run="run-5", undo_reason="a smoke request was answered wrong")
    comparison = compared(period("5", "deployed"), restored, lock=LOCK)
    assert comparison.state == "undone"
    assert "its undo was not recorded: a smoke request was answered wrong" in comparison.sentence
    begun = entry("undoing", "5", promotion=LOCK.id, reason="version 5 fails 3 of 20 requests")
    for serving in (restored, UNDONE):
        comparison = compared(period("5", "deployed"), serving, lock=LOCK, entries=[begun])
        assert "version 5 fails 3 of 20 requests" in comparison.sentence
    under_way = replace(restored, set_to="5", ready={"4": 2, "5": 1})
    assert compared(period("5", "deployed"), under_way, lock=LOCK).state == "changing"


def test_an_undo_of_another_run_is_not_the_promotions() -> None:
    other = replace(UNDONE, run="run-1")
    assert compared(period("4"), other, lock=LOCK).state == "changing"


def test_a_comparison_is_plain_content() -> None:
    content = compared(period("4"), FOUR).json()
    assert (content["state"], content["cluster"]["ready"]) == ("same", {"4": 3})
    assert compared(period("4"), None).json()["cluster"] is None
