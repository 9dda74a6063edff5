"""How often each metric's interval holds the truth, and what that does to the verdicts.

Draws test splits from known worlds: classes whose rows are a normal distribution each, by how many rows there are, how
rare a class is and how well they are told apart; numbers with errors of light and heavy tails; probabilities that are
calibrated or are not. The truth is the metric of 1,000,000 rows of the world. Of every cell it prints

- `inconclusive`: the share of splits for which no interval is judged, by the rules of `statistics/sufficiency.py`;
- `covered`: of the others, the share whose interval holds the truth (95 % promised);
- `wrong`: of all splits, those with an interval that misses: the rate of false alarms and false passes together, where
  the threshold is the truth itself;
- `power`: of all splits, those that pass a threshold that the model is better than by a margin, 0.05 or a quarter of a
  loss.

And of a guessing model how often it passes a threshold at chance, by the number of positives. Of two models see
`no_regression.py`. With 300 splits a coverage of 95 % is measured as 92.5 to 97.5 %.

    uv run python benchmarks/coverage.py
    uv run python benchmarks/coverage.py --draws 2000 --json
    uv run python benchmarks/coverage.py --quick
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import typer
from quick_scores import check_quick_score, quick_score, use_quick_scores

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better
from modelway.components.evaluate.checks.calibration import calibration_error
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling

POPULATION = 1_000_000
BINS = 10
CALIBRATION = "calibration"
TAILS: dict[str, Callable[[np.random.Generator, int], Array]] = {
    "normal errors": lambda dice, rows: dice.normal(size=rows),
    "Laplace errors": lambda dice, rows: dice.laplace(size=rows),
    "t errors, 5 degrees": lambda dice, rows: dice.standard_t(5, rows),
    "t errors, 3 degrees": lambda dice, rows: dice.standard_t(3, rows),
    "lognormal errors": lambda dice, rows: np.exp(dice.normal(size=rows)),
}
Cell = tuple[str, str, int]


@dataclass(frozen=True)
class Classes:
    """A world of classes: the share of each, and how far apart their rows are."""

    shares: tuple[float, ...]
    distance: float
    distortion: float = 1.0  # of the log-odds; 1: the probabilities are calibrated


WORLDS = {
    "2 classes, half each": Classes((0.5, 0.5), 1.8),
    "2 classes, half each, AUC 0.998": Classes((0.5, 0.5), 4.07),
    "2 classes, 5 % positive": Classes((0.95, 0.05), 2.5),
    "2 classes, 1 % positive": Classes((0.99, 0.01), 3.0),
    "5 classes, one of 2 %": Classes((0.4, 0.3, 0.2, 0.08, 0.02), 3.0),
    "overconfident": Classes((0.5, 0.5), 1.8, distortion=1.5),
}
OF_NUMBERS = ("mean_squared_error", "root_mean_squared_error", "r2", "mean_absolute_error")
GRID: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "2 classes, half each": (
        (
            *("accuracy", "roc_auc", "average_precision", "log_loss", "brier_score", "precision", "recall", "f1"),
            *("jaccard", "balanced_accuracy", "f1_macro", "matthews_corrcoef", CALIBRATION),
        ),
        (100, 1000),
    ),
    "2 classes, half each, AUC 0.998": (("accuracy", "roc_auc", "average_precision", "log_loss"), (100, 1000)),
    "2 classes, 5 % positive": (
        (
            *("roc_auc", "average_precision", "log_loss", "f1", "balanced_accuracy", "recall", "matthews_corrcoef"),
            CALIBRATION,
        ),
        (200, 1000),
    ),
    "2 classes, 1 % positive": (
        ("roc_auc", "average_precision", "log_loss", "f1", "balanced_accuracy", "matthews_corrcoef"),
        (1000, 4000),
    ),
    "5 classes, one of 2 %": (
        ("f1_macro", "f1_weighted", "balanced_accuracy", "log_loss", "roc_auc_ovr"),
        (300, 1500),
    ),
    "overconfident": ((CALIBRATION,), (200, 1000)),
    **dict.fromkeys(TAILS, (OF_NUMBERS, (100, 200, 1000))),
    "normal errors": ((*OF_NUMBERS, "explained_variance", "median_absolute_error", "max_error"), (100, 200, 1000)),
}
# What a guess is worth, by metric; the average precision of one is the share of positive rows.
CHANCE = {"roc_auc": 0.5, "average_precision": None, "balanced_accuracy": 0.5, "matthews_corrcoef": 0.0}


def split(world: str, rows: int, dice: np.random.Generator) -> Predictions:
    """A test split of a world, with the predictions of the best model of it."""
    if world in TAILS:
        truth = 2 * dice.normal(size=rows)
        return Predictions(truth + TAILS[world](dice, rows), truth, None, ())
    classes = WORLDS[world]
    count = len(classes.shares)
    truth = dice.choice(count, size=rows, p=classes.shares)
    if count == 2:
        seen = dice.normal(size=rows) + classes.distance * truth
        odds = classes.distance * seen - classes.distance**2 / 2 + np.log(classes.shares[1] / classes.shares[0])
        logits = np.column_stack([np.zeros(rows), classes.distortion * odds])
    else:
        seen = dice.normal(size=(rows, count))
        seen[np.arange(rows), truth] += classes.distance
        logits = classes.distance * seen + np.log(classes.shares)
    logits -= logits.max(axis=1, keepdims=True)
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Predictions(truth, probabilities.argmax(axis=1), probabilities, tuple(str(n) for n in range(count)))


def value_of(metric: str, predictions: Predictions) -> float:
    """A metric, or the calibration error over bins."""
    if metric != CALIBRATION:
        return quick_score(metric, predictions)
    assert predictions.probabilities is not None
    positive = predictions.probabilities[:, 1]
    edges = np.quantile(positive, np.arange(1, BINS) / BINS)
    bins = np.searchsorted(edges, positive)
    return float(np.abs(np.bincount(bins, weights=predictions.truth - positive, minlength=BINS)).sum() / len(positive))


@cache
def population(world: str) -> Predictions:
    """So many rows of a world that what they show is the truth."""
    return split(world, POPULATION, np.random.default_rng(1))


def estimate_of(metric: str, predictions: Predictions) -> Estimate:
    """The metric with its interval."""
    resampling = Resampling(len(predictions.truth))
    if metric != CALIBRATION:
        return measure(metric, Subset(predictions), resampling=resampling)
    errors = calibration_error(predictions, BINS, resampling=resampling)
    assert errors is not None
    return errors[0]


def coverage(cell: Cell, draws: int) -> dict[str, float]:
    """What is measured of one cell of the grid."""
    use_quick_scores()
    world, metric, rows = cell
    truth = value_of(metric, population(world))
    better = metric != CALIBRATION and higher_is_better(metric)
    easier = Threshold(min=truth - 0.05) if better else Threshold(max=1.25 * truth if truth > 0.02 else truth + 0.05)
    if metric != CALIBRATION:
        check_quick_score(metric, split(world, rows, np.random.default_rng([7, rows, 0])))
    judged = above = below = passes = 0
    for number in range(draws):
        dice = np.random.default_rng([7, rows, number])
        estimate = estimate_of(metric, split(world, rows, dice))
        check = estimate_check("x", estimate, threshold=easier, rule=OnInconclusive.BLOCK, scope="")
        passes += check.verdict is Verdict.PASSED
        if estimate.interval is None or estimate.reason:
            continue
        judged += 1
        above += estimate.interval[0] > truth
        below += estimate.interval[1] < truth
    return {
        "truth": truth,
        "inconclusive": 1 - judged / draws,
        "covered": 1 - (above + below) / judged if judged else float("nan"),
        "above": above / draws,
        "below": below / draws,
        "wrong": (above + below) / draws,
        "power": passes / draws,
    }


def guesses(metric: str, positives: int, draws: int) -> float:
    """How often a guessing model passes a threshold at chance on 200 rows of which so many are positive."""
    use_quick_scores()
    chance = CHANCE[metric]
    passed, threshold = 0, Threshold(min=positives / 200 if chance is None else chance)
    for number in range(draws):
        positive = np.random.default_rng([8, positives, number]).random(200)
        truth = (np.arange(200) < positives).astype(np.int64)
        predictions = Predictions(
            truth, (positive > 0.5).astype(np.int64), np.column_stack([1 - positive, positive]), ("no", "yes")
        )
        estimate = measure(metric, Subset(predictions), resampling=Resampling(200))
        check = estimate_check("x", estimate, threshold=threshold, rule=OnInconclusive.BLOCK, scope="")
        passed += check.verdict is Verdict.PASSED
    return passed / draws


def cells(quick: bool) -> Iterator[Cell]:
    """The grid; the quick one has the smaller of the sizes alone."""
    for world, (metrics, sizes) in GRID.items():
        for metric in metrics:
            for rows in sizes[:1] if quick else sizes:
                yield world, metric, rows


def main(
    draws: Annotated[int, typer.Option(help="How many test splits are drawn for each cell.")] = 300,
    guessed: Annotated[int, typer.Option(help="How many guessing models are drawn for each number.")] = 1000,
    quick: Annotated[bool, typer.Option(help="The smaller size of each world alone, 100 splits each.")] = False,
    metric: Annotated[str, typer.Option(help="Only metrics whose name begins so.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures coverage, false alarms and power of the model gate's intervals."""
    start = time.perf_counter()
    draws, guessed = (100, 200) if quick else (draws, guessed)
    grid, positives = [cell for cell in cells(quick) if cell[1].startswith(metric)], (1, 2, 3, 5, 10, 20, 30, 50, 100)
    chances = [name for name in CHANCE if name.startswith(metric)]
    cases = [(name, number) for name in chances for number in positives]
    lines = []
    with ProcessPoolExecutor() as pool:
        passing = pool.map(guesses, *zip(*cases, strict=True), [guessed] * len(cases))
        for cell, line in zip(grid, pool.map(coverage, grid, [draws] * len(grid)), strict=True):
            print(*cell, {name: round(value, 3) for name, value in line.items()}, file=sys.stderr, flush=True)
            lines.append(dict(zip(("world", "metric", "rows"), cell, strict=True)) | line)
        passes = dict(zip(cases, passing, strict=True))
    seconds = time.perf_counter() - start
    if as_json:
        passing_lines = [
            {"metric": metric, "positives": number, "passes": passes[metric, number]} for metric, number in cases
        ]
        result = {
            "draws": draws,
            "guesses_drawn": guessed,
            "seconds": seconds,
            "cells": lines,
            "guesses": passing_lines,
        }
        print(json.dumps(result))
        return
    print("| world | metric | rows | inconclusive | covered | wrong | power |\n|---|---|---|---|---|---|---|")
    for line in lines:
        covered = "-" if line["inconclusive"] > 0.9 else f"{line['covered']:.0%}"
        judged = f"{line['inconclusive']:.0%} | {covered} | {line['wrong']:.1%} | {line['power']:.0%}"
        print(f"| {line['world']} | {line['metric']} | {line['rows']:,} | {judged} |")
    print("\n| positives of 200 rows | " + " | ".join(map(str, positives)) + " |")
    print("|---" * (len(positives) + 1) + "|")
    for name in chances:
        shares = (f"{passes[name, number]:.1%}" for number in positives)
        print(f"| a guess passes `{name}` at chance | " + " | ".join(shares) + " |")
    print(f"{draws} splits a cell, {guessed} guesses, {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
