"""How the rows of a split were drawn, and the resamples of them that all intervals share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from modelway.components.core.measures.metrics import Array

BLOCKS = 2000
RESAMPLES = 2000
SCORED_RESAMPLES = 200
SCORED_ROWS = 20_000


@dataclass(frozen=True)
class Resampling:
    """How the rows of a split were drawn, and the level of the intervals.

    Attributes:
        rows: How many there are.
        groups: The number of each row's group, shape (rows,); None where rows were drawn one by one.
        confidence: The intervals' level; None: no intervals.
        seed: Of the resamples.
    """

    rows: int
    groups: Array | None = None
    confidence: float | None = 0.95
    seed: int = 0

    @cached_property
    def blocks(self) -> Array:
        """The number of the block that each row is resampled with, shape (rows,)."""
        units = np.arange(self.rows) if self.groups is None else self.groups
        count = int(units.max()) + 1 if self.rows else 0
        shuffled = np.random.default_rng(self.seed).permutation(count)
        return np.asarray(shuffled[units] % BLOCKS)

    @cached_property
    def times(self) -> Array:
        """How often each block is in each resample, shape (resamples, blocks)."""
        return _resampled(int(self.blocks.max()) + 1, RESAMPLES, seed=self.seed + 1)

    @cached_property
    def scorer_sample(self) -> tuple[Array, Array]:
        """The rows that scorers are run on, and how often each block is in each resample of those."""
        blocks = int(self.blocks.max()) + 1
        block_count = max(1, min(blocks, blocks * SCORED_ROWS // self.rows))
        return np.flatnonzero(self.blocks < block_count), _resampled(block_count, SCORED_RESAMPLES, seed=self.seed + 2)

    def sums(self, terms: Array, rows: Array | None) -> Array:
        """Each block's contribution to the sums, shape (blocks, sums)."""
        blocks = self.blocks if rows is None else self.blocks[rows]
        count = self.times.shape[1]
        return np.column_stack([np.bincount(blocks, weights=term, minlength=count) for term in terms.T])


@lru_cache(maxsize=4)
def _resampled(blocks: int, resamples: int, *, seed: int) -> Array:
    draws = np.random.default_rng(seed).integers(blocks, size=(resamples, blocks))
    draws += np.arange(resamples)[:, None] * blocks
    times = np.bincount(draws.ravel(), minlength=resamples * blocks).reshape(resamples, blocks).astype(np.float64)
    times.setflags(write=False)
    return times
