"""What the split makes of tables whose rows repeat, and how often the checks of equal rows err.

Draws tables of so many rows and kinds of rows, whose frequencies are even, gamma or Zipf's. Of each size it prints,
over all three of them, and of the worst of them for false alarms,

- how often `copies` calls a clean table copied; how often it catches one that a join has doubled, and one of which a
  join has doubled half of the rows;
- how often `shared_rows` fails the split by `equal_rows: apart` of a clean table; how often it catches a tenth of the
  test rows that were copied into the training split.

And of surveys whose kinds agree at rates of 0 to 1 the ROC AUC of the test split of each rule, beside a random split's.

    uv run python benchmarks/equal_rows.py
    uv run python benchmarks/equal_rows.py --tables 200 --faulty 20
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated, Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")  # a process per core; set before polars is imported

import numpy as np
import polars as pl
import typer
from sklearn.metrics import roc_auc_score

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.project import Split
from modelway.components.core.tables.placement import TEST, numbers_among_equal, sides
from modelway.components.ingest.split import Splits, split_table
from modelway.components.validate.checks.copies import unlikely_repeats
from modelway.components.validate.checks.shared_rows import coincidences, shared_rows_check

SIZES = (
    (400, 4),
    (400, 8),
    (400, 16),
    (1_000, 162),
    (2_000, 8),
    (2_000, 162),
    (2_000, 2_000),
    (2_000, 20_000),
)
FREQUENCIES = ("even", "gamma", "Zipf")
SURVEYS = ((400, 16, 60), (2_000, 162, 25), (20_000, 10_000, 5))  # rows, kinds, tables
LABEL = "agrees"
Numbers = np.ndarray[Any, Any]


def drawn(rows: int, kinds: int, frequency: str, *, dice: np.random.Generator) -> Numbers:
    """The kind of each row of a table."""
    weights = {
        "even": np.ones(kinds),
        "gamma": dice.gamma(0.3, size=kinds) + 1e-12,
        "Zipf": 1 / np.arange(1, kinds + 1),
    }
    return dice.choice(kinds, rows, p=weights[frequency] / weights[frequency].sum())


def repeats(kinds: Numbers) -> Numbers:
    """How often each kind stands."""
    return np.unique(kinds, return_counts=True)[1]


def has_more_shared_rows(kinds: Numbers, dice: np.random.Generator) -> bool:
    """Whether the split of a clean table shares more rows than `shared_rows` takes for coincidence."""
    names = dice.integers(0, 2**63, kinds.max() + 1, dtype=np.uint64)  # as good as hashes, and other ones each time
    hashes = names[kinds]
    is_test = sides(hashes, Split(equal_rows="apart"), numbers=numbers_among_equal(hashes)) == TEST
    if not 0 < is_test.sum() < len(is_test):
        return False  # which the split refuses
    in_test = np.bincount(kinds[is_test], minlength=len(names))
    times = np.bincount(kinds, minlength=len(names))
    shared = int(in_test[in_test < times].sum())
    return shared > coincidences(times[times > 0], int(is_test.sum()))[1]


def is_caught(kinds: Numbers, seed: int) -> bool:
    """Whether `shared_rows` finds a tenth of the test rows in the training split."""
    split = Split(equal_rows="apart", seed=seed)
    splits = split_table(pl.DataFrame({"kind": kinds}), split)
    train = pl.concat([splits.train, splits.test.head(max(1, len(splits.test) // 10))])
    check = shared_rows_check(
        train.lazy(), splits.test.lazy(), split=split, limit=0.0, sample_rows=1_000, rule=OnInconclusive.WARN
    )
    return check.verdict is Verdict.FAILED


def measured(rows: int, kinds: int, frequency: str, *, tables: int, faulty: int) -> dict[str, float]:
    """What is measured of tables of one size and frequency, as shares."""
    false_copies = false_shared = doubled = half = copied = 0
    for number in range(tables):
        dice = np.random.default_rng([rows, kinds, FREQUENCIES.index(frequency), number])
        table = drawn(rows, kinds, frequency, dice=dice)
        false_copies += bool(unlikely_repeats(repeats(table)))
        false_shared += has_more_shared_rows(table, dice)
        if number < faulty:
            doubled += bool(unlikely_repeats(2 * repeats(table[: rows // 2])))
            original = table[: rows * 2 // 3]
            half += bool(unlikely_repeats(repeats(np.append(original, original[: len(original) // 2]))))
            copied += is_caught(table, number)
    return {
        "copies": false_copies / tables,
        "doubled": doubled / faulty,
        "half doubled": half / faulty,
        "shared_rows": false_shared / tables,
        "copied": copied / faulty,
    }


def survey(rows: int, kinds: int, seed: int) -> pl.DataFrame:
    """The kind of each row's answers, and whether who gave them agrees."""
    dice = np.random.default_rng([rows, kinds, seed])
    kind = dice.integers(0, kinds, rows)
    return pl.DataFrame({"kind": kind, LABEL: dice.random(rows) < dice.beta(1.0, 1.0, kinds)[kind]})


