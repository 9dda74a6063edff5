"""Records requests and predictions, in blocks of rows, for the drift window and the prediction log.

A request costs one append; blocks are built of about a hundred requests at a time, which costs each about a microsecond
per column.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from modelway.components.serve.drift import DriftWindow
from modelway.components.serve.prediction_log import PredictionLog
from modelway.components.serve.tensors import Array

_BLOCK_REQUESTS, _BLOCK_ROWS, _BLOCK_BYTES = 128, 4096, 1 << 20


class RecordedRequest(NamedTuple):
    """A request that was answered.

    Attributes:
        columns: Its rows, as `Signature.convert` returns them.
        outputs: The predictions, each of shape (rows,) or (rows, classes).
        request_id: The client's id of it.
        at: When it was answered, in seconds since 1970.
        is_sampled: Whether it belongs to the sample that is logged.
    """

    columns: Mapping[str, Array]
    outputs: Mapping[str, Array]
    request_id: str
    at: float
    is_sampled: bool


class Recorder:
    """Passes requests on in blocks; not thread-safe.

    Args:
        drift: Gets all rows, if drift is measured.
        log: Gets a sample of the requests, if predictions are logged.
        seed: The seed of the sample; None: a random one.
    """

    def __init__(
        self, drift: DriftWindow | None = None, log: PredictionLog | None = None, *, seed: int | None = None
    ) -> None:
        self._drift, self._log = drift, log
        self._sample = log.settings.sample if log is not None else 0.0
        self._random = random.Random(seed).random  # noqa: S311 - a sample, no secret
        self._pending: list[RecordedRequest] = []
        self._rows = self._bytes = 0

    def record(
        self, columns: Mapping[str, Array], outputs: Mapping[str, Array], *, request_id: str = "", size: int = 0
    ) -> None:
        """Records a request that was answered; `size` is that of its body in bytes."""
        is_sampled = self._random() < self._sample
        if self._drift is None and not is_sampled:
            return
        self._pending.append(RecordedRequest(columns, outputs, request_id, time.time(), is_sampled))
        self._rows += len(next(iter(columns.values())))
        self._bytes += size
        if len(self._pending) >= _BLOCK_REQUESTS or self._rows >= _BLOCK_ROWS or self._bytes >= _BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Passes on the requests recorded so far."""
        pending, self._pending, self._rows, self._bytes = self._pending, [], 0, 0
        if not pending:
            return
        columns = _concatenate([request.columns for request in pending])
        if self._drift is not None:
            self._drift.add(columns)
        if self._log is not None:
            self._offer(self._log, pending, columns=columns)

    def drift_scores(self) -> Mapping[str, float]:
        """Returns each column's drift score, the latest requests included."""
        self.flush()
        return self._drift.scores() if self._drift is not None else {}

    def close(self) -> None:
        """Passes on the requests recorded so far, and waits for the log to be written."""
        self.flush()
        if self._log is not None:
            self._log.close()

    @staticmethod
    def _offer(log: PredictionLog, requests: list[RecordedRequest], *, columns: Mapping[str, Array]) -> None:
        by_outputs: dict[tuple[str, ...], list[RecordedRequest]] = {}
        for request in requests:
            if request.is_sampled:
                by_outputs.setdefault(tuple(request.outputs), []).append(request)
        for group in by_outputs.values():
            sizes = [len(next(iter(request.columns.values()))) for request in group]
            at = (np.array([request.at for request in group]) * 1e6).astype(np.int64).astype("datetime64[us]")
            block = {
                "_at": np.repeat(at, sizes),
                "_request": np.repeat(np.array([request.request_id for request in group], dtype=object), sizes),
                **(columns if len(group) == len(requests) else _concatenate([request.columns for request in group])),
            }
            for name, values in _concatenate([request.outputs for request in group]).items():
                if values.ndim == 1:
                    block[f"_{name}"] = values
                else:
                    block |= {f"_{name}_{place}": values[:, place] for place in range(values.shape[1])}
            log.offer(block)


def _concatenate(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
