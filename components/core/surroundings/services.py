"""Checks before a run starts, within seconds, that MLflow, the store and the data sources can be used."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.certificates import bundle, private_authorities
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import is_uri
from modelway.components.core.surroundings.findings import Finding, Status, as_error, worst_first
from modelway.components.core.surroundings.mlflow import load_client, no_tracking_uri, tracking_finding
from modelway.components.core.surroundings.storage import (
    s3_settings,
    source_in_folder,
    source_in_s3,
    store_in_folder,
    store_in_s3,
)

_SECONDS = 20  # for all questions together, which are asked at once; each has shorter limits of its own
Questions = dict[str, Callable[[], Finding]]


def check_surroundings(*, store: str, sources: Sequence[str]) -> None:
    """Asks MLflow, the store and the data sources whether a run can use them, within seconds.

    Writes a small object or file below the store; makes nothing else.

    Args:
        store: Where decisions and reports are kept: a folder or ``s3://``.
        sources: Where the data is: paths or ``s3://``.

    Raises:
        ModelwayError: something is missing, cannot be reached or refuses; names all of it, with the remedies.
    """
    error = as_error(inspect_surroundings(store=store, sources=sources))
    if error is not None:
        raise error


def inspect_surroundings(*, store: str, sources: Sequence[str], tracking_uri: str | None = None) -> list[Finding]:
    """Like `check_surroundings`, but returns all findings, the worst first.

    The MLflow server is the one that ``MLFLOW_TRACKING_URI`` names, unless another is given.
    """
    findings = _authorities()
    questions: Questions = {}
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        findings.append(no_tracking_uri())
    else:
        if uri.startswith(("http://", "https://")):
            load_client()  # here, since it is not the server that takes this time
        questions["MLflow"] = partial(tracking_finding, uri)
    questions |= {f"source {source}": partial(source_in_folder, source) for source in sources if not is_uri(source)}
    remote = [source for source in sources if is_uri(source)]
    if not store:
        remedy = "name a folder, or s3://BUCKET/PREFIX"
        findings.append(Finding("store", Status.MISSING, "no store is named", remedy, key="store"))
    elif not is_uri(store):
        questions["store"] = partial(store_in_folder, store)
    if is_uri(store) or remote:
        lacking = s3_settings()
        findings += lacking
        if not lacking:
            try:
                s3 = S3.from_environment(brief=True)
            except ModelwayError as error:
                findings.append(Finding.of("S3", error))
            else:
                questions |= {f"source {source}": partial(source_in_s3, s3, source) for source in remote}
                if is_uri(store):
                    questions["store"] = partial(store_in_s3, s3, store)
    return worst_first(findings + _answers(questions))


def _authorities() -> list[Finding]:
    """The finding about the private certificate authorities, if any are configured."""
    subject = "certificates"
    try:
        private = private_authorities()
        if private is None:
            return []
        bundle()
    except ModelwayError as error:
        return [Finding.of(subject, error)]
    return [Finding(subject, Status.OK, f"the private authorities in {private} are trusted", file=str(private))]


def _answers(questions: Questions) -> list[Finding]:
    """Asks all at once, and waits no longer than `_SECONDS`: a name look-up has no time limit of its own."""
    findings: dict[str, Finding] = {}
    crashes: list[Exception] = []

    def ask(subject: str, question: Callable[[], Finding]) -> None:
        try:
            findings[subject] = question()
        except ModelwayError as error:
            findings[subject] = Finding.of(subject, error)
        except Exception as error:  # ours; raised where it can be seen
            crashes.append(error)

    threads = [threading.Thread(target=ask, args=question, daemon=True) for question in questions.items()]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if crashes:
        raise crashes[0]
    remedy = "check its address, and that names are resolved here; then run again"
    return [
        findings.get(subject)
        or Finding(subject, Status.UNREACHABLE, f"{subject}: no answer came within {_SECONDS} s", remedy)
        for subject in questions
    ]
