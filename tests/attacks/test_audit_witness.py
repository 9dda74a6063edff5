"""Attacks by who can write to a store but not to MLflow, and what a second store's runs on the same MLflow do to it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from office import BOB
from pod_proxy import Untouchable
from registered_versions import release_version
from user_files import minimal_policy

from modelway.components.core.audit import witness
from modelway.components.core.audit.approvals import approve, promotion_blockers, withdraw
from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.log import AuditLog, BrokenLogError, HeadMovedError
from modelway.components.core.audit.opened_version import open_version
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.errors import NotFoundError, RejectedError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.rollback import rollback
from modelway.components.deploy.stage import deploy
from modelway.components.package.contents import gather
from modelway.components.resolve import stage as resolve
from modelway.pipelines.cli.audit import accept_entries, verify_log
from modelway.pipelines.cli.history import serving_periods
from modelway.pipelines.cli.promote import check_promotion

ENVIRONMENTS: dict[str, Any] = {
    "staging": {"approvals": {"quorum": 1}},
    "production": {"after": "staging", "approvals": {"quorum": 1}},
}
NOT_WITNESSED = "is not witnessed by MLflow"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writers wait for less long before they leave an entry without a witness."""
    monkeypatch.setattr(witness, "_POLLS", 2)


def _release(model: RegisteredModel, store: str = "") -> ModelVersion:
    policy = minimal_policy(environments=ENVIRONMENTS).canonical().encode()
    return model.version(release_version(model.tracking, model.name, store=store, bound={"policy.json": policy}))


