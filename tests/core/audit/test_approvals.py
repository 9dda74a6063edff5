from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.audit.approvals import approvals, approve, promotion_blockers, withdraw
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking

Release = Callable[..., str]
ONE: dict[str, Any] = {"production": {"approvals": {"quorum": 1}}}
TWO: dict[str, Any] = {"production": {"approvals": {"quorum": 2}}}


class Desk:
    """A store and a registry with one version of a model, and people who approve it."""

    def __init__(self, tracking: Tracking, store: str, name: str, version: str) -> None:
        self.model, self.name, self.version = RegisteredModel(name, store, tracking), name, version
        self.log = self.model.audit_log

    @property
    def model_version(self) -> ModelVersion:
        return self.model.version(self.version)

    def approve(self, by: str, environment: EnvironmentName = "production", **more: Any) -> Any:
        return approve(self.model_version, environment, **{"by": by, "reason": "it is better", **more})

    def refusals(
        self, policy: Policy | None = None, environment: EnvironmentName = "production", days: float = 0
    ) -> list[str]:
        later = datetime.now(UTC) + timedelta(days=days)
        return promotion_blockers(self.model_version, environment, policy=policy, now=later)


@pytest.fixture
def desk(tracking: Tracking, release: Release, tmp_path: Path) -> Callable[..., Desk]:
    name = f"approved-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"

    def new_desk(environments: dict[str, Any] | None = None, **more: Any) -> Desk:
        return Desk(tracking, str(tmp_path / "store"), name, release(name, environments, **more))

    return new_desk


def test_an_approval_is_bound_to_the_blessing_and_in_the_log(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    assert len(case.refusals()) == 1
    assert "requires 1 approval; 0 are valid" in case.refusals()[0]
    approval = case.approve("  Bob ", reason=" fewer false alarms ")
    assert case.refusals() == []
    assert approval.blessing_sha256 == open_version(case.model_version).blessing_sha256
    entry = case.log.entries()[-1]
    assert (entry.event, entry.actor, entry.version, entry.environment) == ("approved", "Bob", "1", "production")
    assert entry.details == {
        "blessing_sha256": approval.blessing_sha256,
        "reason": "fewer false alarms",
        "until": approval.until,
    }
    assert case.log.anchors(case.name) == {case.name: approval.entry} == {case.name: entry.number}


def test_an_approval_is_for_one_version_and_one_environment(desk: Callable[..., Desk], release: Release) -> None:
    environments = {"staging": {"approvals": {"quorum": 1}}, **ONE}
    case = desk(environments)
    case.approve("bob", "staging")
    assert case.refusals(environment="staging") == []
    assert len(case.refusals()) == 1
    case.version = release(case.name, environments, requested_by="cyd")
    assert case.version == "2"
    assert len(case.refusals(environment="staging")) == 1


@pytest.mark.parametrize(
    ("people", "is_blocked"),
    [
        (["bob"], True),
        (["bob", "bob"], True),
        (["bob", " BOB"], True),
        (["bob@example.org", "Bob the Builder <Bob@Example.org>"], True),
        (["bob", "cyd"], False),
        (["bob", "bob", "cyd"], False),
    ],
)
def test_a_quorum_is_of_distinct_people(desk: Callable[..., Desk], people: list[str], is_blocked: bool) -> None:
    case = desk(TWO)
    for by in people:
        case.approve(by)
    blockers = case.refusals()
    assert bool(blockers) is is_blocked
    if is_blocked:
        assert "requires 2 approvals; 1 is valid" in blockers[0]


@pytest.mark.parametrize("by", ["ada@example.org", " ADA@Example.ORG ", "Ada <ada@example.org>"])
def test_who_asked_for_the_run_may_not_approve_it(desk: Callable[..., Desk], by: str) -> None:
    case = desk(ONE)
    with pytest.raises(ModelwayError, match="asked for the run, and the policy forbids self-approval"):
        case.approve(by)
    assert [entry.event for entry in case.log.entries()] == ["registered"]


def test_an_approval_of_ones_own_that_is_in_the_log_does_not_count(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    approval = case.approve("bob")
    details = {"blessing_sha256": approval.blessing_sha256, "reason": "mine", "until": approval.until}
    withdraw(case.model_version, "production", by="bob", reason="not yet")
    about = {"model": case.name, "version": "1", "environment": "production", "details": details}
    case.log.append("approved", "Ada@example.org", **about)
    assert "Ada@example.org's is not: Ada@example.org asked for the run" in case.refusals()[0]


def test_self_approval_counts_where_the_policy_allows_it(desk: Callable[..., Desk]) -> None:
    case = desk({"production": {"approvals": {"quorum": 1, "self_approval": True}}})
    case.approve("ada@example.org")
    assert case.refusals() == []


def test_where_nobody_knows_who_asked_no_approval_is_known_to_be_anothers(desk: Callable[..., Desk]) -> None:
    case = desk(ONE, requested_by="")
    with pytest.raises(ModelwayError, match="unknown who asked for the run"):
        case.approve("bob")


def test_an_approval_ends(desk: Callable[..., Desk]) -> None:
    case = desk({"production": {"approvals": {"quorum": 1, "valid_days": 7}}})
    case.approve("bob")
    assert case.refusals(days=6.9) == []
    assert "bob's is not: it expired at" in case.refusals(days=7.1)[0]
    case.approve("cyd", until=datetime.now(UTC) + timedelta(days=1))
    assert "cyd's is not" in case.refusals(days=8)[0]


def test_an_approval_is_renewed_by_another(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    case.approve("bob", until=datetime.now(UTC) + timedelta(days=1))
    case.approve("bob", until=datetime.now(UTC) + timedelta(days=9))
    assert case.refusals(days=8) == []


@pytest.mark.parametrize("days", [-1, 31])
def test_an_approval_cannot_last_longer_than_the_policy_lets_it(desk: Callable[..., Desk], days: int) -> None:
    case = desk(ONE)
    with pytest.raises(ModelwayError, match="expires within 30 days") as error:
        case.approve("bob", until=datetime.now(UTC) + timedelta(days=days))
    assert error.value.key == "until"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"by": " "}, "by does not say who it is"), ({"by": "bob", "reason": " "}, "an approval needs `reason`")],
)
def test_an_approval_says_who_and_why(desk: Callable[..., Desk], arguments: dict[str, str], message: str) -> None:
    with pytest.raises(ModelwayError, match=message):
        desk(ONE).approve(**arguments)


