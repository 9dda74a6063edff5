"""How often each metric's interval holds the truth, and what that does to the verdicts.

Draws test splits from known worlds: classes whose rows are a normal distribution each, by how many rows there are, how
rare a class is and how well they are told apart; numbers with errors of light and heavy tails; probabilities that are
calibrated or are not. The truth is the metric of 2,000,000 rows of the world. Of every cell it prints

- `inconclusive`: the share of splits for which no interval is judged, by the rules of `statistics/sufficiency.py`;
- `covered`: of the others, the share whose interval holds the truth (95 % promised);
- `wrong`: of all splits, those with an interval that misses: the rate of false alarms and false passes together, where
  the threshold is the truth itself;
- `power`: of all splits, those that pass a threshold that the model is better than by a margin, 0.05 or a quarter of a
  loss.

And of a guessing model how often `roc_auc >= 0.5` passes by the number of positives; and of two equal models on few
rows how often the candidate is called worse.

    uv run python benchmarks/coverage.py
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

from modelway.components.core.checks import OnInconclusive, Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.checks.calibration import calibration_error
from modelway.components.evaluate.checks.metrics import estimate_check
from modelway.components.evaluate.checks.no_regression import ChampionPredictions, regression_checks
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling

POPULATION = 2_000_000
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
GRID: dict[str, tuple[tuple[str, ...], tuple[int, ...]]] = {
    "2 classes, half each": (
        ("accuracy", "roc_auc", "average_precision", "log_loss", "brier_score", "f1", "matthews_corrcoef", CALIBRATION),
        (100, 1000),
    ),
    "2 classes, half each, AUC 0.998": (("roc_auc", "log_loss", "accuracy"), (100, 1000)),
    "2 classes, 5 % positive": (
        ("roc_auc", "average_precision", "log_loss", "f1", "balanced_accuracy", "recall", CALIBRATION),
        (200, 1000),
    ),
    "2 classes, 1 % positive": (("roc_auc", "log_loss", "f1", "balanced_accuracy", "matthews_corrcoef"), (1000, 4000)),
    "5 classes, one of 2 %": (
        ("f1_macro", "f1_weighted", "balanced_accuracy", "log_loss", "roc_auc_ovr"),
        (300, 1000),
    ),
    "overconfident": ((CALIBRATION,), (200, 1000)),
    **dict.fromkeys(TAILS, (("r2", "root_mean_squared_error", "mean_absolute_error"), (200, 1000))),
}


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
        return score(metric, predictions)
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
    world, metric, rows = cell
    truth = value_of(metric, population(world))
    better = metric != CALIBRATION and higher_is_better(metric)
    easier = Threshold(min=truth - 0.05) if better else Threshold(max=1.25 * truth if truth > 0.02 else truth + 0.05)
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


def guesses(positives: int, draws: int) -> float:
    """How often a guessing model passes `roc_auc >= 0.5` on 200 rows of which so many are positive."""
    passed = 0
    for number in range(draws):
        positive = np.random.default_rng([8, positives, number]).random(200)
        truth = (np.arange(200) < positives).astype(np.int64)
        predictions = Predictions(
            truth, (positive > 0.5).astype(np.int64), np.column_stack([1 - positive, positive]), ("no", "yes")
        )
        estimate = measure("roc_auc", Subset(predictions), resampling=Resampling(200))
        check = estimate_check("x", estimate, threshold=Threshold(min=0.5), rule=OnInconclusive.BLOCK, scope="")
        passed += check.verdict is Verdict.PASSED
    return passed / draws


def losses(metric: str, rows: int, draws: int) -> float:
    """How often the candidate of two equal models is called worse, with no margin."""
    section = {"metric": metric, "margin": 0.0}
    policy = ModelPolicy.model_validate({"metrics": {metric: {"min": -100.0}}, "no_regression": section})
    failed = 0
    for number in range(draws):
        dice = np.random.default_rng([9, rows, number])
        truth = dice.integers(2, size=rows)
        truth[:2] = 0, 1
        signal = truth + dice.normal(size=rows)
        models = []
        for _ in range(2):
            positive = 1 / (1 + np.exp(0.5 - signal - dice.normal(size=rows)))
            probabilities = np.column_stack([1 - positive, positive])
            models.append(Predictions(truth, (positive > 0.5).astype(np.int64), probabilities, ("no", "yes")))
        champion = ChampionPredictions("1", models[1])
        (check,) = regression_checks(models[0], champion, slices=[], resampling=Resampling(rows), policy=policy)
        failed += check.verdict is Verdict.FAILED
    return failed / draws


def cells(quick: bool) -> Iterator[Cell]:
    """The grid; the quick one has the smaller of the sizes alone."""
    for world, (metrics, sizes) in GRID.items():
        for metric in metrics:
            for rows in sizes[:1] if quick else sizes:
                yield world, metric, rows


def main(
    draws: Annotated[int, typer.Option(help="How many test splits are drawn for each cell.")] = 500,
    quick: Annotated[bool, typer.Option(help="The smaller size of each world alone, 100 splits each.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures coverage, false alarms and power of the model gate's intervals."""
    start = time.perf_counter()
    draws = 100 if quick else draws
    grid = list(cells(quick))
    positives, few = (
        (1, 2, 3, 5, 10, 20, 50),
        [(metric, rows) for metric in ("roc_auc", "accuracy", "log_loss", "f1") for rows in (4, 20, 100)],
    )
    lines = []
    with ProcessPoolExecutor() as pool:
        guessing = pool.map(guesses, positives, [4 * draws] * len(positives))
        losing = pool.map(losses, *zip(*few, strict=True), [draws] * len(few))
        for cell, line in zip(grid, pool.map(coverage, grid, [draws] * len(grid)), strict=True):
            print(*cell, {name: round(value, 3) for name, value in line.items()}, file=sys.stderr, flush=True)
            lines.append(line)
        guessed, lost = list(guessing), list(losing)
    seconds = time.perf_counter() - start
    if as_json:
        rows_ = [
            dict(zip(("world", "metric", "rows"), cell, strict=True)) | line
            for cell, line in zip(grid, lines, strict=True)
        ]
        print(
            json.dumps(
                {
                    "draws": draws,
                    "seconds": seconds,
                    "cells": rows_,
                    "guesses": dict(zip(positives, guessed, strict=True)),
                    "equal_models_worse": [[*case, share] for case, share in zip(few, lost, strict=True)],
                }
            )
        )
        return
    print("| world | metric | rows | inconclusive | covered | wrong | power |\n|---|---|---|---|---|---|---|")
    for (world, metric, rows), line in zip(grid, lines, strict=True):
        covered = "-" if line["inconclusive"] > 0.98 else f"{line['covered']:.0%}"
        judged = f"{line['inconclusive']:.0%} | {covered} | {line['wrong']:.1%} | {line['power']:.0%}"
        print(f"| {world} | {metric} | {rows:,} | {judged} |")
    print("\n| positives of 200 rows | " + " | ".join(map(str, positives)) + " |")
    print("|---" * (len(positives) + 1) + "|")
    print("| a guess passes `roc_auc >= 0.5` | " + " | ".join(f"{share:.1%}" for share in guessed) + " |\n")
    for (metric, rows), share in zip(few, lost, strict=True):
        print(f"equal models on {rows} rows: worse in {metric} in {share:.1%}")
    print(f"{draws} splits a cell, {seconds:.0f} s")


if __name__ == "__main__":
    typer.run(main)