@pytest.fixture
def model(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    return RegisteredModel(f"witnessed-{tmp_path.name}", str(tmp_path / "store"), tracking)


@pytest.fixture
def version(model: RegisteredModel) -> ModelVersion:
    """A version that a run has released."""
    return _release(model, model.store)


def _elsewhere(model: RegisteredModel, store: object = "") -> RegisteredModel:
    """The model as the next command has it, which remembers nothing; in another place if one is named."""
    return RegisteredModel(model.name, str(store or model.store), model.tracking)


def _blockers(version: ModelVersion, environment: Any = "staging") -> list[str]:
    return promotion_blockers(_elsewhere(version.model).version(version.number), environment)


def _forge(version: ModelVersion, event: Any, environment: str = "", actor: str = BOB, **details: str) -> Entry:
    """Appends an entry that follows the last one by all rules of the chain, without MLflow."""
    about = {"model": version.name, "version": version.number, "environment": environment}
    return AuditLog(version.store).append(event, actor, **about, details=details)


def _forge_approval(version: ModelVersion, actor: str = BOB, environment: str = "staging") -> Entry:
    details = {"reason": "good", "until": "2999-01-01T00:00:00+00:00"}
    blessing = open_version(version).blessing_sha256
    return _forge(version, "approved", environment, actor, blessing_sha256=blessing, **details)


def _file(store: str, number: int) -> Path:
    return Path(store, "audit", f"{number:08}.json")


def _cut_off(store: str) -> None:
    max(Path(store, "audit").iterdir()).unlink()


def _write_anew(store: str, first: int) -> None:
    entries = AuditLog(store).entries()
    previous = entries[first - 1].previous
    for entry in entries[first - 1 :]:
        forged = entry.model_copy(update={"actor": "eve", "previous": previous})
        _file(store, entry.number).unlink()
        _file(store, entry.number).write_bytes(forged.content())
        previous = forged.sha256()


CHANGES: dict[str, Callable[[str], object]] = {
    "cut off": _cut_off,
    "written anew from the second entry on": lambda store: _write_anew(store, 2),
    "written anew": lambda store: _write_anew(store, 1),
    "emptied": lambda store: shutil.rmtree(Path(store, "audit")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_stores_run_hides_nothing(
    model: RegisteredModel, version: ModelVersion, tmp_path: Path, change: Callable[[str], object]
) -> None:
    """A second team releases a model of the same name from a store of its own, then the first store is changed."""
    approve(version, "staging", by=BOB, reason="good")
    second = _elsewhere(model, tmp_path / "second")
    second_version = _release(second, second.store)
    approve(second_version, "staging", by=BOB, reason="good")
    assert (_blockers(version), _blockers(second_version)) == ([], [])
    change(model.store)
    (blocker, *_) = _blockers(version)
    assert "the audit log is broken" in blocker
    assert not verify_log(_elsewhere(model))["whole"]
    assert _blockers(second_version) == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_store_is_recognised_under_another_path_or_allows_nothing(
    model: RegisteredModel, version: ModelVersion, tmp_path: Path, change: Callable[[str], object], request: Any
) -> None:
    approve(version, "staging", by=BOB, reason="good")
    (tmp_path / "mounts").mkdir()
    there = _elsewhere(model, Path(model.store).rename(tmp_path / "mounts" / "store"))
    assert _blockers(there.version(version.number)) == []
    _elsewhere(there).version(version.number).log_event("refused", BOB, environment="staging", details={})
    tags = model.tracking.client.get_registered_model(model.name).tags
    assert [key for key in tags if key.startswith(witness.HEAD_TAG)] == [
        f"{witness.HEAD_TAG}.{AuditLog(there.store).entries()[0].sha256()[:16]}"
    ]
    here = _elsewhere(there, shutil.move(there.store, model.store))
    change(here.store)
    (blocker, *_) = _blockers(here.version(version.number))
    if request.node.callspec.id in {"written anew", "emptied"}:  # nothing is left that says which log it was
        assert NOT_WITNESSED in blocker or "has no registration" in blocker
    else:
        assert "the audit log is broken" in blocker


@pytest.mark.usefixtures("keys")
def test_a_forged_approval_does_not_approve_nor_what_comes_after_it(version: ModelVersion) -> None:
    forged = _forge_approval(version)
    (blocker,) = _blockers(version)
    assert "0 are valid" in blocker
    assert f"{BOB}'s is not: entry {forged.number} of the audit log {NOT_WITNESSED}" in blocker
    answer = check_promotion(_elsewhere(version.model).version(version.number), "staging")
    assert (answer["allowed"], answer["approvals"]) == (False, [])
    genuine = approve(_elsewhere(version.model).version(version.number), "staging", by="cyd", reason="good")
    (blocker,) = _blockers(version)
    assert f"{BOB}'s is not: entry {forged.number}" in blocker
    assert f"cyd's is not: entry {genuine.entry}" in blocker
    result = verify_log(_elsewhere(version.model))
    assert (result["whole"], result["unwitnessed"]) == (True, [forged.number, genuine.entry])
    withdraw(_elsewhere(version.model).version(version.number), "staging", by=BOB, reason="I never did")
    listed = accept_entries(_elsewhere(version.model), head="", by="dan", reason="asked them both")
    accept_entries(_elsewhere(version.model), head=listed["head"][:16], by="dan", reason="asked them both")
    assert _blockers(version) == [], "the genuine approval counts, and the withdrawn one does not"


def test_a_withdrawal_counts_before_it_is_witnessed(version: ModelVersion) -> None:
    approve(version, "staging", by=BOB, reason="good")
    assert _blockers(version) == []
    _forge(version, "withdrawn", "staging")
    (blocker,) = _blockers(version)
    assert "0 are valid" in blocker


def test_a_forged_registration_lets_nothing_in(model: RegisteredModel, version: ModelVersion, tmp_path: Path) -> None:
    unjudged = _release(model)
    forged = _forge(unjudged, "registered", "development", blessing_sha256=open_version(unjudged).blessing_sha256)
    says = f"entry {forged.number} of the audit log {NOT_WITNESSED}"
    assert says in _blockers(unjudged)[0]
    fresh = _elsewhere(model).version(unjudged.number)
    deeds: list[Callable[[], object]] = [
        lambda: approve(fresh, "staging", by=BOB, reason="good"),
        lambda: gather(fresh, tmp_path / "bundle"),
        lambda: resolve._champion_blessing(fresh),
    ]
    for deed in deeds:
        with pytest.raises(RejectedError, match=says):
            deed()
    assert len(resolve._champion_blessing(_elsewhere(model).version(version.number))) == 64


@pytest.mark.parametrize("event", ["promoted", "rolled-back", "undone"])
def test_a_version_that_is_said_to_have_been_served_was_not(version: ModelVersion, event: str) -> None:
    approve(version, "production", by=BOB, reason="good")
    if event == "undone":  # of another version, in whose place this one is said to have come back
        _forge(version.model.version("9"), "promoted", "staging")
        forged = _forge(version.model.version("9"), "undone", "staging", restored=version.number)
    else:
        forged = _forge(version, event, "staging")
    (blocker,) = _blockers(version, "production")
    assert f"has not been served in staging, which production requires: entry {forged.number} of the" in blocker
    assert NOT_WITNESSED in blocker
    with pytest.raises(NotFoundError, match=NOT_WITNESSED):
        rollback(_elsewhere(version.model), "staging", actor="eve", reason="urgent", to=version.number)
    _forge(version.model.version("9"), "promoted", "staging")
    with pytest.raises(NotFoundError, match="has served no other version"):
        rollback(_elsewhere(version.model), "staging", actor="eve", reason="urgent")
    rows = serving_periods(_elsewhere(version.model))
    assert f"MLflow does not witness this, which is entry {forged.number}" in str(rows)


@pytest.mark.usefixtures("keys")
def test_a_forged_lock_does_not_spare_a_promotion_what_it_requires(version: ModelVersion) -> None:
    _forge(version, "promotion.begun", "staging", run="run-1", until="2999-01-01T00:00:00+00:00", replaces="")
    result = deploy(
        _elsewhere(version.model).version(version.number),
        "staging",
        run="run-1",
        actor="ada",
        cluster=Untouchable(),
    )
    assert result.status == "refused"
    assert any("staging requires 1 approval; 0 are valid" in reason for reason in result.reasons)


def test_a_writer_that_dies_before_it_sets_the_anchor_has_announced_its_entry(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(witness.Witness, "follow", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            approve(version, "staging", by=BOB, reason="good")
    assert _blockers(version) == []
    _forge_approval(version, "eve")
    assert verify_log(_elsewhere(version.model))["unwitnessed"] == [3]


def test_an_entry_without_mlflow_blocks_until_somebody_accepts_it(
    version: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UnavailableError("MLflow is down", remedy="wait")

    with monkeypatch.context() as patch:
        for name in ("announce", "follow"):
            patch.setattr(witness.Witness, name, fail)
        approve(version, "staging", by=BOB, reason="good")
    (blocker,) = _blockers(version)
    assert f"entry 2 of the audit log {NOT_WITNESSED} (`modelway audit witness`" in blocker
    listed = accept_entries(_elsewhere(version.model), head="", by="dan", reason="bob says so")
    assert ([entry["number"] for entry in listed["unwitnessed"]], listed["accepted"]) == ([2], None)
    assert len(_blockers(version)) == 1
    _forge_approval(version, "eve")  # while the list is read
    for head in (listed["head"][:16], listed["head"][:4], "0" * 16):
        with pytest.raises(HeadMovedError, match="the head of the audit log is entry 3"):
            accept_entries(_elsewhere(version.model), head=head, by="dan", reason="bob says so")
    assert len(_blockers(version)) == 1
    listed = accept_entries(_elsewhere(version.model), head="", by="dan", reason="both say so")
    accepted = accept_entries(_elsewhere(version.model), head=listed["head"], by="dan", reason="both say so")[
        "accepted"
    ]
    assert (accepted["event"], accepted["actor"], accepted["number"]) == ("witnessed", "dan", 4)
    assert accepted["details"] == {"first": "2", "last": "3", "reason": "both say so"}
    assert _blockers(version) == []
    assert verify_log(_elsewhere(version.model))["unwitnessed"] == []
    assert accept_entries(_elsewhere(version.model), head="", by="dan", reason="again")["unwitnessed"] == []


def test_nothing_of_a_broken_log_is_accepted(version: ModelVersion) -> None:
    approve(version, "staging", by=BOB, reason="good")
    _cut_off(version.store)
    _forge_approval(version)
    head = AuditLog(version.store).head().sha256
    with pytest.raises(BrokenLogError, match="rewritten"):
        accept_entries(_elsewhere(version.model), head=head, by="eve", reason="all is well")


def test_of_writers_at_once_every_entry_is_witnessed(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "_POLLS", 20)
    store, name, uri = version.store, version.name, version.model.tracking.uri

    def write(actor: int) -> None:
        log = AuditLog(store, Tracking(uri))
        for number in range(3):
            log.append("refused", f"actor-{actor}", model=name, version=str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    log = _elsewhere(version.model).verified_log()
    assert (log.head.number, log.unwitnessed) == (25, [])
    assert log.anchors == {name: 25}
