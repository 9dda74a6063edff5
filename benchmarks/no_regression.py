"""How often the no-regression check blocks a model that is as good as the champion, and how often it sees a worse one.

Draws data sets from a known world, in which the candidate's true difference from the champion is known: both models see
the truth through noise. The candidate's noise is as great and mostly the champion's own (retrained), as great and its
own (equal), or its own and so much greater that the metric is worse by the margin (at the margin) or by twice the
margin (worse). Each data set is a test split of its own. What is inconclusive blocks or warns as the policy has it.

    uv run python benchmarks/no_regression.py
    uv run python benchmarks/no_regression.py --data-sets 1000 --json
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import typer

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.checks.no_regression import ChampionPredictions, regression_checks
from modelway.components.evaluate.statistics.resampling import Resampling

MARGINS = {"roc_auc": 0.01, "log_loss": 0.01, "accuracy": 0.02}
NOISE = 0.6
POPULATION = 200_000
GROUP = 4


def world(rows: int, dice: np.random.Generator, by_group: bool) -> tuple[Array, Array]:
    """The signal that both models look for, and the label; rows of a group share most of their signal."""
    signal = dice.normal(size=rows)
    if by_group:
        signal = 0.8 * np.repeat(dice.normal(size=rows // GROUP + 1), GROUP)[:rows] + 0.6 * signal
    return signal, (dice.random(rows) < 1 / (1 + np.exp(-1.5 * signal))).astype(np.int64)


def model(signal: Array, label: Array, noise: Array, scale: float) -> Predictions:
    """A model that sees the signal through noise and shrinks what it sees as much as is best."""
    estimate = (signal + scale * noise) / (1 + scale**2)
    positive = 1 / (1 + np.exp(-1.5 * estimate))
    probabilities = np.column_stack([1 - positive, positive])
    return Predictions(label, (positive > 0.5).astype(np.int64), probabilities, ("no", "yes"))


def noise_of(metric: str, loss: float) -> float:
    """The noise that makes a model worse by a loss, found by bisection on one great population."""
    dice = np.random.default_rng(99)
    signal, label = world(POPULATION, dice, by_group=False)
    noise = dice.normal(size=POPULATION)
    sign = 1.0 if higher_is_better(metric) else -1.0
    target = sign * score(metric, model(signal, label, noise, NOISE)) - loss
    low, high = NOISE, 5.0
    for _ in range(12):
        middle = (low + high) / 2
        worse = sign * score(metric, model(signal, label, noise, middle)) < target
        low, high = (low, middle) if worse else (middle, high)
    return (low + high) / 2


def verdicts(
    metric: str, rows: int, scale: float, alike: float, data_sets: int, by_group: bool, seed: int
) -> dict[str, float]:
    """The share of data sets with each verdict."""
    no_regression = {"metric": metric, "margin": MARGINS[metric]}
    policy = ModelPolicy.model_validate({"metrics": {metric: {"min": -100.0}}, "no_regression": no_regression})
    counts = dict.fromkeys(Verdict, 0)
    for number in range(data_sets):
        dice = np.random.default_rng([seed, rows, number])
        signal, label = world(rows, dice, by_group)
        noises = dice.normal(size=(2, rows))
        if by_group:  # a model errs alike on the rows of a group
            group_noise = dice.normal(size=(2, rows // GROUP + 1)).repeat(GROUP, axis=1)[:, :rows]
            noises = 0.8 * group_noise + 0.6 * noises
        own = alike * noises[0] + np.sqrt(1 - alike**2) * noises[1]
        champion, candidate = model(signal, label, noises[0], NOISE), model(signal, label, own, scale)
        groups = np.arange(rows) // GROUP if by_group else None
        (check,) = regression_checks(
            candidate, ChampionPredictions("1", champion), slices=[], resampling=Resampling(rows, groups), policy=policy
        )
        counts[check.verdict] += 1
    return {verdict.value: count / data_sets for verdict, count in counts.items()}


def main(
    data_sets: Annotated[int, typer.Option(help="How many test splits are drawn for each line.")] = 500,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures verdicts of equal and worse candidates by metric and test size."""
    start = time.perf_counter()
    cases = []
    for metric, margin in MARGINS.items():
        kinds = {
            "retrained": (NOISE, 0.95),
            "equal": (NOISE, 0.0),
            "at the margin": (noise_of(metric, margin), 0.0),
            "worse": (noise_of(metric, 2 * margin), 0.0),
        }
        for rows, by_group in ((1000, False), (5000, False), (5000, True), (20_000, False)):
            cases += [(kind, (metric, rows, *how, data_sets, by_group, 1)) for kind, how in kinds.items()]
    with ProcessPoolExecutor() as pool:
        result = list(pool.map(verdicts, *zip(*(arguments for _, arguments in cases), strict=True)))
    lines = [
        {"metric": arguments[0], "rows": arguments[1], "grouped": arguments[5], "candidate": kind, **shares}
        for (kind, arguments), shares in zip(cases, result, strict=True)
    ]
    worst = max(line["failed"] for line in lines if line["candidate"] in {"equal", "retrained"})
    seconds = time.perf_counter() - start
    if as_json:
        print(json.dumps({"data_sets": data_sets, "worst_false_failures": worst, "seconds": seconds, "lines": lines}))
        return
    print(f"{'metric':10}{'margin':>8}{'rows':>8}  {'drawn by':10}{'candidate':15}", end="")
    print(f"{'passed':>9}{'inconclusive':>14}{'failed':>9}")
    for line in lines:
        unit = "group" if line["grouped"] else "row"
        print(
            f"{line['metric']:10}{MARGINS[str(line['metric'])]:8}{line['rows']:8}  {unit:10}{line['candidate']:15}"
            f"{line['passed']:9.1%}{line['inconclusive']:14.1%}{line['failed']:9.1%}"
        )
    print(f"an equal model fails in at most {worst:.1%} of {data_sets} data sets; {seconds:.0f} s")
    assert worst <= 0.05, "the check fails equal models too often"


if __name__ == "__main__":
    typer.run(main)
