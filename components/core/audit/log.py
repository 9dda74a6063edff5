"""The audit log: what was registered, approved, deployed and undone, in a hash chain that shows tampering.

Each entry is an object of its own, ``<store>/audit/<number>.json``: canonical JSON (sorted keys, no spaces, UTF-8) that
holds the SHA-256 of the entry before it, after the linked time-stamping of Haber and Stornetta (1991). Entries are
created exclusively, so that of two writers exactly one gets a number; on S3 they are retained where the bucket has
object lock.

A chain alone cannot show that its end was cut off, or that all of it was rewritten. The head is therefore anchored in
MLflow too, in the tag ``modelway.audit_head`` of the registered model: whoever can write to the store but not to the
model registry cannot hide that; whoever can write to both can. A bucket with versions shows replaced objects by itself.

An `AuditLog` remembers the entries that it has verified. Each check lists the log again, reads from the first entry on
that the listing shows as changed (`storage.Listing`), and compares with the anchor and the bucket's versions. A change
that no listing shows, such as one of the disk below a server, is found by `AuditLog.verify`, which reads everything.
Until then it has no effect: what was verified is what counts.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelway.components.core.addresses import without_secrets
from modelway.components.core.audit.chain import (
    Broken,
    Entry,
    Event,
    Head,
    extend_chain,
    mismatch_with_anchor,
    parse_entry,
)
from modelway.components.core.errors import DamagedError, ModelwayError, UnavailableError
from modelway.components.core.storage.mlflow import TAG, Tracking
from modelway.components.core.storage.uri import (
    create_uri,
    is_exclusive,
    is_uri,
    join,
    list_names,
    list_states,
    read_all,
    read_uri,
)

if TYPE_CHECKING:
    from mlflow.entities.model_registry import RegisteredModel

HEAD_TAG = "audit_head"
RETAIN_DAYS = 3650  # where the bucket has object lock and no rule of its own
_NAME = re.compile(r"^(\d{8})\.json$")
TRIES = 200


class BrokenLogError(DamagedError):
    """The log was tampered with: nothing in it is trusted."""


class HeadMovedError(ModelwayError):
    """Somebody else wrote an entry first."""


class AuditLog:
    """The log of one store, and the entries of it that were verified so far.

    Args:
        store: The root of the project's store: a folder or an ``s3://`` prefix.
        tracking: Where the head is anchored; None: nowhere.
    """

    def __init__(self, store: str, tracking: Tracking | None = None) -> None:
        self.store = store.rstrip("/") if is_uri(store) else str(Path(store).resolve())
        self.folder = join(self.store, "audit")
        self.tracking = tracking
        self._last_number = 0  # of the last entry read, so that the end is found without listing all before it
        self._chain: list[Entry] = []  # the verified entries
        self._states: list[tuple[int, str]] = []  # the number and state of each of these, as they were listed

    def append(
        self,
        event: Event,
        actor: str,
        *,
        model: str,
        version: str,
        environment: str = "",
        details: Mapping[str, str] | None = None,
        expected: Head | None = None,
    ) -> Entry:
        """Writes an entry at the end of the log, after whatever others write meanwhile.

        With `expected`, the head that the caller has read, the entry is written right after that or not at all.

        Raises:
            HeadMovedError: there are entries after `expected`.
            BrokenLogError: the last entry cannot be read.
            UnavailableError: others kept writing first.
            ModelwayError: the store does not create objects exclusively.
        """
        details = details or {}
        for attempt in range(TRIES):
            before = self._last()
            head = Head.of(before)
            if expected is not None and head != expected:
                raise HeadMovedError(
                    f"the audit log has {head.number} entries now, not {expected.number}",
                    file=self.folder,
                    remedy="read the log again, then decide again",
                )
            now = datetime.now(UTC).isoformat(timespec="microseconds")
            entry = Entry(
                number=head.number + 1,
                previous=head.sha256,
                at=now if before is None else max(now, before.at),
                event=event,
                actor=actor,
                model=model,
                version=version,
                environment=environment,
                details={name: without_secrets(text) if name == "reason" else text for name, text in details.items()},
                nonce=secrets.token_hex(8),
            )
            if self._write(entry):
                self._anchor_head(entry)
                return entry
            time.sleep(random.uniform(0, 0.01 * min(attempt + 1, 20)))  # noqa: S311 - who waits longer is no secret
        raise self.too_busy()

    def too_busy(self) -> UnavailableError:
        """The error of a writer that others were always ahead of."""
        return UnavailableError(
            f"another writer was faster at each of {TRIES} attempts to write to the audit log",
            file=self.folder,
            remedy="run again when fewer runs write to it",
        )

    def count(self) -> int:
        """The number of entries, whatever is in them."""
        return len(self._numbers())

    def entries(self) -> list[Entry]:
        """All entries in order, unverified.

        Raises:
            BrokenLogError: one cannot be read.
        """
        return [_entry(content, self._file(number)) for number, content in self._contents(self._numbers())]

    def verified_entries(self, *models: str) -> tuple[list[Entry], Head]:
        """All entries in order and the head, verified; entries that were verified before are not read again.

        The anchors of the registered `models` are compared even if no entry names them.

        Raises:
            BrokenLogError: a link is broken.
        """
        chain, broken = self._checked(models)
        if broken is not None:
            raise BrokenLogError(
                f"the audit log is broken at entry {broken.number}: {broken.reason}",
                file=broken.file,
                remedy="find out who changed it and restore it from a backup; `modelway audit verify` checks it again",
            )
        return chain, Head.of(chain[-1] if chain else None)

    def verify(self, *models: str) -> Broken | None:
        """The first entry that was changed, removed, moved, replaced or cut off, by reading all; None if none was.

        The anchors of the registered `models` are compared even if no entry names them.
        """
        self._chain, self._states = [], []
        return self._checked(models)[1]

    def head(self) -> Head:
        """The log's head."""
        return Head.of(self._last())

    def anchored_head(self, model: str) -> Head | None:
        """The head that MLflow holds for a model; None if it holds none of this store."""
        if self.tracking is None:
            return None
        tags: Mapping[str, str] = next((registration.tags for registration in _registered(self.tracking, model)), {})
        number, _, rest = tags.get(f"{TAG}{HEAD_TAG}", "").partition(" ")
        sha256, _, store = rest.partition(" ")
        return Head(int(number), sha256) if store == self.store and number.isdecimal() else None

    def _file(self, number: int) -> str:
        return join(self.folder, f"{number:08}.json")

    def _last(self) -> Entry | None:
        numbers = (self._numbers(self._last_number) if self._last_number else []) or self._numbers()
        if not numbers:
            return None
        self._last_number = numbers[-1]
        file = self._file(numbers[-1])
        entry = _entry(read_uri(file), file)
        if entry.number != numbers[-1]:
            raise _no_entry(file, f"it holds entry {entry.number}")
        return entry

    def _numbers(self, first: int = 1) -> list[int]:
        names = list_names(self.folder, after=f"{first - 1:08}.json")
        return [int(match[1]) for name in names if (match := _NAME.match(name))]

    def _contents(self, numbers: Sequence[int]) -> list[tuple[int, bytes]]:
        return list(zip(numbers, read_all(map(self._file, numbers)), strict=True))

    def _write(self, entry: Entry) -> bool:
        file, content = self._file(entry.number), entry.content()
        if not create_uri(file, content, retain_days=RETAIN_DAYS):
            return False
        if entry.number == 1 and not is_exclusive(file, content):
            raise ModelwayError(
                "the store allows an object to be created twice, so that two writers can overwrite each other",
                file=file,
                remedy="keep the store where `If-None-Match: *` is honoured (AWS S3, a recent MinIO), or in a folder",
            )
        return True

    def _anchor_head(self, entry: Entry) -> None:
        if self.tracking is None:
            return
        with suppress(ModelwayError):  # the entry is written, and an older anchor still holds
            anchor = self.anchored_head(entry.model)
            if (anchor is None or self._follows(entry, anchor)) and _registered(self.tracking, entry.model):
                value = f"{entry.number} {entry.sha256()} {self.store}"
                with self.tracking.translate_errors():
                    self.tracking.client.set_registered_model_tag(entry.model, f"{TAG}{HEAD_TAG}", value)

    def _follows(self, entry: Entry, anchor: Head) -> bool:
        """Whether the anchored entry is still there before this one; if not, the anchor must stay as evidence."""
        if anchor.number >= entry.number - 1:
            return anchor == Head(entry.number - 1, entry.previous)
        return anchor == Head(anchor.number, hashlib.sha256(read_uri(self._file(anchor.number))).hexdigest())

    def _checked(self, models: tuple[str, ...]) -> tuple[list[Entry], Broken | None]:
        chain, broken = self._check(models)
        if broken is None or broken.number <= len(chain):
            return chain, broken
        return self._check(models)  # it may have been written and anchored since the others were read

    def _check(self, models: tuple[str, ...]) -> tuple[list[Entry], Broken | None]:
        chain, flaw, tampered = self._read_chain()
        flaws = [flaw] if flaw is not None else []
        if flaw is None:
            heads = map(self.anchored_head, sorted({entry.model for entry in chain} | {*models}))
            mismatches = (mismatch_with_anchor(chain, head) for head in heads if head is not None)
            flaws += [mismatch for mismatch in mismatches if mismatch is not None]
        for name, change in tampered.items():
            if match := _NAME.match(name):
                flaws.append((int(match[1]), f"it was {change}: the bucket holds other versions of it"))
        # Of several flaws of one entry, the bucket's is the plainest, and it is the last.
        number, reason = min(reversed(flaws), key=lambda flaw: flaw[0], default=(0, ""))
        return chain, Broken(number, self._file(number), reason) if flaws else None

    def _read_chain(self) -> tuple[list[Entry], tuple[int, str] | None, dict[str, str]]:
        """The entries as far as every link holds, the first flaw, and what the bucket's versions show."""
        listing = list_states(self.folder)
        states = [(int(match[1]), state) for name, state in listing.states.items() if (match := _NAME.match(name))]
        pairs = zip(states, self._states, strict=False)
        unchanged = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1] and pair[0][1], pairs))
        contents = self._contents([number for number, _ in states[unchanged:]])
        self._chain, flaw = extend_chain(self._chain[:unchanged], contents)
        self._states = states[: len(self._chain)]
        if contents:  # an object may have been replaced before it was read
            listing = list_states(self.folder)
        return list(self._chain), flaw, listing.tampered


def _entry(content: bytes, file: str) -> Entry:
    entry = parse_entry(content)
    if isinstance(entry, str):
        raise _no_entry(file, entry)
    return entry


def _no_entry(file: str, reason: str) -> BrokenLogError:
    return BrokenLogError(
        f"the audit log's entry {file} is damaged: {reason}",
        file=file,
        remedy="`modelway audit verify` says where the log is broken; restore it from a backup",
    )


def _registered(tracking: Tracking, model: str) -> list[RegisteredModel]:
    with tracking.translate_errors():
        return list(tracking.client.search_registered_models(filter_string=f"name = '{model}'"))
