from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit import AuditLog, Entry, Event
from modelway.components.core.environments import alias_of_blessed, has_served, holders, move, move_back, periods
from modelway.components.core.tracking import Tracking

Said = tuple[Event, str, dict[str, str]]


@pytest.fixture
def said(tmp_path: Path) -> Callable[[list[Said]], list[Entry]]:
    """A log of events in production."""

    def write(events: list[Said]) -> list[Entry]:
        log = AuditLog(str(tmp_path / "store"))
        for event, version, details in events:
            log.append(event, "bot", model="loans", version=version, environment="production", details=details)
        return log.entries()

    return write


@pytest.mark.parametrize(
    ("events", "served"),
    [
        ([], []),
        ([("promotion.begun", "1", {}), ("refused", "1", {})], []),
        ([("deployed", "1", {}), ("promoted", "1", {})], [("1", False)]),
        ([("promoted", "1", {}), ("promoted", "2", {})], [("1", False), ("2", False)]),
        ([("promoted", "1", {}), ("promotion.begun", "2", {}), ("undone", "2", {})], [("1", False)]),
        (
            [("promoted", "1", {}), ("deployed", "2", {}), ("undone", "2", {})],
            [("1", False), ("2", True), ("1", False)],
        ),
        ([("deployed", "1", {}), ("undone", "1", {})], [("1", True)]),
        (
            [("promoted", "1", {}), ("promoted", "2", {}), ("undone", "2", {"restored": "1"})],
            [("1", False), ("2", True), ("1", False)],
        ),
        ([("promoted", "1", {}), ("undone", "1", {})], [("1", False)]),
        ([("promoted", "1", {}), ("undone", "1", {"restored": ""})], [("1", True)]),
        (
            [("promoted", "1", {}), ("promoted", "2", {}), ("rolled-back", "1", {})],
            [("1", False), ("2", False), ("1", False)],
        ),
        (
            [
                ("deployed", "1", {}),
                ("deployed", "2", {}),
                ("undone", "2", {}),
                ("deployed", "3", {}),
                ("undone", "3", {}),
            ],
            [("1", False), ("2", True), ("1", False), ("3", True), ("1", False)],
        ),
        ([("approved", "1", {}), ("undone", "1", {})], []),
    ],
)
def test_what_an_environment_served(
    said: Callable[[list[Said]], list[Entry]], events: list[Said], served: list[tuple[str, bool]]
) -> None:
    found = periods(said(events), "loans", "production")
    assert [(one.version, one.undone) for one in found] == served
    for one, after in itertools.pairwise(found):
        assert one.until == after.since
    assert all(one.until is not None for one in found[:-1])


def test_a_period_begins_with_the_deployment_and_is_told_by_the_promotion(
    said: Callable[[list[Said]], list[Entry]],
) -> None:
    entries = said([("deployed", "1", {}), ("promoted", "1", {"image": "x"})])
    (found,) = periods(entries, "loans", "production")
    assert (found.since, found.until) == (entries[0].time, None)
    assert found.entry == entries[1]


def test_other_models_and_environments_are_their_own(said: Callable[[list[Said]], list[Entry]]) -> None:
    entries = said([("promoted", "1", {})])
    assert periods(entries, "cars", "production") == []
    assert periods(entries, "loans", "staging") == []


def test_what_was_undone_has_not_served(said: Callable[[list[Said]], list[Entry]]) -> None:
    entries = said([("promoted", "1", {}), ("deployed", "2", {}), ("undone", "2", {})])
    assert has_served(entries, "loans", "production", "1")
    assert not has_served(entries, "loans", "production", "2")
    assert not has_served(entries, "loans", "production", "3")


@pytest.fixture
def model(release: Callable[..., str], tmp_path: Path) -> str:
    """A registered model with two versions."""
    name = f"moved-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert [release(name), release(name)] == ["1", "2"]
    return name


def _champion(tracking: Tracking, model: str) -> Any:
    holder = tracking.version_with_alias(model, "champion")
    return None if holder is None else str(holder.version)


def test_what_production_serves_is_the_champion(tracking: Tracking, model: str) -> None:
    assert holders(tracking, model) == {}
    assert move(tracking, model, "2", "staging") is None
    assert _champion(tracking, model) is None
    assert move(tracking, model, "1", "production") is None
    assert _champion(tracking, model) == "1"
    assert move(tracking, model, "2", "production") == "1"
    assert holders(tracking, model) == {"staging": "2", "production": "2"}
    assert _champion(tracking, model) == "2"


def test_a_move_that_was_cut_off_is_completed_by_another(tracking: Tracking, model: str) -> None:
    move(tracking, model, "1", "production")
    tracking.set_alias(model, "2", "production")
    assert _champion(tracking, model) == "1"
    assert move(tracking, model, "2", "production") == "2"
    assert _champion(tracking, model) == "2"


def test_aliases_go_back_to_the_version_before_or_to_none(tracking: Tracking, model: str) -> None:
    before = move(tracking, model, "1", "production")
    move_back(tracking, model, before, "production")
    assert (holders(tracking, model), _champion(tracking, model)) == ({}, "1")
    move_back(tracking, model, None, "production")
    move(tracking, model, "1", "production")
    before = move(tracking, model, "2", "production")
    move_back(tracking, model, before, "production")
    assert (holders(tracking, model), _champion(tracking, model)) == ({"production": "1"}, "1")


def test_the_champion_is_who_was_blessed_last_until_production_decides(tracking: Tracking, model: str) -> None:
    assert alias_of_blessed(tracking, model, "champion") == "champion"
    move(tracking, model, "1", "staging")
    assert alias_of_blessed(tracking, model, "champion") == "champion"
    move(tracking, model, "1", "production")
    assert alias_of_blessed(tracking, model, "champion") == "challenger"
    assert alias_of_blessed(tracking, model, "candidate") == "candidate"
