from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from modelway.components.core.audit.chain import Entry, Event
from modelway.components.core.audit.environments import (
    alias_of_blessed,
    environment_named,
    has_served,
    periods,
    point_environment_at,
    restore_alias,
    served_versions,
)
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.mlflow import Tracking

LoggedEvent = tuple[Event, str, dict[str, str]]


@pytest.fixture
def write_log(tmp_path: Path) -> Callable[[list[LoggedEvent]], list[Entry]]:
    """A log of events in production."""

    def write(events: list[LoggedEvent]) -> list[Entry]:
        log = AuditLog(str(tmp_path / "store"))
        for event, version, details in events:
            log.append(event, "bot", model="loans", version=version, environment="production", details=details)
        return log.entries()

    return write


@pytest.mark.parametrize(
    ("events", "expected"),
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
        (
            [("promoted", "1", {}), ("deployed", "2", {}), ("undoing", "2", {})],
            [("1", False), ("2", False)],
        ),
        (
            [
                *[("promoted", "1", {}), ("deployed", "2", {}), ("undone-in-part", "2", {"restored": "1"})],
                *[("promotion.begun", "1", {}), ("deployed", "1", {}), ("undone-in-part", "1", {"restored": "1"})],
            ],
            [("1", False), ("2", True), ("1", False)],
        ),
    ],
)
def test_what_an_environment_served(
    write_log: Callable[[list[LoggedEvent]], list[Entry]], events: list[LoggedEvent], expected: list[tuple[str, bool]]
) -> None:
    history = periods(write_log(events), "loans", environment="production")
    assert [(period.version, period.undone) for period in history] == expected
    for period, after in itertools.pairwise(history):
        assert period.until == after.since
    assert all(period.until is not None for period in history[:-1])


def test_a_period_begins_with_the_deployment_and_is_told_by_the_promotion(
    write_log: Callable[[list[LoggedEvent]], list[Entry]],
) -> None:
    entries = write_log([("deployed", "1", {}), ("promoted", "1", {"image": "x"})])
    (period,) = periods(entries, "loans", environment="production")
    assert (period.since, period.until) == (entries[0].time, None)
    assert period.entry == entries[1]


def test_other_models_and_environments_are_their_own(write_log: Callable[[list[LoggedEvent]], list[Entry]]) -> None:
    entries = write_log([("promoted", "1", {})])
    assert periods(entries, "cars", environment="production") == []
    assert periods(entries, "loans", environment="staging") == []


def test_what_was_undone_has_not_served(write_log: Callable[[list[LoggedEvent]], list[Entry]]) -> None:
    entries = write_log([("promoted", "1", {}), ("deployed", "2", {}), ("undone", "2", {})])
    assert has_served(entries, "loans", environment="production", version="1")
    assert not has_served(entries, "loans", environment="production", version="2")
    assert not has_served(entries, "loans", environment="production", version="3")


@pytest.fixture
def model(release: Callable[..., str], tracking: Tracking, tmp_path: Path) -> RegisteredModel:
    """A registered model with two versions."""
    name = f"moved-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert [release(name), release(name)] == ["1", "2"]
    return RegisteredModel(name, str(tmp_path / "store"), tracking)


def _numbers(model: RegisteredModel) -> dict[str, str]:
    return {environment: version.number for environment, version in served_versions(model).items()}


def _champion(model: RegisteredModel) -> str:
    version = model.version_with_alias("champion")
    return "" if version is None else version.number


def test_an_environment_that_there_is_not_is_named() -> None:
    assert environment_named("staging") == "staging"
    with pytest.raises(ModelwayError, match="no environment 'prod'") as error:
        environment_named("prod")
    assert "development, staging, production" in error.value.remedy


def test_what_production_serves_is_the_champion(model: RegisteredModel) -> None:
    assert _numbers(model) == {}
    point_environment_at(model.version("2"), "staging")
    assert _champion(model) == ""
    point_environment_at(model.version("1"), "production")
    assert _champion(model) == "1"
    point_environment_at(model.version("2"), "production")
    assert _numbers(model) == {"staging": "2", "production": "2"}
    assert _champion(model) == "2"


def test_a_move_that_was_cut_off_is_completed_by_another(model: RegisteredModel) -> None:
    point_environment_at(model.version("1"), "production")
    model.version("2").set_alias("production")
    assert _champion(model) == "1"
    point_environment_at(model.version("2"), "production")
    assert _champion(model) == "2"


def test_aliases_go_back_to_the_version_before_or_to_none(model: RegisteredModel) -> None:
    point_environment_at(model.version("1"), "production")
    restore_alias(model, "production", version="")
    assert (_numbers(model), _champion(model)) == ({}, "1")
    restore_alias(model, "production", version="")
    point_environment_at(model.version("1"), "production")
    point_environment_at(model.version("2"), "production")
    restore_alias(model, "production", version="1")
    assert (_numbers(model), _champion(model)) == ({"production": "1"}, "1")


def test_the_champion_is_who_was_blessed_last_until_production_decides(model: RegisteredModel) -> None:
    assert alias_of_blessed(model, "champion") == "champion"
    point_environment_at(model.version("1"), "staging")
    assert alias_of_blessed(model, "champion") == "champion"
    point_environment_at(model.version("1"), "production")
    assert alias_of_blessed(model, "champion") == "challenger"
    assert alias_of_blessed(model, "candidate") == "candidate"
