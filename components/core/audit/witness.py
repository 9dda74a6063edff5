"""The witness of an audit log: MLflow, which holds the log's head in tags of the registered models.

A chain alone cannot show that its end was cut off, or that all of it was written anew. So the head is kept in MLflow
too, by *anchors*: tags ``modelway.audit_head.<identity>`` of registered models, of the value ``<number> <sha256>
<store>``. The identity is the first digits of the SHA-256 of the log's first entry: two stores have two tags, and one
store has one tag under whatever path or address it is read. An anchor belongs to a log if it holds one of its entries,
its identity or the store's address; one that belongs to a log and holds none of its entries shows that the log was cut
off, written anew or emptied. The tag that Modelway wrote earlier, ``modelway.audit_head``, is read and not written.

An anchor is advanced by the writer of the entry right after the witnessed one, or by one who wrote all entries in
between. So what somebody else put into the store is never witnessed by the way, nor what comes after it, until a person
accepts it. Of writers at once, each waits for the one before, so that a slower one does not set the anchor back.

Before an entry is written it is *announced*: its number and hash go into a tag ``modelway.audit_next.<identity>``. So
the entry of a writer that is killed before it sets the anchor is witnessed all the same, and the next writer sets the
anchor for it. An announcement of an entry that was never written says nothing.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from modelway.components.core.audit.chain import Entry, Head, mismatch_with_anchor
from modelway.components.core.storage.mlflow import TAG, Tracking

HEAD_TAG = f"{TAG}audit_head"
NEXT_TAG = f"{TAG}audit_next"
_POLLS = 20  # of an anchor that does not move: about 2 s and 20 answers of MLflow
_IDENTITY_DIGITS = 16
_NUMBER = re.compile(r"[0-9]{1,8}")  # as an entry's file is called


@dataclass(frozen=True)
class Anchor:
    """A head that MLflow holds.

    Attributes:
        model: The registered model that has the tag.
        identity: The identity of the log; empty in a tag that has none.
        head: The head.
        store: The store's address, as the writer of the tag had it.
        announced: Whether it says only which entry was about to be written.
    """

    model: str
    identity: str
    head: Head
    store: str
    announced: bool = False


@dataclass(frozen=True)
class Comparison:
    """What the anchors say of a chain.

    Attributes:
        anchors: The greatest anchor that belongs to the log, by model.
        witnessed: The last entry that one of them confirms; number 0: none is.
        flaws: The number of each entry that one contradicts, with what is wrong with it.
    """

    anchors: Mapping[str, Head]
    witnessed: Head
    flaws: Sequence[tuple[int, str]]


@dataclass(frozen=True)
class VerifiedLog:
    """A log's verified entries, and which of them MLflow witnesses.

    Attributes:
        entries: All entries in order.
        witnessed: The number of the last one that is witnessed; of a log without MLflow, of the last one.
        anchors: The number of the entry that each registered model's tag holds.
    """

    entries: list[Entry]
    witnessed: int
    anchors: Mapping[str, int]

    @property
    def head(self) -> Head:
        """The log's head."""
        return Head.of(self.entries[-1] if self.entries else None)

    @property
    def unwitnessed(self) -> list[Entry]:
        """The entries that are not witnessed: their writer could not do that, or was somebody who may not."""
        return self.entries[self.witnessed :]

    @property
    def trusted(self) -> list[Entry]:
        """The entries by which something is allowed: the witnessed ones, and every withdrawal."""
        return [entry for entry in self.entries if entry.number <= self.witnessed or entry.event == "withdrawn"]


def not_witnessed(number: int) -> str:
    """Says in a clause that an entry does not count, and what to do."""
    return f"entry {number} of the audit log is not witnessed by MLflow (`modelway audit witness` lists and accepts it)"


def identity(first: Entry) -> str:
    """The identity of the log that begins with an entry."""
    return first.sha256()[:_IDENTITY_DIGITS]


def compare(chain: Sequence[Entry], anchors: Iterable[Anchor], *, store: str) -> Comparison:
    """Compares an unbroken chain with the anchors that belong to it; those of other logs are left out.

    Args:
        chain: The entries from the first on.
        anchors: What MLflow holds.
        store: The address of the store that the chain was read from.
    """
    own: dict[str, Head] = {}
    witnessed, flaws = Head(), []
    for anchor in anchors:
        mismatch = mismatch_with_anchor(chain, anchor.head)
        if anchor.announced:
            if mismatch is None:
                witnessed = max(witnessed, anchor.head, key=lambda head: head.number)
            continue
        is_own = anchor.store == store or (bool(chain) and anchor.identity == identity(chain[0]))
        if mismatch is not None and not is_own:
            continue
        own[anchor.model] = max(own.get(anchor.model, Head()), anchor.head, key=lambda head: head.number)
        if mismatch is not None:
            flaws.append(mismatch)
        else:
            witnessed = max(witnessed, anchor.head, key=lambda head: head.number)
    return Comparison(own, witnessed, flaws)


