"""The audit log: what was registered, approved, deployed and undone, in a hash chain that shows tampering.

Each entry is an object of its own, ``<store>/audit/<number>.json``: canonical JSON (sorted keys, no spaces, UTF-8) that
holds the SHA-256 of the entry before it, after the linked time-stamping of Haber and Stornetta (1991). Entries are
created exclusively, so that of two writers exactly one gets a number; on S3 they are retained where the bucket has
object lock.

A chain alone cannot show that its end was cut off, or that all of it was rewritten. Its head is therefore witnessed by
MLflow (`witness`): whoever can write to the store but not to the model registry cannot hide that, and what they add is
not witnessed; whoever can write to both can. A bucket with versions shows replaced objects by itself.

An `AuditLog` remembers the entries that it has verified. Each check lists the log again, reads from the first entry on
that the listing shows as changed (`storage.Listing`), and compares with the anchor and the bucket's versions. A change
that no listing shows, such as one of the disk below a server, is found by `AuditLog.verify`, which reads everything.
Until then it has no effect: what was verified is what counts.
"""

from __future__ import annotations

import itertools
import random
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from modelway.components.core.addresses import without_secrets
from modelway.components.core.audit.chain import (
    Broken,
    Entry,
    Event,
    Head,
    extend_chain,
    parse_entry,
)
from modelway.components.core.audit.witness import Comparison, VerifiedLog, Witness
from modelway.components.core.errors import DamagedError, ModelwayError, UnavailableError
from modelway.components.core.storage.mlflow import Tracking
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

RETAIN_DAYS = 3650  # where the bucket has object lock and no rule of its own
_NAME = re.compile(r"^(\d{8})\.json$")
TRIES = 200
HEAD_DIGITS = 16  # of a hash, as a person gives it: too many for another entry to be made that has the same


class BrokenLogError(DamagedError):
    """The log was tampered with: nothing in it is trusted."""


class HeadMovedError(ModelwayError):
    """Somebody else wrote an entry first."""


class AuditLog:
    """The log of one store, and the entries of it that were verified so far.

    Args:
        store: The root of the project's store: a folder or an ``s3://`` prefix.
        tracking: The MLflow server that witnesses it; None: none does.
    """

    def __init__(self, store: str, tracking: Tracking | None = None) -> None:
        self.store = store.rstrip("/") if is_uri(store) else str(Path(store).resolve())
        self.folder = join(self.store, "audit")
        self._witness = Witness(tracking, self.store) if tracking is not None else None
        self._written: set[str] = set()  # the hashes of the entries that this object wrote
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
            if self._witness is not None:
                with suppress(ModelwayError):  # the entry is announced for the case that this writer is killed
                    self._witness.announce(before, entry)
            if self._write(entry):
                self._anchor(before, entry)
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

    def verified_log(self, *models: str) -> VerifiedLog:
        """All entries in order, verified; those that were verified before are not read again.

        The anchors of the registered `models` are compared even if no entry names them.

        Raises:
            BrokenLogError: a link is broken.
        """
        chain, comparison, broken = self._checked(models)
        if broken is not None:
            raise BrokenLogError(
                f"the audit log is broken at entry {broken.number}: {broken.reason}",
                file=broken.file,
                remedy="find out who changed it and restore it from a backup; `modelway audit verify` checks it again",
            )
        witnessed = comparison.witnessed.number if self._witness is not None else len(chain)
        return VerifiedLog(chain, witnessed, {model: head.number for model, head in comparison.anchors.items()})

    def verified_entries(self, *models: str) -> tuple[list[Entry], Head]:
        """The entries and the head of `verified_log`."""
        log = self.verified_log(*models)
        return log.entries, log.head

    def verify(self, *models: str) -> Broken | None:
        """The first entry that was changed, removed, moved, replaced or cut off, by reading all; None if none was.

        The anchors of the registered `models` are compared even if no entry names them.
        """
        self._chain, self._states = [], []
        return self._checked(models)[2]

    def head(self) -> Head:
        """The log's head."""
        return Head.of(self._last())

    def anchors(self, *models: str) -> dict[str, int]:
        """The number of the entry that each registered model's tag holds, even of a log that is broken."""
        return {model: head.number for model, head in self._compare(self._chain, models).anchors.items()}

    def accept_unwitnessed(self, head: str, *, model: str, actor: str, reason: str) -> Entry:
        """Lets MLflow witness the entries that it does not yet, by an entry of its own that says who accepted them.

        Args:
            head: The SHA-256 of the log's last entry as the person has seen it, or its first 16 digits or more.
            model: The registered model.
            actor: Who accepts them.
            reason: Why.

        Raises:
            HeadMovedError: the log has another head.
            BrokenLogError: a link is broken.
            UnavailableError: MLflow did not take the new head.
        """
        log = self.verified_log(model)
        if len(head) < HEAD_DIGITS or not log.head.sha256.startswith(head):
            raise HeadMovedError(
                f"the head of the audit log is entry {log.head.number}, {log.head.sha256[:HEAD_DIGITS]}",
                file=self.folder,
                key="head",
                value=head,
                remedy="run `modelway audit witness` without --head, and read what it lists",
            )
        self._written |= {entry.sha256() for entry in log.unwitnessed}
        details = {"first": str(log.witnessed + 1), "last": str(log.head.number), "reason": reason}
        entry = self.append("witnessed", actor, model=model, version="", details=details, expected=log.head)
        if self.verified_log(model).witnessed < entry.number:
            raise UnavailableError(
                f"MLflow did not take entry {entry.number} of the audit log as its head",
                file=self._file(entry.number),
                remedy=f"see that {model} is registered in MLflow and may be tagged by this account, then run again",
            )
        return entry

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

    def _anchor(self, before: Entry | None, entry: Entry) -> None:
        self._written.add(entry.sha256())
        if self._witness is not None:
            with suppress(ModelwayError):  # the entry is written, and is not witnessed
                self._witness.follow(before, entry, read_chain=lambda: self._read_chain()[0], written=self._written)

    def _compare(self, chain: Sequence[Entry], models: tuple[str, ...]) -> Comparison:
        return Comparison({}, Head(), ()) if self._witness is None else self._witness.compare(chain, models)

    def _checked(self, models: tuple[str, ...]) -> tuple[list[Entry], Comparison, Broken | None]:
        chain, comparison, broken = self._check(models)
        if broken is None or broken.number <= len(chain):
            return chain, comparison, broken
        return self._check(models)  # it may have been written and anchored since the others were read

    def _check(self, models: tuple[str, ...]) -> tuple[list[Entry], Comparison, Broken | None]:
        chain, flaw, tampered = self._read_chain()
        flaws = [flaw] if flaw is not None else []
        comparison = Comparison({}, Head(), ())
        if flaw is None:
            comparison = self._compare(chain, models)
            flaws += comparison.flaws
        for name, change in tampered.items():
            if match := _NAME.match(name):
                flaws.append((int(match[1]), f"it was {change}: the bucket holds other versions of it"))
        # Of several flaws of one entry, the bucket's is the plainest, and it is the last.
        number, reason = min(reversed(flaws), key=lambda flaw: flaw[0], default=(0, ""))
        return chain, comparison, Broken(number, self._file(number), reason) if flaws else None

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
