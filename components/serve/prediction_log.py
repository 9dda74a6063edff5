"""The prediction log: rows that were asked for, with their answers, as Parquet files in a folder or on S3.

A thread writes them, file by file; what it cannot keep up with is dropped and counted, and no request waits for it.
Below the log's root lie ``<model>/<version>/date=YYYY-MM-DD/<time>-<random>.parquet``. Columns are the model's own,
and ``_at`` (UTC), ``_request`` (the client's id of the request), ``_predict`` and ``_predict_proba_0`` and on, one for
each class in the model's order.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate
from typing import Any

import numpy as np

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import is_uri, join, write_uri
from modelway.components.serve.parquet import prepare, to_parquet

Array = np.ndarray[Any, Any]
Columns = dict[str, Array]

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class LogSettings:
    """Where and how predictions are logged.

    Attributes:
        target: A folder or an S3 URI.
        sample: The share of requests that are logged.
        file_rows: A file is written as soon as there are so many rows,
        file_seconds: or its first row is so old.
        held_rows: Rows that are held at most until they are written; more are dropped.
    """

    target: str
    sample: float = 1.0
    file_rows: int = 10_000
    file_seconds: float = 60.0
    held_rows: int = 100_000


class PredictionLog:
    """Writes blocks of rows in a thread of its own.

    Args:
        settings: Where and how.
        name: The model's name.
        version: Its version.
    """

    def __init__(self, settings: LogSettings, name: str, *, version: str) -> None:
        self.settings = settings
        self._root = join(settings.target, name, version or "0")
        self._blocks: deque[Columns] = deque()
        self._lock = threading.Lock()
        self._held = self._dropped = self._written = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        self._thread.start()

    def offer(self, block: Columns) -> None:
        """Takes rows in to be written, or drops them; returns at once.

        Args:
            block: Columns of equal length, numbers, texts or times.
        """
        rows = _rows(block)
        with self._lock:
            if self._held + rows > self.settings.held_rows or self._closing.is_set():
                self._dropped += rows
                return
            self._held += rows
        self._blocks.append(block)

    def counts(self) -> dict[str, float]:
        """How many rows were written, and how many dropped."""
        return {"written": self._written, "dropped": self._dropped}

    def close(self, seconds: float = 10.0) -> None:
        """Writes what is held and ends; what is not written by then is dropped."""
        self._closing.set()
        self._thread.join(seconds)
        if self._held:
            log.error("the prediction log lost %d rows that could not be written in time", self._held)

    def _run(self) -> None:
        self._prepare()
        taken: list[Columns] = []
        retry_at = first_at = 0.0
        while True:
            closing = self._closing.wait(_POLL_SECONDS)
            now = time.monotonic()
            while self._blocks:
                first_at = first_at if taken else now
                taken.append(self._blocks.popleft())
            due = closing or now - first_at >= self.settings.file_seconds
            while taken and (closing or now >= retry_at) and (due or _rows(*taken) >= self.settings.file_rows):
                file = self._first_file(taken)
                if not self._write(file):
                    retry_at = now + min(self.settings.file_seconds, 10.0)
                    break
                taken, first_at = taken[len(file) :], now
            if closing:
                return

    def _first_file(self, blocks: list[Columns]) -> list[Columns]:
        """The first blocks, as many as make a file: of more at once the interpreter would be held too long."""
        sums = list(accumulate(map(_rows, blocks)))
        return blocks[: bisect_left(sums, self.settings.file_rows) + 1]

    def _prepare(self) -> None:
        """Imports what writes, while the model is still loading, since it takes a while; says what is not set."""
        prepare()
        try:
            if is_uri(self._root):
                S3.from_environment()
        except ModelwayError as error:
            log.error("the prediction log cannot be written: %s", error)  # noqa: TRY400 - the error says it all

    def _write(self, blocks: list[Columns]) -> bool:
        rows = _rows(*blocks)
        at = datetime.now(UTC)
        name = f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.parquet"
        try:
            write_uri(join(self._root, f"date={at:%Y-%m-%d}", name), to_parquet(blocks))
        except Exception:  # whatever a store brings up; the rows are tried again until there is no more room
            log.exception("the prediction log cannot be written; %d rows wait", rows)
            return False
        with self._lock:
            self._held -= rows
            self._written += rows
        return True


def _rows(*blocks: Columns) -> int:
    return sum(len(next(iter(block.values()))) for block in blocks)