class Witness:
    """The anchors of one store's log in MLflow.

    Args:
        tracking: The MLflow server.
        store: The store's address.
    """

    def __init__(self, tracking: Tracking, store: str) -> None:
        self.tracking = tracking
        self.store = store
        self._stuck = Head(-1)  # the head that this writer has waited for in vain

    def compare(self, chain: Sequence[Entry], models: Iterable[str]) -> Comparison:
        """Compares a chain with the anchors of the models that it names, and of further ones; a call for each.

        Raises:
            UnavailableError: MLflow cannot be reached.
            CredentialsError: it refuses access.
        """
        tags = self._tags({entry.model for entry in chain} | {*models})
        return compare(chain, _anchors(tags), store=self.store)

    def announce(self, before: Entry | None, entry: Entry) -> None:
        """Says which entry is about to be written, if the one before it is witnessed.

        Where that one was announced by a writer that has not set the anchor, it is set first.

        Args:
            before: The log's last entry, if there is one.
            entry: The entry that is to follow it.

        Raises:
            ModelwayError: MLflow cannot be reached, or refuses.
        """
        if before is None:
            return
        tags, head = self._tags({before.model, entry.model}), Head.of(before)
        anchors = sorted(_anchors(tags), key=lambda anchor: anchor.announced)
        anchor = next((anchor for anchor in anchors if anchor.identity and anchor.head == head), None)
        if anchor is None or _is_passed(head, anchors, identity=anchor.identity):
            return
        if anchor.announced:
            self._anchor(before, anchor.model, identity=anchor.identity)
        model = entry.model if entry.model in tags else before.model
        with self.tracking.translate_errors():
            value = f"{entry.number} {entry.sha256()} {self.store}"
            self.tracking.client.set_registered_model_tag(model, f"{NEXT_TAG}.{anchor.identity}", value)

    def follow(
        self,
        before: Entry | None,
        entry: Entry,
        *,
        read_chain: Callable[[], Sequence[Entry]],
        written: Collection[str],
    ) -> None:
        """Anchors an entry that was just written, if all entries before it are witnessed or were written by the caller.

        If they are not, it waits shortly for their writers to do so, and then leaves the entry without an anchor.

        Args:
            before: The entry before it, if there is one.
            entry: The entry.
            read_chain: Reads the log as far as its links hold.
            written: The SHA-256 of the entries that the caller wrote, or vouches for.

        Raises:
            ModelwayError: MLflow or the store cannot be reached, or refuses.
        """
        if before is not None:  # most often it is witnessed already: that shows without reading the log
            tags = self._tags({before.model, entry.model})
            anchors, head = [anchor for anchor in _anchors(tags) if not anchor.announced], Head.of(before)
            log = next((anchor.identity for anchor in anchors if anchor.identity and anchor.head == head), "")
            if log and not _is_passed(head, anchors, identity=log):
                self._anchor(entry, entry.model if entry.model in tags else before.model, identity=log)
                return
        chain = read_chain()[: entry.number]
        if not chain or chain[-1] != entry:
            return
        models = {earlier.model for earlier in chain}
        last, polls = Head(-1), 0
        while True:
            tags = self._tags(models)
            heads = [anchor for anchor in _anchors(tags) if not (anchor.announced and anchor.head == Head.of(entry))]
            comparison = compare(chain, heads, store=self.store)
            witnessed = comparison.witnessed
            if comparison.flaws or witnessed.number == entry.number or not tags:
                return  # an anchor that contradicts the log stays as evidence
            if all(earlier.sha256() in written for earlier in chain[witnessed.number : -1]):
                model = entry.model if entry.model in tags else min(tags)
                self._anchor(entry, model, identity=identity(chain[0]))
                return
            last, polls = (last, polls + 1) if witnessed == last else (witnessed, 1)
            if polls > _POLLS or witnessed == self._stuck:
                self._stuck = witnessed
                return
            time.sleep(random.uniform(0.05, 0.15))  # noqa: S311 - who waits longer is no secret

    def _anchor(self, entry: Entry, model: str, *, identity: str) -> None:
        """Sets the anchor of a model; again if a late answer to another writer has set it back meanwhile."""
        key = f"{HEAD_TAG}.{identity}"
        for _ in range(3):
            with self.tracking.translate_errors():
                value = f"{entry.number} {entry.sha256()} {self.store}"
                self.tracking.client.set_registered_model_tag(model, key, value)
            anchors = [anchor for anchor in _anchors(self._tags({model})) if not anchor.announced]
            anchor = next((anchor for anchor in anchors if anchor.identity == identity), None)
            if anchor is None or anchor.head.number >= entry.number:
                return

    def _tags(self, models: Iterable[str]) -> dict[str, Mapping[str, str]]:
        """The tags of those models that are registered."""
        with self.tracking.translate_errors():
            registered = [
                registration
                for model in sorted(models)
                for registration in self.tracking.client.search_registered_models(filter_string=f"name = '{model}'")
            ]
        return {registration.name: registration.tags for registration in registered}


def _is_passed(head: Head, anchors: Iterable[Anchor], *, identity: str) -> bool:
    """Whether an anchor of a log holds a later entry."""
    return any(
        anchor.head.number > head.number for anchor in anchors if anchor.identity == identity and not anchor.announced
    )


def _anchors(tags: Mapping[str, Mapping[str, str]]) -> list[Anchor]:
    anchors = []
    for model, model_tags in tags.items():
        for key, value in model_tags.items():
            name, _, log = key.removeprefix(TAG).partition(".")
            number, _, rest = value.partition(" ")
            sha256, _, store = rest.partition(" ")
            if f"{TAG}{name}" in {HEAD_TAG, NEXT_TAG} and key.startswith(TAG) and _NUMBER.fullmatch(number):
                announced = f"{TAG}{name}" == NEXT_TAG
                anchors.append(Anchor(model, log, Head(int(number), sha256), store, announced))
    return anchors
