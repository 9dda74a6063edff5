"""The prediction log: the rows of requests with their predictions, as Parquet files in a folder or on S3.

A thread writes them, file by file; rows that it cannot keep up with are dropped and counted, and no request waits.
Below the log's root lie ``<model>/<version>/date=YYYY-MM-DD/<time>-<random>.parquet``. Columns are the model's own,
and ``_at`` (UTC), ``_request`` (the client's id of the request), ``_predict`` and ``_predict_proba_0`` and on, one for
each class in the model's order.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.locations import check_location
from modelway.components.core.storage.s3 import S3
from modelway.components.core.storage.uri import is_uri, join, write_uri
from modelway.components.serve.parquet import import_writer, to_parquet
from modelway.components.serve.tensors import Array

Columns = dict[str, Array]

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class LogSettings:
    """Where and how predictions are logged.

    Attributes:
        destination: A folder or an S3 URI.
        sample: The share of requests that are logged.
        file_rows: A file is written once it has this many rows.
        file_bytes: A file is written once its rows take this much memory.
        file_seconds: A file is written once its first row is this old.
        maximum_pending_rows: How many rows may wait to be written; further ones are dropped.
        maximum_pending_bytes: How much memory they may take.
    """

    destination: str
    sample: float = 1.0
    file_rows: int = 10_000
    file_bytes: int = 4 * 1024 * 1024
    file_seconds: float = 60.0
    maximum_pending_rows: int = 100_000
    maximum_pending_bytes: int = 16 * 1024 * 1024


class _Block(NamedTuple):
    columns: Columns
    rows: int
    bytes: int


class PredictionLog:
    """Writes blocks of rows in a thread of its own.

    Args:
        settings: Where and how predictions are logged.
        name: The model's name.
        version: Its version.

    Raises:
        ModelwayError: the destination is an address that is not taken.
    """

    def __init__(self, settings: LogSettings, name: str, *, version: str) -> None:
        check_location(settings.destination, key="log-to")
        self.settings = settings
        self._root = join(settings.destination, name, version or "0")
        self._blocks: deque[_Block] = deque()
        self._lock = threading.Lock()
        self._pending_rows = self._pending_bytes = self._dropped_rows = self._written_rows = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction log", daemon=True)
        self._thread.start()

    def offer(self, block: Columns) -> None:
        """Queues rows to be written, or drops them; returns at once.

        Args:
            block: Columns of equal length, numbers, texts or times.
        """
        rows, size = len(next(iter(block.values()))), sum(map(_bytes, block.values()))
        with self._lock:
            has_room = (
                self._pending_rows + rows <= self.settings.maximum_pending_rows
                and self._pending_bytes + size <= self.settings.maximum_pending_bytes
            )
            if not has_room or self._closing.is_set():
                self._dropped_rows += rows
                return
            self._pending_rows += rows
            self._pending_bytes += size
        self._blocks.append(_Block(block, rows, size))

    def counts(self) -> dict[str, float]:
        """Returns how many rows were written, and how many dropped."""
        return {"written": self._written_rows, "dropped": self._dropped_rows}

    def close(self, seconds: float = 10.0) -> None:
        """Writes the pending rows within this time, and ends; the others are lost."""
        self._closing.set()
        self._thread.join(seconds)
        if self._pending_rows:
            log.error("the prediction log lost %d rows that could not be written in time", self._pending_rows)

    def _run(self) -> None:
        self._check_setup()
        blocks: list[_Block] = []
        retry_at = first_at = 0.0
        while True:
            closing = self._closing.wait(_POLL_SECONDS)
            now = time.monotonic()
            while self._blocks:
                first_at = first_at if blocks else now
                blocks.append(self._blocks.popleft())
            due = closing or now - first_at >= self.settings.file_seconds
            while blocks and (closing or now >= retry_at) and (due or self._first_file(blocks)):
                file = self._first_file(blocks) or blocks
                if not self._write(file):
                    retry_at = now + min(self.settings.file_seconds, 10.0)
                    break
                blocks, first_at = blocks[len(file) :], now
            if closing:
                return

    def _first_file(self, blocks: list[_Block]) -> list[_Block]:
        """Returns the first blocks, enough for one file; none if all are not.

        Writing more at once would hold the interpreter too long.
        """
        rows = size = 0
        for end, block in enumerate(blocks, 1):
            rows, size = rows + block.rows, size + block.bytes
            if rows >= self.settings.file_rows or size >= self.settings.file_bytes:
                return blocks[:end]
        return []

    def _check_setup(self) -> None:
        """Imports the slow Parquet writer while the model is still loading, and logs an S3 setting that is missing."""
        import_writer()
        try:
            if is_uri(self._root):
                S3.from_environment()
        except ModelwayError as error:
            log.error("the prediction log cannot be written: %s", error)  # noqa: TRY400 - the error says it all

    def _write(self, blocks: list[_Block]) -> bool:
        """Writes a file; returns whether its rows are done with."""
        rows = sum(block.rows for block in blocks)
        try:
            content = to_parquet([block.columns for block in blocks])
        except Exception:  # would fail again, and hold up all others
            log.exception("%d rows of the prediction log cannot be written as Parquet, and are dropped", rows)
            self._finish(blocks, written=False)
            return True
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:12]}.parquet"
        try:
            write_uri(join(self._root, f"date={now:%Y-%m-%d}", name), content)
        except Exception:  # of any kind of store; the rows are retried until there is no more room
            log.exception("the prediction log cannot be written; %d rows wait", rows)
            return False
        self._finish(blocks, written=True)
        return True

    def _finish(self, blocks: list[_Block], *, written: bool) -> None:
        rows = sum(block.rows for block in blocks)
        with self._lock:
            self._pending_rows -= rows
            self._pending_bytes -= sum(block.bytes for block in blocks)
            self._written_rows += rows if written else 0
            self._dropped_rows += 0 if written else rows


def _bytes(values: Array) -> int:
    """Returns about how much memory a column takes, its texts included."""
    texts = sum(len(value) for value in values.tolist() if isinstance(value, str)) if values.dtype == object else 0
    return values.nbytes + texts
