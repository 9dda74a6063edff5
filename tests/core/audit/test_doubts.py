"""A version that was undone or rolled back from, or is older than what serves, is doubted; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.audit.chain import Event
from modelway.components.core.audit.doubts import promotion_doubts
from modelway.components.core.audit.log import AuditLog

SLOW = {"reason": "p95 is 300 ms", "restored": "2"}
NO_ROOM = {"reason": "no room", "restored": "2", "verdict": "inconclusive"}


@pytest.mark.parametrize(
    ("events", "version", "says"),
    [
        pytest.param([], "1", [], id="first"),
        pytest.param([("promoted", "2", {})], "3", [], id="newer"),
        pytest.param([("promoted", "2", {})], "2", [], id="serves already"),
        pytest.param([("promoted", "2", {}), ("deployed", "3", {})], "3", [], id="is being rolled out"),
        pytest.param(
            [("promoted", "2", {}), ("deployed", "3", {}), ("undone", "3", SLOW)],
            "3",
            ["serves version 2: this one was undone there at ", "UTC, p95 is 300 ms"],
            id="undone",
        ),
        pytest.param(
            [("promoted", "2", {}), ("deployed", "3", {}), ("undone-in-part", "3", SLOW)],
            "3",
            ["serves version 2: this one was undone there at ", "UTC, p95 is 300 ms"],
            id="undone in part",
        ),
        pytest.param(
            [("promoted", "2", {}), ("deployed", "3", {}), ("undone", "3", NO_ROOM)], "3", [], id="without a verdict"
        ),
        pytest.param(
            [
                ("promoted", "2", {}),
                *(("deployed", "3", {}), ("undone", "3", SLOW)),
                *(("deployed", "3", {}), ("undone", "3", NO_ROOM)),
            ],
            "3",
            ["this one was undone there at ", "p95 is 300 ms"],
            id="undone, then without a verdict",
        ),
        pytest.param(
            [("deployed", "3", {}), ("undone", "3", {"reason": "it crashed", "restored": ""})],
            "3",
            ["serves nothing: this one was undone there at ", "it crashed"],
            id="nothing serves",
        ),
        pytest.param(
            [
                *(("promoted", "2", {}), ("promoted", "4", {})),
                *(("deployed", "2", {"run": "rollback-1"}), ("rolled-back", "2", {"reason": "complaints"})),
            ],
            "4",
            ["serves version 2: ada rolled back from this one there at ", "complaints"],
            id="rolled back from",
        ),
        pytest.param(
            [("promoted", "2", {}), ("promoted", "4", {})],
            "2",
            ["serves version 4, which is newer, and served this one from ", " to ", "UTC"],
            id="older and served",
        ),
        pytest.param(
            [("promoted", "4", {})],
            "2",
            ["serves version 4, which is newer, and has not served this one"],
            id="older and never served",
        ),
        pytest.param(
            [("promoted", "9", {})],
            "10",
            [],
            id="numbers, not texts",
        ),
        pytest.param(
            [("promoted", "4", {}), ("deployed", "5", {})],
            "3",
            ["serves version 4, which is newer"],
            id="while another is rolled out",
        ),
    ],
)
def test_what_speaks_against_a_promotion(
    events: list[tuple[Event, str, dict[str, str]]], version: str, says: list[str], tmp_path: Path
) -> None:
    log = AuditLog(str(tmp_path / "store"))
    for event, number, details in events:
        log.append(event, "ada", model="loans", version=number, environment="staging", details=details)
    doubts = promotion_doubts(log.entries(), "loans", version=version, environment="staging")
    assert len(doubts) == bool(says)
    for text in says:
        assert text in doubts[0]
    assert promotion_doubts(log.entries(), "loans", version=version, environment="production") == []
