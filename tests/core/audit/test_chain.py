from __future__ import annotations

import itertools

import pytest

from modelway.components.core.audit.chain import NOTHING, Entry, Head, extend_chain, mismatch_with_anchor, parse_entry


def entry(number: int, previous: str = NOTHING, actor: str = "ada") -> Entry:
    fields = {"event": "approved", "model": "loans", "version": "1", "at": "2026-01-01T00:00:00+00:00", "nonce": "n"}
    return Entry(number=number, previous=previous, actor=actor, **fields)  # type: ignore[arg-type]


def chain_of(length: int) -> list[Entry]:
    previous, entries = NOTHING, []
    for number in range(1, length + 1):
        entries.append(entry(number, previous))
        previous = entries[-1].sha256()
    return entries


def test_an_entry_is_parsed_from_its_own_bytes_alone() -> None:
    content = entry(1).content()
    assert parse_entry(content) == entry(1)
    assert parse_entry(content.replace(b",", b", ")) == "it is not in the log's own format"
    assert parse_entry(b"{}") == "it cannot be read as an entry"
    assert parse_entry(content.replace(b"+00:00", b"")) == "it cannot be read as an entry"


@pytest.mark.parametrize("length", range(4))
def test_a_chain_is_extended_from_wherever_it_was_verified(length: int) -> None:
    entries = chain_of(3)
    contents = [(item.number, item.content()) for item in entries[length:]]
    assert extend_chain(entries[:length], contents) == (entries, None)


def test_a_chain_is_extended_up_to_the_first_break() -> None:
    entries = chain_of(4)
    contents = [(item.number, item.content()) for item in entries]
    contents[1] = (2, entry(2, entries[0].sha256(), actor="eve").content())
    chain, flaw = extend_chain([], contents)
    assert len(chain) == 2
    assert flaw == (2, "entry 3 holds another hash than its: one of the two was changed")
    assert extend_chain([], contents[:1] + contents[2:])[1] == (2, "it is missing, though there is an entry 3")


def test_an_anchor_shows_what_was_cut_off_or_rewritten() -> None:
    entries = chain_of(3)
    heads = [Head(), *(Head(item.number, item.sha256()) for item in entries)]
    assert [mismatch_with_anchor(entries, head) for head in heads] == [None] * 4
    assert mismatch_with_anchor(entries[:1], heads[3]) == (
        2,
        "it is missing: the head that is anchored in MLflow is entry 3",
    )
    assert mismatch_with_anchor(entries, Head(2, "0" * 64)) == (
        2,
        "it is not the one that is anchored in MLflow: the chain was rewritten",
    )
    assert all(first.sha256() == second.previous for first, second in itertools.pairwise(entries))
