"""What was asked and answered, gathered in blocks of rows for the drift window and the prediction log.

A request costs one append; blocks are made of some hundred of them at a time, which costs each about a microsecond per
column.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from modelway.components.serve.drift import DriftWindow
from modelway.components.serve.prediction_log import PredictionLog

Array = np.ndarray[Any, Any]

_BLOCK_REQUESTS, _BLOCK_ROWS = 128, 4096


class Observed(NamedTuple):
    """One request that was answered.

    Attributes:
        columns: Its rows, as `Signature.convert` gives them.
        outputs: The answer, each of shape (rows,) or (rows, classes).
        identity: The client's own name for it.
        at: When, in seconds since 1970.
        logged: Whether it is of the sample that is logged.
    """

    columns: Mapping[str, Array]
    outputs: Mapping[str, Array]
    identity: str
    at: float
    logged: bool


class Observer:
    """Hands requests on in blocks; for one thread.

    Args:
        drift: Where all rows go, if drift is measured.
        log: Where a sample of requests goes, if they are logged.
        seed: Of the sample; None: a random one.
    """

    def __init__(
        self, drift: DriftWindow | None = None, log: PredictionLog | None = None, *, seed: int | None = None
    ) -> None:
        self._drift, self._log = drift, log
        self._sample = log.settings.sample if log is not None else 0.0
        self._random = random.Random(seed).random  # noqa: S311 - a sample, no secret
        self._pending: list[Observed] = []
        self._rows = 0

    def record(self, columns: Mapping[str, Array], outputs: Mapping[str, Array], *, identity: str = "") -> None:
        """Takes in a request that was answered with all of the model's outputs."""
        logged = self._sample > 0 and (self._sample >= 1 or self._random() < self._sample)
        if self._drift is None and not logged:
            return
        self._pending.append(Observed(columns, outputs, identity, time.time(), logged))
        self._rows += len(next(iter(columns.values())))
        if len(self._pending) >= _BLOCK_REQUESTS or self._rows >= _BLOCK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Hands on what is gathered."""
        pending, self._pending, self._rows = self._pending, [], 0
        if not pending:
            return
        columns = _joined([one.columns for one in pending])
        if self._drift is not None:
            self._drift.add(columns)
        if self._log is not None:
            self._offer(self._log, pending, columns=columns)

    def drift_scores(self) -> Mapping[str, float]:
        """Each column's drift score, of all rows up to now."""
        self.flush()
        return self._drift.scores() if self._drift is not None else {}

    def close(self) -> None:
        """Hands on what is gathered, and waits for the log to be written."""
        self.flush()
        if self._log is not None:
            self._log.close()

    @staticmethod
    def _offer(log: PredictionLog, requests: list[Observed], *, columns: Mapping[str, Array]) -> None:
        by_outputs: dict[tuple[str, ...], list[Observed]] = {}
        for one in requests:
            if one.logged:
                by_outputs.setdefault(tuple(one.outputs), []).append(one)
        for alike in by_outputs.values():
            sizes = [len(next(iter(one.columns.values()))) for one in alike]
            at = (np.array([one.at for one in alike]) * 1e6).astype(np.int64).astype("datetime64[us]")
            block = {
                "_at": np.repeat(at, sizes),
                "_request": np.repeat(np.array([one.identity for one in alike], dtype=object), sizes),
                **(columns if len(alike) == len(requests) else _joined([one.columns for one in alike])),
            }
            for name, values in _joined([one.outputs for one in alike]).items():
                if values.ndim == 1:
                    block[f"_{name}"] = values
                else:
                    block |= {f"_{name}_{place}": values[:, place] for place in range(values.shape[1])}
            log.offer(block)


def _joined(parts: list[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
