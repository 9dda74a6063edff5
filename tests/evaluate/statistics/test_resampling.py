from __future__ import annotations

import numpy as np
import pytest

from modelway.components.evaluate.statistics.resampling import BLOCKS, RESAMPLES, SCORED_ROWS, Resampling


def test_few_rows_are_resampled_one_by_one() -> None:
    resampling = Resampling(50)
    assert sorted(resampling.blocks) == list(range(50))
    assert resampling.times.shape == (RESAMPLES, 50)
    assert (resampling.times.sum(axis=1) == 50).all()
    assert resampling.times.var() == pytest.approx(1 - 1 / 50, rel=0.05)


def test_many_rows_are_put_into_blocks_of_equal_size() -> None:
    resampling = Resampling(10_000)
    assert set(np.bincount(resampling.blocks)) == {10_000 // BLOCKS}
    assert resampling.times.shape == (RESAMPLES, BLOCKS)


def test_rows_of_a_group_stay_together() -> None:
    groups = np.random.default_rng(0).integers(0, 3000, 9000)
    groups = np.unique(groups, return_inverse=True)[1]
    blocks = Resampling(9000, groups).blocks
    assert len(set(zip(groups.tolist(), blocks.tolist(), strict=True))) == len(np.unique(groups))
    assert blocks.max() == BLOCKS - 1


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    assert (Resampling(40).times == Resampling(40).times).all()
    assert (Resampling(40).times != Resampling(40, seed=7).times).any()
    assert (Resampling(5000).blocks == Resampling(5000).blocks).all()


@pytest.mark.parametrize(("rows", "size"), [(500, 500), (20_000, 20_000), (100_000, SCORED_ROWS)])
def test_scorers_are_run_on_a_part_of_many_rows(rows: int, size: int) -> None:
    sample, times = Resampling(rows).scorer_sample
    assert len(sample) == pytest.approx(size, rel=0.01)
    assert (times.sum(axis=1) == times.shape[1]).all()


@pytest.mark.parametrize("part", [None, np.arange(100, 400)])
def test_the_sums_of_the_blocks_are_those_of_the_rows(part: np.ndarray | None) -> None:  # type: ignore[type-arg]
    resampling, terms = Resampling(6000), np.random.default_rng(1).normal(size=(6000, 2))
    meant = terms if part is None else terms[part]
    assert resampling.sums(meant, part).sum(axis=0) == pytest.approx(meant.sum(axis=0))
