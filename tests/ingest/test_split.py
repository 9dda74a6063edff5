from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom, chisquare, ks_2samp
from sklearn.metrics import roc_auc_score

from modelway.components.core.config.project import Split
from modelway.components.core.errors import ModelwayError
from modelway.components.ingest.split import Splits, split_table


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    dice = np.random.default_rng(0)
    rows = 4000
    start = dt.datetime(2024, 1, 1)
    return pl.DataFrame(
        {
            "row": range(rows),
            "person": dice.integers(0, 800, rows),
            "region": [["north", "south", None][number] for number in dice.integers(0, 3, rows)],
            "income": [None if number < 0.1 else float(number) for number in dice.random(rows)],
            "at": [start + dt.timedelta(minutes=int(number)) for number in dice.integers(0, 3000, rows)],
            "late": dice.integers(0, 2, rows).astype(bool),
        }
    )


def sides(parts: Splits) -> tuple[pl.DataFrame, pl.DataFrame]:
    assert parts.unseen.is_empty()
    return parts.train, parts.test


KINDS = [
    {"by": "row"},
    {"by": "row", "equal_rows": "together"},
    {"by": "row", "equal_rows": "apart"},
    {"by": "row", "column": "row"},
    {"by": "group", "column": "person"},
    {"by": "time", "column": "at"},
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_the_sides_share_out_the_rows(table: pl.DataFrame, kind: dict[str, Any], fraction: float) -> None:
    train, test = sides(split_table(table, Split(**kind, test_fraction=fraction)))
    assert sorted([*train["row"], *test["row"]]) == list(range(len(table)))
    assert len(test) / len(table) == pytest.approx(fraction, abs=0.06)
    assert train["row"].is_sorted()
    assert train.schema == test.schema == table.schema


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_rows_and_columns_does_not_matter(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    split = Split(**kind)
    expected = set(split_table(table, split).test["row"])
    assert set(split_table(table.reverse(), split).test["row"]) == expected
    assert set(split_table(table.sample(fraction=1, shuffle=True, seed=1), split).test["row"]) == expected
    assert set(split_table(table.select(reversed(table.columns)), split).test["row"]) == expected


@pytest.mark.parametrize("kind", KINDS[:5])
def test_rows_stay_where_they_are_when_others_come(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    split = Split(**kind)
    before = set(split_table(table[:2500], split).test["row"])
    after = set(split_table(table, split).test["row"])
    assert after & set(range(2500)) == before


@pytest.mark.parametrize("kind", KINDS[:5])
def test_another_seed_gives_another_split(table: pl.DataFrame, kind: dict[str, Any]) -> None:
    sides = [set(split_table(table, Split(**kind, seed=seed)).test["row"]) for seed in range(4)]
    for number, side in enumerate(sides):
        for second_series in sides[:number]:
            overlap = len(side & second_series) / len(side)
            assert overlap == pytest.approx(0.2, abs=0.1)  # as independent draws do


def test_groups_stay_whole(table: pl.DataFrame) -> None:
    train, test = sides(split_table(table, Split(by="group", column="person")))
    assert not set(train["person"]) & set(test["person"])
    assert test["person"].n_unique() / table["person"].n_unique() == pytest.approx(0.2, abs=0.05)


def test_equal_rows_are_never_on_both_sides(table: pl.DataFrame) -> None:
    content = table.drop("row", "at").with_columns(pl.col("income").round(1))
    train, test = sides(split_table(pl.concat([content, content.reverse()]), Split()))
    assert not set(train.iter_rows()) & set(test.iter_rows())
    assert len(train) > 1000
    assert len(test) > 200


def test_rows_with_equal_features_stay_together_whatever_their_label_is(table: pl.DataFrame) -> None:
    features = table.drop("row", "at", "late").with_columns(pl.col("income").round(1))
    both = pl.concat([features.with_columns(late=pl.lit(value)) for value in (False, True)])
    train, test = sides(split_table(both, Split(equal_rows="together"), label="late"))
    assert not set(train.drop("late").iter_rows()) & set(test.drop("late").iter_rows())
    assert train["late"].mean() == test["late"].mean() == 0.5
    train, test = sides(split_table(both, Split(), label="late"))  # the first rule parts the answers
    assert set(train.drop("late").iter_rows()) & set(test.drop("late").iter_rows())


def survey(rows: int, kinds: int, *, seed: int) -> pl.DataFrame:
    """Answers to three questions, of so many kinds, and whether who gave them agrees; no row has a name."""
    rng = np.random.default_rng(seed)
    kind, base = rng.integers(0, kinds, rows), round(kinds ** (1 / 3))
    answers = {f"question_{number}": kind // base**number % (kinds if number == 2 else base) for number in range(3)}
    return pl.DataFrame(answers).with_columns(agrees=pl.Series(rng.random(rows) < rng.beta(1.0, 1.0, kinds)[kind]))


def auc(train: pl.DataFrame, test: pl.DataFrame) -> float:
    """The area under the ROC curve of a model that knows the share of those who agree, by the answers."""
    questions = [name for name in train.columns if name != "agrees"]
    rates = train.group_by(questions).agg(rate=(pl.col("agrees").sum() + 0.5) / (pl.len() + 1))
    answers = test.join(rates, on=questions, how="left").with_columns(pl.col("rate").fill_null(0.5))
    return float(roc_auc_score(answers["agrees"], answers["rate"]))


@pytest.mark.parametrize(
    ("rows", "kinds", "tables"),
    [(400, 4, 60), (400, 16, 60), (2_000, 162, 25), (5_000, 1_000, 12), (20_000, 10_000, 5)],
)
def test_the_test_split_tells_what_a_random_one_tells_however_often_rows_repeat(
    rows: int, kinds: int, tables: int
) -> None:
    by_content, at_random, by_first_rule = [], [], []
    for seed in range(tables):
        table = survey(rows, kinds, seed=seed)
        by_content.append(auc(*sides(split_table(table, Split(equal_rows="apart"), label="agrees"))))
        order = np.random.default_rng(1_000 + seed).permutation(rows)
        at_random.append(auc(table[order[rows // 5 :]], table[order[: rows // 5]]))
        if 16 <= kinds <= 1_000:
            by_first_rule.append(auc(*sides(split_table(table, Split(), label="agrees"))))
    differences = np.subtract(by_content, at_random)
    assert abs(differences.mean()) < 3.5 * differences.std(ddof=1) / tables**0.5
    assert differences.std(ddof=1) / tables**0.5 < 0.02
    if by_first_rule:
        assert np.mean(by_first_rule) < np.mean(at_random) - 0.1


@pytest.mark.parametrize(
    ("rows", "distinct", "draws"),
    [(400, 4, 150), (400, 16, 150), (2_000, 162, 100), (5_000, 1_000, 60), (20_000, 10_000, 30)],
)
def test_training_and_test_rows_are_exchangeable_in_tables_of_few_distinct_rows(
    rows: int, distinct: int, draws: int
) -> None:
    dice = np.random.default_rng(distinct)
    kind = dice.integers(0, distinct, rows)
    table = pl.DataFrame({"answer": kind // 2, "agrees": kind % 2})
    times = np.bincount(kind, minlength=distinct)

    def unevenness(test: Any) -> float:
        """Pearson's statistic of the contents, the label among them, by the side that they are on."""
        expected = times * len(test) / rows
        return float(((np.bincount(test, minlength=distinct) - expected)[times > 0] ** 2 / expected[times > 0]).sum())

    def by_rule(seed: int, equal_rows: Any) -> float:
        test = split_table(table, Split(equal_rows=equal_rows, seed=seed), label="agrees").test
        return unevenness((2 * test["answer"] + test["agrees"]).to_numpy())

    at_random = [unevenness(dice.permutation(kind)[: rows // 5]) for _ in range(500)]
    assert ks_2samp([by_rule(seed, "apart") for seed in range(draws)], at_random).pvalue > 1e-3
    first_rule = [by_rule(seed, None) for seed in range(100, 120)] if distinct > 4 else []  # of 4, a side may be empty
    if first_rule:
        assert ks_2samp(first_rule, at_random).pvalue < 1e-6


def test_equal_rows_fall_apart_as_coins_do() -> None:
    table = pl.DataFrame({"answer": [1, 1, 2, 2], "agrees": [False, True, False, True]})
    table = pl.concat([table] * 50)
    contents, counts = table.unique().sort(table.columns), []
    for seed in range(1_000):
        test = split_table(table, Split(equal_rows="apart", seed=seed)).test
        shares = contents.join(test.group_by(test.columns).len("n"), on=test.columns, how="left", maintain_order="left")
        counts.append(shares["n"].fill_null(0).to_list())
    numbers = np.array(counts)
    frequencies = np.array([np.bincount(column, minlength=51) for column in numbers.T])
    expected = binom.pmf(range(51), 50, 0.2) * 1_000
    common = expected > 5
    for observed in frequencies:
        tests = [*observed[common], 1_000 - observed[common].sum()]
        assert chisquare(tests, [*expected[common], 1_000 - expected[common].sum()]).pvalue > 1e-3
    correlations = np.corrcoef(np.hstack([numbers[:-1], numbers[1:]]).T)  # of the contents, and of seeds in succession
    assert np.abs(correlations[np.triu_indices(8, 1)]).max() < 4.5 / 1_000**0.5


def test_a_row_more_that_is_equal_to_others_moves_none_of_them() -> None:
    table = survey(400, 16, seed=0)
    split = Split(equal_rows="apart", unseen_fraction=0.1)
    before = split_table(table, split, label="agrees")
    after = split_table(pl.concat([table, table.head(100)]), split, label="agrees")
    for earlier, later in zip(vars(before).values(), vars(after).values(), strict=True):
        counts = later.group_by(later.columns).len("n")
        both = earlier.group_by(earlier.columns).len("m").join(counts, on=earlier.columns, how="left")
        assert (both["n"] >= both["m"]).all()
        assert later.head(len(earlier)).equals(earlier)


def test_the_test_side_is_later(table: pl.DataFrame) -> None:
    train, test = sides(split_table(table, Split(by="time", column="at")))
    assert test["at"].min() > train["at"].max()  # type: ignore[operator]


def test_rows_of_one_instant_stay_together() -> None:
    table = pl.DataFrame({"day": [1, 2, 3, 3, 3, 3, 3, 4, 5, 5]})
    train, test = sides(split_table(table, Split(by="time", column="day", test_fraction=0.5)))
    assert train["day"].to_list() == [1, 2, 3, 3, 3, 3, 3]
    assert test["day"].to_list() == [4, 5, 5]


@pytest.mark.parametrize(
    ("rows_per_day", "fraction", "test_days"),
    [
        ([10, 10, 10], 0.2, 1),  # monthly snapshots, of which each is more than the share
        ([10, 10, 10, 10], 0.2, 1),
        ([1, 99], 0.2, 1),
        ([99, 1], 0.2, 1),
        ([1, 1], 0.2, 1),
        ([50, 30, 10, 10], 0.25, 2),  # 20 % is nearer than 50 %
        ([50, 20, 20, 10], 0.25, 2),  # 30 % is nearer than 10 %
        ([1] * 10, 0.01, 1),
        ([1] * 10, 0.99, 9),
    ],
)
def test_the_cut_in_time_is_the_nearest_to_the_share_and_leaves_both_sides_rows(
    rows_per_day: list[int], fraction: float, test_days: int
) -> None:
    days = np.repeat(np.arange(len(rows_per_day)), rows_per_day)
    table = pl.DataFrame({"day": [dt.date(2024, 1, 1) + dt.timedelta(days=int(day)) for day in days]})
    train, test = sides(split_table(table, Split(by="time", column="day", test_fraction=fraction)))
    assert (test["day"].n_unique(), train["day"].n_unique()) == (test_days, len(rows_per_day) - test_days)


@pytest.mark.parametrize("rows_per_day", [[5, 5, 5], [90, 5, 5], [1, 1, 98], [1, 98, 1]])
def test_three_instants_are_enough_for_three_splits(rows_per_day: list[int]) -> None:
    table = pl.DataFrame({"day": np.repeat(np.arange(3), rows_per_day)})
    parts = split_table(table, Split(by="time", column="day", unseen_fraction=0.1))
    assert [part["day"].unique().to_list() for part in (parts.train, parts.test, parts.unseen)] == [[0], [1], [2]]


def test_fewer_instants_than_splits_is_an_error_that_counts_them() -> None:
    table = pl.DataFrame({"day": [1, 1, 2]})
    with pytest.raises(ModelwayError, match="leaves no unseen rows of 3") as error:
        split_table(table, Split(by="time", column="day", unseen_fraction=0.1))
    assert error.value.remedy is not None
    assert "needs 3 instants, and the column has 2" in error.value.remedy


# What these rows gave in version 0.1; a later version must not move rows between the sides.
GOLDEN = pl.DataFrame(
    {
        "id": [f"{number:03}" for number in range(20)],
        "age": [None if number % 7 == 0 else number * 1.5 for number in range(20)],
        "city": [["Bonn", "Köln", None, ""][number % 4] for number in range(20)],
        "paid": [number % 3 == 0 for number in range(20)],
        "day": [dt.date(2024, 1, 1) + dt.timedelta(days=number // 2) for number in range(20)],
        "at": [dt.datetime(2024, 1, 1, number % 24, 30) for number in range(20)],
    }
)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ({"by": "row", "test_fraction": 0.3}, [1, 4, 5, 8, 10, 12, 15]),
        ({"by": "row", "test_fraction": 0.3, "rule": 1}, [1, 4, 5, 8, 10, 12, 15]),
        ({"by": "row", "test_fraction": 0.3, "equal_rows": "together"}, [0, 1, 6, 8, 10, 11, 12, 14, 15]),
        ({"by": "row", "test_fraction": 0.3, "equal_rows": "apart"}, [1, 2, 5, 9, 12, 17, 18]),
        ({"by": "row", "test_fraction": 0.3, "seed": 7}, [1, 3, 7, 10, 16, 17, 18, 19]),
        ({"by": "row", "column": "id", "test_fraction": 0.3}, [0, 3, 7, 10, 13, 17, 18]),
        ({"by": "group", "column": "day", "test_fraction": 0.3}, [18, 19]),
        ({"by": "group", "column": "age", "test_fraction": 0.3}, [0, 3, 6, 7, 11, 13, 14, 15, 16, 18, 19]),
        ({"by": "time", "column": "at", "test_fraction": 0.3}, [14, 15, 16, 17, 18, 19]),
    ],
)
def test_the_split_is_the_same_in_every_version(split: dict[str, Any], expected: list[int]) -> None:
    table = GOLDEN.with_columns(pl.col("age").fill_null(-1.0)) if split.get("column") == "age" else GOLDEN
    test = split_table(table, Split(**split), label="paid").test
    assert [int(number) for number in test["id"]] == expected


@pytest.mark.parametrize(
    ("split", "key", "column", "says"),
    [
        ({"by": "group", "column": "city"}, "data.split.column", "city", "has no column 'city'"),
        ({"by": "row", "column": "city"}, "data.split.column", "city", "has no column 'city'"),
        ({"by": "group", "column": "region"}, "data.split.column", "region", "rows have no 'region'"),
        ({"by": "time", "column": "income"}, "data.split.column", "income", "rows have no 'income'"),
        ({"by": "row", "test_fraction": 1e-9}, "data.split", None, "no test rows of 4000"),
        ({"by": "row", "test_fraction": 1 - 1e-9}, "data.split", None, "no training rows of 4000"),
        ({"by": "group", "column": "one"}, "data.split", "one", "rows of 4000"),
        ({"by": "time", "column": "one"}, "data.split", "one", "no test rows of 4000"),
    ],
)
def test_splits_that_cannot_be(
    table: pl.DataFrame, split: dict[str, Any], key: str, column: str | None, says: str
) -> None:
    with pytest.raises(ModelwayError) as error:
        split_table(table.with_columns(one=1), Split(**split))
    assert (error.value.key, error.value.column) == (key, column)
    assert says in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize("kind", KINDS)
def test_rows_held_back_are_in_no_other_split_and_leave_the_test_split_as_it_was(
    table: pl.DataFrame, kind: dict[str, Any]
) -> None:
    split = Split(**kind, test_fraction=0.2, unseen_fraction=0.15)
    parts = split_table(table, split)
    rows = [set(part["row"]) for part in (parts.train, parts.test, parts.unseen)]
    assert sum(map(len, rows)) == len(set.union(*rows)) == len(table)
    assert len(rows[2]) / len(table) == pytest.approx(0.15, abs=0.05)
    assert len(rows[1]) / len(table) == pytest.approx(0.2, abs=0.06)
    if kind["by"] == "time":
        assert parts.train["at"].max() < parts.test["at"].min() <= parts.test["at"].max() < parts.unseen["at"].min()  # type: ignore[operator]
    else:
        assert rows[1] == set(split_table(table, Split(**kind, test_fraction=0.2)).test["row"])


def test_no_rows_left_to_hold_back_is_an_error(table: pl.DataFrame) -> None:
    with pytest.raises(ModelwayError, match="leaves no unseen rows of 5") as error:
        split_table(table.head(5), Split(by="row", column="row", test_fraction=0.5, unseen_fraction=0.001))
    assert error.value.value == "0.001"