def test_a_withdrawn_approval_does_not_count_until_it_is_given_again(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    case.approve("bob")
    with pytest.raises(ModelwayError, match="cyd has no approval"):
        withdraw(case.model_version, "production", by="cyd", reason="a slice looks wrong")
    withdraw(case.model_version, "production", by="BOB", reason="a slice looks wrong")
    assert len(case.refusals()) == 1
    with pytest.raises(ModelwayError, match="BOB has no approval"):
        withdraw(case.model_version, "production", by="BOB", reason="a slice looks wrong")
    case.approve("bob")
    assert case.refusals() == []


def test_an_approval_for_another_blessing_does_not_count(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    details = {"blessing_sha256": "b" * 64, "reason": "good", "until": "2999-01-01T00:00:00+00:00"}
    case.log.append("approved", "bob", model=case.name, version="1", environment="production", details=details)
    assert "bob's is not: it is for another blessing (bbbbbbbbbbbb)" in case.refusals()[0]
    case.approve("bob")
    assert case.refusals() == []


def test_an_entry_that_says_too_little_is_no_approval(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    case.log.append("approved", "bob", model=case.name, version="1", environment="production")
    assert approvals(case.log.entries(), case.name, version="1", environment="production") == []
    assert "0 are valid" in case.refusals()[0]


def test_a_version_comes_from_the_environment_before(desk: Callable[..., Desk]) -> None:
    case = desk({"staging": {}, "production": {"after": "staging"}})
    assert case.refusals() == [
        f"version 1 of {case.name} has not been served in staging, which production requires",
    ]
    about: Any = {"model": case.name, "environment": "staging"}
    case.log.append("promoted", "bot", version="2", **about)
    assert len(case.refusals()) == 1
    case.log.append("deployed", "bot", version="1", **about)
    assert len(case.refusals()) == 1  # it may yet be undone
    case.log.append("undone", "bot", version="1", **about)
    assert len(case.refusals()) == 1
    case.log.append("deployed", "bot", version="1", **about)
    case.log.append("promoted", "bot", version="1", **about)
    assert case.refusals() == []


def test_a_promoters_policy_makes_it_stricter_and_never_weaker(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    weak = minimal_policy(environments={"production": {"approvals": {"quorum": 0, "self_approval": True}}})
    assert "requires 1 approval;" in case.refusals(weak)[0]
    with pytest.raises(ModelwayError, match="forbids self-approval"):
        case.approve("ada@example.org", policy=weak)
    case.approve("bob")
    assert case.refusals(weak) == []
    assert "requires 2 approvals; 1 is valid" in case.refusals(minimal_policy(environments=TWO))[0]
    short = minimal_policy(environments={"production": {"approvals": {"quorum": 1, "valid_days": 1}}})
    assert case.refusals(short) == []
    assert "it expired at" in case.refusals(short, days=2)[0]


def test_an_environment_that_a_policy_does_not_name_is_no_place_to_go(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    assert case.refusals(environment="development") == [
        "the policy that the version was released with has no environment development"
    ]
    assert case.refusals(minimal_policy(environments={"staging": {}})) == [
        "the policy that the promoter brings has no environment production"
    ]


def test_the_default_policy_asks_for_staging_and_one_person(desk: Callable[..., Desk]) -> None:
    case = desk()
    assert case.refusals(environment="staging") == []
    blockers = case.refusals()
    assert len(blockers) == 2
    assert "not been served in staging" in blockers[0]
    assert "requires 1 approval;" in blockers[1]


def test_a_version_that_there_is_not_is_refused(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    case.version = "7"
    assert case.refusals() == [f"{case.name} has no version 7"]


def test_a_version_that_the_log_has_registered_with_another_blessing_is_refused(desk: Callable[..., Desk]) -> None:
    case = desk({"staging": {}})
    about: Any = {"model": case.name, "version": "1"}
    blessing = case.approve("bob", "staging").blessing_sha256
    case.log.append("registered", "bot", **about, details={"blessing_sha256": blessing})
    assert case.refusals(environment="staging") == []
    case.log.append("registered", "bot", **about, details={"blessing_sha256": "0" * 64})
    assert "registered with another blessing than it has now" in case.refusals(environment="staging")[0]


def test_with_a_broken_log_nothing_is_approved_and_nothing_goes_anywhere(desk: Callable[..., Desk]) -> None:
    case = desk(ONE)
    case.approve("bob")
    file = Path(case.log.folder) / "00000002.json"
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content.replace(b'"actor":"bob"', b'"actor":"cyd"'))
    blockers = case.refusals()
    assert "the audit log is broken at entry 2" in blockers[0]
    assert "0 are valid" in blockers[1]
    with pytest.raises(ModelwayError, match="the audit log is broken"):
        case.approve("dan")


def test_a_registry_that_cannot_be_reached_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    version = RegisteredModel("loans", str(tmp_path), Tracking("http://127.0.0.1:9")).version("1")
    with pytest.raises(UnavailableError):
        promotion_blockers(version, "production")
