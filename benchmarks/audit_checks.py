"""What a check of a promotion's lock costs where the audit log is long.

Writes a log of some entries into a folder or below an S3 prefix, claims an environment, and checks the claim: by a log
that has verified nothing before, as every check was until the verified entries were remembered, and by one that has.
Both in turn; printed are the medians, the objects that one check reads, and the ratio.

    uv run python benchmarks/audit_checks.py --entries 2000 --checks 9
    uv run python benchmarks/audit_checks.py --store s3://bucket/prefix    # the endpoint and keys as for any store
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated

import typer

from modelway.components.core.audit import log as audit
from modelway.components.core.audit.lock import PromotionLock, acquire, assert_held
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.storage import uri as storage

READS: list[str] = []


def read_all(uris: Iterable[str]) -> list[bytes]:
    """What the log reads its entries by, counted."""
    sources = list(uris)
    READS.extend(sources)
    return storage.read_all(sources)


def timed(log: AuditLog, claim: PromotionLock) -> tuple[float, int]:
    """Seconds of a check, and how many objects it reads."""
    READS.clear()
    start = time.perf_counter()
    assert_held(log, claim)
    return time.perf_counter() - start, len(READS)


def main(
    store: Annotated[str, typer.Option(help="An s3:// prefix to write below; a folder of its own unless given.")] = "",
    entries: Annotated[int, typer.Option(help="Entries before the promotion.")] = 2000,
    checks: Annotated[int, typer.Option(help="How often each is measured.")] = 9,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures both, in turn."""
    audit.read_all = read_all  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder:
        log = AuditLog(f"{store.rstrip('/')}/{uuid.uuid4().hex[:8]}" if store else folder)
        for number in range(entries):
            log.append("approved", "ada", model="loans", version=str(number), environment="staging")
        about = {"model": "loans", "version": "1", "actor": "ada", "run": "run-1"}
        claim = acquire(log, **about, environment="production", lease=timedelta(hours=1))
        time.sleep(1.1)  # files that are new are read again, since a change within a clock's tick does not show
        assert_held(log, claim)
        pairs = [(timed(AuditLog(log.store), claim), timed(log, claim)) for _ in range(checks)]
    anew, remembered = zip(*pairs, strict=True)
    figures = {
        "entries": entries + 1,
        "read_anew": statistics.median(reads for _, reads in anew),
        "read_remembered": statistics.median(reads for _, reads in remembered),
        "seconds_anew": statistics.median(seconds for seconds, _ in anew),
        "seconds_remembered": statistics.median(seconds for seconds, _ in remembered),
        "ratio": statistics.median(first / later for (first, _), (later, _) in pairs),
    }
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:<20} {value:.4g}")


if __name__ == "__main__":
    typer.run(main)