def area(splits: Splits) -> float:
    """The ROC AUC of a model that knows the share of those who agree, by the kind."""
    rates = splits.train.group_by("kind").agg(rate=(pl.col(LABEL).sum() + 0.5) / (pl.len() + 1))
    answers = splits.test.join(rates, on="kind", how="left").with_columns(pl.col("rate").fill_null(0.5))
    return float(roc_auc_score(answers[LABEL], answers["rate"]))


def areas(rows: int, kinds: int, tables: int) -> tuple[float, float, float]:
    """The mean area by the first rule, by the second and by a random split."""
    values = []
    for seed in range(tables):
        table = survey(rows, kinds, seed)
        order, cut = np.random.default_rng([seed, 1]).permutation(rows), rows // 5
        at_random = Splits(table[order[cut:]], table[order[:cut]], table.clear())
        by_rule = [split_table(table, split, label=LABEL) for split in (Split(), Split(equal_rows="apart"))]
        values.append([area(splits) for splits in (*by_rule, at_random)])
    first, second, third = np.mean(values, axis=0).tolist()
    return first, second, third


def main(
    tables: Annotated[int, typer.Option(help="How many clean tables are drawn of each size and frequency.")] = 2_000,
    faulty: Annotated[int, typer.Option(help="To how many of them each fault is done.")] = 60,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures false alarms and power of the checks of equal rows, and what each rule of the split tells."""
    start = time.perf_counter()
    cells = [(rows, kinds, frequency) for rows, kinds in SIZES for frequency in FREQUENCIES]
    with ProcessPoolExecutor() as pool:
        results = [pool.submit(measured, *cell, tables=tables, faulty=faulty) for cell in cells]
        surveys = [pool.submit(areas, *size) for size in SURVEYS]
        by_cell = {}
        for cell, result in zip(cells, results, strict=True):
            by_cell[cell] = result.result()
            print(*cell, by_cell[cell], file=sys.stderr, flush=True)
        by_survey = [result.result() for result in surveys]
    seconds = round(time.perf_counter() - start)
    if as_json:
        print(json.dumps({"seconds": seconds, "cells": [[*cell, by_cell[cell]] for cell in cells], "areas": by_survey}))
        return
    print("| rows | kinds | `copies`: false alarms | doubled | half doubled | `shared_rows`: false alarms | copied |")
    print("|---" * 7 + "|")
    for rows, kinds in SIZES:
        frequencies = [by_cell[rows, kinds, frequency] for frequency in FREQUENCIES]
        alarms = {name: max(cell[name] for cell in frequencies) for name in ("copies", "shared_rows")}
        power = {name: np.mean([cell[name] for cell in frequencies]) for name in ("doubled", "half doubled", "copied")}
        texts = [f"{round(alarms['copies'] * tables)} of {tables:,}", f"{power['doubled']:.0%}"]
        texts += [f"{power['half doubled']:.0%}", f"{round(alarms['shared_rows'] * tables)} of {tables:,}"]
        print(f"| {rows:,} | {kinds:,} | {' | '.join(texts)} | {power['copied']:.0%} |")
    print("\n| survey | rule 1 | `apart` | at random |\n|---|---|---|---|")
    for (rows, kinds, count), values in zip(SURVEYS, by_survey, strict=True):
        shown = " | ".join(f"{value:.2f}" for value in values)
        print(f"| {rows:,} rows of {kinds:,} kinds ({count} tables) | {shown} |")
    print(f"{tables:,} tables of each kind, {faulty} faulty ones, {seconds} s")


if __name__ == "__main__":
    typer.run(main)
