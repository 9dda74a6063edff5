from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.audit import witness
from modelway.components.core.audit.chain import Entry, Head
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.witness import HEAD_TAG, Anchor, VerifiedLog, _anchors, compare, identity
from modelway.components.core.storage.mlflow import Tracking


def _chain(count: int, actor: str = "ada") -> list[Entry]:
    chain: list[Entry] = []
    for number in range(1, count + 1):
        entry = Entry(
            number=number,
            previous=Head.of(chain[-1] if chain else None).sha256,
            at="2026-11-01T00:00:00+00:00",
            event="approved" if number % 2 else "withdrawn",
            actor=actor,
            model="loans",
            version="1",
            nonce="",
        )
        chain.append(entry)
    return chain


CHAIN, OTHER = _chain(4), _chain(4, "eve")
OWN, FOREIGN = identity(CHAIN[0]), identity(OTHER[0])


@pytest.mark.parametrize(
    ("anchors", "witnessed", "flaws"),
    [
        ([], 0, []),
        ([(OWN, CHAIN[2], "/elsewhere")], 3, []),
        ([(OWN, CHAIN[1], "/here"), (OWN, CHAIN[2], "/elsewhere")], 3, []),
        ([("", CHAIN[1], "/elsewhere")], 2, []),
        ([("", OTHER[1], "/elsewhere"), (FOREIGN, OTHER[3], "/elsewhere")], 0, []),
        ([("", OTHER[1], "/here")], 0, [2]),
        ([(FOREIGN, OTHER[3], "/here"), (OWN, CHAIN[1], "/here")], 2, [4]),
        ([(OWN, OTHER[2], "/elsewhere")], 0, [3]),
        ([(OWN, _chain(9)[8], "/elsewhere")], 0, [5]),
    ],
)
def test_an_anchor_confirms_its_log_or_contradicts_it(
    anchors: list[tuple[str, Entry, str]], witnessed: int, flaws: list[int]
) -> None:
    heads = [Anchor("loans", log, Head.of(entry), store) for log, entry, store in anchors]
    comparison = compare(CHAIN, heads, store="/here")
    assert comparison.witnessed.number == witnessed
    assert [number for number, _ in comparison.flaws] == flaws


def test_an_empty_log_is_contradicted_by_an_anchor_of_its_address_alone() -> None:
    anchors = [Anchor("loans", OWN, Head.of(CHAIN[3]), store) for store in ("/here", "/elsewhere")]
    assert [number for number, _ in compare([], anchors, store="/here").flaws] == [1]
    assert compare([], anchors, store="/nowhere").flaws == []


def test_what_is_not_witnessed_forbids_and_does_not_allow() -> None:
    log = VerifiedLog(CHAIN, 2, {})
    assert log.unwitnessed == CHAIN[2:]
    assert [entry.number for entry in log.trusted] == [1, 2, 4]
    assert log.head == Head.of(CHAIN[3])


@pytest.fixture
def registered(tracking: Tracking, tmp_path: Path) -> str:
    name = f"anchored-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    tracking.client.create_registered_model(name)
    return name


@pytest.mark.parametrize("number", ["", "-1", "1.5", "\u0664", "9" * 5000])
def test_a_tag_without_an_entrys_number_is_no_anchor(number: str) -> None:
    assert _anchors({"loans": {f"{HEAD_TAG}.{OWN}": f"{number} {CHAIN[0].sha256()} /here"}}) == []


def test_an_anchor_that_a_late_request_sets_back_is_set_again(
    tracking: Tracking, registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(str(tmp_path), tracking)
    first = log.append("refused", "ada", model=registered, version="1")
    set_tag, late = tracking.client.set_registered_model_tag, [f"1 {first.sha256()} {log.store}"]

    def set_and_set_back(name: str, key: str, value: str) -> None:
        set_tag(name, key, value)
        if late:
            set_tag(name, key, late.pop())

    monkeypatch.setattr(tracking.client, "set_registered_model_tag", set_and_set_back)
    second = log.append("refused", "ada", model=registered, version="1")
    assert late == []
    assert log.verified_log().witnessed == second.number


def test_a_writer_waits_for_the_one_before_and_only_once_for_one_that_does_not_come(
    tracking: Tracking, registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: dict[str, Any] = {"model": registered, "version": "1"}
    log = AuditLog(str(tmp_path), tracking)
    first = log.append("refused", "ada", **about)
    before = AuditLog(str(tmp_path)).append("refused", "bob", **about)
    key, pauses = f"{HEAD_TAG}.{identity(first)}", 0

    def sleep(_: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 5:
            value = f"2 {before.sha256()} {log.store}"
            tracking.client.set_registered_model_tag(registered, key, value)

    monkeypatch.setattr(witness.time, "sleep", sleep)
    log.append("refused", "ada", **about)
    assert (log.verified_log().witnessed, pauses) == (3, 5)
    AuditLog(str(tmp_path)).append("refused", "bob", **about)
    log.append("refused", "ada", **about)
    assert pauses == 5 + witness._POLLS
    log.append("refused", "ada", **about)
    assert (log.verified_log().witnessed, pauses) == (3, 5 + witness._POLLS)


def test_what_a_killed_writer_wrote_is_witnessed_and_nothing_else_is(
    tracking: Tracking, registered: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: dict[str, Any] = {"model": registered, "version": "1"}
    log = AuditLog(str(tmp_path), tracking)
    log.append("refused", "ada", **about)
    log.append("refused", "ada", **about)
    killed = AuditLog(str(tmp_path), tracking)
    with monkeypatch.context() as patch:
        patch.setattr(killed, "_anchor", lambda *_: pytest.exit("killed"))
        with pytest.raises(pytest.exit.Exception):
            killed.append("refused", "ada", **about)
    assert AuditLog(str(tmp_path), tracking).verified_log().witnessed == 3
    heir = AuditLog(str(tmp_path), tracking)
    assert [heir.append("refused", "bob", **about).number for _ in range(2)] == [4, 5]
    assert heir.verified_log().witnessed == 5
    with monkeypatch.context() as patch:
        patch.setattr(killed, "_write", lambda _: pytest.exit("killed"))
        with pytest.raises(pytest.exit.Exception):
            killed.append("refused", "ada", **about)
    monkeypatch.setattr(witness.time, "sleep", lambda _: None)
    AuditLog(str(tmp_path)).append("refused", "eve", **about)  # without MLflow
    heir.append("refused", "bob", **about)
    assert heir.verified_log().witnessed == 5


def test_an_announcement_confirms_its_entry_and_contradicts_nothing() -> None:
    def witnessed(entry: Entry) -> tuple[int, int]:
        anchors = [
            Anchor("loans", OWN, Head.of(CHAIN[1]), "/here"),
            Anchor("loans", OWN, Head.of(entry), "/here", True),
        ]
        comparison = compare(CHAIN, anchors, store="/here")
        return comparison.witnessed.number, len(comparison.flaws)

    assert [witnessed(entry) for entry in (CHAIN[2], CHAIN[0], OTHER[2], _chain(9)[8])] == [
        (3, 0),
        (2, 0),
        (2, 0),
        (2, 0),
    ]
