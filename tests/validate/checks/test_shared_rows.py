from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from leakage_tables import leakage, table

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.project import Split
from modelway.components.ingest.split import Splits, split_table
from modelway.components.validate.checks.shared_rows import coincidences, shared_rows_check


def test_rows_on_both_sides_are_counted() -> None:
    train, test = table(1), table(2, 500)
    checks = leakage(train, pl.concat([test, train.head(7)]))
    assert checks["shared_rows"].verdict is Verdict.FAILED
    assert checks["shared_rows"].message.startswith("7 of 507 test rows")
    assert leakage(train, pl.concat([test, train.head(7)]), shared_rows=0.02)["shared_rows"].verdict is Verdict.PASSED


@pytest.mark.parametrize("train_rows", [3000, 30_000])
def test_rows_on_both_sides_are_found_by_a_sample_of_the_test_rows(train_rows: int) -> None:
    train, test = table(1, train_rows), table(2, 20_000)
    checks = leakage(train, pl.concat([test, train.head(2000)]), sample_rows=2000, shared_rows=0.01)
    share = checks["shared_rows"]
    assert share.verdict is Verdict.FAILED
    assert share.interval is not None
    assert share.interval[0] < 2000 / 22_000 < share.interval[1]
    assert "a random sample of 2,000 of 22,000 test rows" in share.message
    clean = leakage(train, test, sample_rows=2000)["shared_rows"]
    assert clean.verdict is Verdict.PASSED
    assert clean.interval == (0.0, pytest.approx(1 - 0.025 ** (1 / 2000), abs=1e-6))


def test_a_share_that_the_sample_cannot_tell_is_inconclusive() -> None:
    train, test = table(1), table(2, 20_000)
    checks = leakage(train, pl.concat([test, train]), sample_rows=1000, shared_rows=0.08)
    assert checks["shared_rows"].verdict is Verdict.INCONCLUSIVE


def test_missing_values_equal_each_other_in_shared_rows() -> None:
    train = table(1).with_columns(dose=pl.lit(None, pl.Float64), age=pl.lit(float("nan")))
    assert leakage(train, train.head(5))["shared_rows"].observed == 1.0


def survey(rows: int, kinds: int, *, seed: int = 0) -> pl.DataFrame:
    """Answers of so many kinds to two questions, and whether who gave them agrees."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, rows)
    return pl.DataFrame({"first": kind % 7, "rest": kind // 7, "agrees": rng.random(rows) < 0.3})


def apart(splits: Splits, split: Split, limit: float = 0.0) -> Check:
    train, test = splits.train.lazy(), splits.test.lazy()
    return shared_rows_check(train, test, split=split, limit=limit, sample_rows=1_000, rule=OnInconclusive.WARN)


SURVEYS = [(2_000, 8), (2_000, 162), (2_000, 2_000), (2_000, 20_000), (20_000, 10_000)]


@pytest.mark.parametrize("unseen", [0.0, 0.15])
@pytest.mark.parametrize(("rows", "kinds"), [(20, 8), (400, 8), *SURVEYS])
def test_coincidences_pass_and_test_rows_in_train_do_not(rows: int, kinds: int, unseen: float) -> None:
    split = Split(equal_rows="apart", test_fraction=0.4 if rows < 100 else 0.2, unseen_fraction=unseen)
    splits = split_table(survey(rows, kinds), split, label="agrees")
    clean = apart(splits, split)
    assert clean.verdict is Verdict.PASSED, clean.message
    if rows >= 2_000:
        train = pl.concat([splits.train, splits.test.head(len(splits.test) // 10)])
        copied = apart(Splits(train, splits.test, splits.unseen), split)
        assert copied.verdict is Verdict.FAILED, copied.message
        assert copied.message.endswith("remove them from one split")
        assert apart(Splits(train, splits.test, splits.unseen), split, limit=0.2).verdict is Verdict.PASSED


def test_other_rows_than_the_rule_places_in_the_test_split_are_found() -> None:
    split, rows = Split(equal_rows="apart"), survey(2_000, 8)
    by_another_seed = split_table(rows, Split(equal_rows="apart", seed=1), label="agrees")
    assert "rows are not in the split where" in apart(by_another_seed, split).message
    assert apart(by_another_seed, split).verdict is Verdict.FAILED


def test_empty_splits_share_no_rows() -> None:
    split, rows = Split(equal_rows="apart"), survey(100, 8)
    assert apart(Splits(rows, rows.clear(), rows.clear()), split).verdict is Verdict.INCONCLUSIVE
    assert apart(Splits(rows.clear(), rows, rows.clear()), split).verdict is Verdict.PASSED


def test_rows_of_every_type_are_found_where_they_were_placed(tmp_path_factory: pytest.TempPathFactory) -> None:
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("types")
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    codes, shares = ["a", "Ü", "", None], [0.1, -0.0, float("nan"), None, 1e-300]
    rows = pl.DataFrame(
        {
            "code": pl.Series([codes[number] for number in rng.integers(0, 4, 600)], dtype=pl.Categorical),
            "share": pl.Series([shares[number] for number in rng.integers(0, 5, 600)], dtype=pl.Float64),
            "at": [start + dt.timedelta(hours=int(hours)) for hours in rng.integers(0, 3, 600)],
            "took": [dt.timedelta(seconds=int(seconds)) for seconds in rng.integers(0, 2, 600)],
            "tags": [[1] * int(length) for length in rng.integers(0, 2, 600)],
            "empty": [None] * 600,
            "small": pl.Series(rng.integers(0, 2, 600), dtype=pl.Int8),
        }
    )
    split = Split(equal_rows="apart", unseen_fraction=0.1)
    splits = split_table(rows, split)
    for name, part in vars(splits).items():
        part.write_parquet(folder / f"{name}.parquet")
    train, test = (pl.scan_parquet(folder / f"{name}.parquet") for name in ("train", "test"))
    check = shared_rows_check(train, test, split=split, limit=0.0, sample_rows=1_000, rule=OnInconclusive.WARN)
    assert check.verdict is Verdict.PASSED, check.message


@pytest.mark.parametrize(("rows", "kinds"), [(100, 1_000), (400, 30), (2_000, 162), (2_000, 2_000)])
def test_what_coincidence_gives_is_what_random_splits_give(rows: int, kinds: int) -> None:
    rng = np.random.default_rng(rows)
    kind = rng.integers(0, kinds, rows)
    times, test_rows = np.unique(kind, return_counts=True)[1], rows // 5
    shared = []
    for _ in range(1_000):
        order = rng.permutation(kind)
        shared.append(int(np.isin(order[:test_rows], order[test_rows:]).sum()))
    expected, most = coincidences(times, test_rows)
    assert abs(np.mean(shared) - expected) < 4 * np.std(shared) / 1_000**0.5 + 0.01 * expected
    assert (np.array(shared) > most).mean() <= 0.005
    assert most < expected + 5 * np.std(shared) + 1
