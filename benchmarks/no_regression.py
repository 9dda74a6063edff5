"""How often the no-regression check blocks a model that is as good as the champion, and how often it sees a worse one.

Draws data sets from a known world, in which the candidate's true difference from the champion is known: both models see
the truth through noise. The candidate's noise is as great and mostly the champion's own (retrained), as great and its
own (equal), or its own and so much greater that the metric is worse by the margin (at the margin) or by twice the
margin (worse). Each data set is a test split of its own. What is inconclusive blocks or warns as the policy has it.

On few rows, without a margin: how often the candidate of two equal models is called worse, by metric, by how rare the
positive class is or how heavy the errors' tails are; and how often one that sees through more noise is.

    uv run python benchmarks/no_regression.py --few-rows
    uv run python benchmarks/no_regression.py
    uv run python benchmarks/no_regression.py --data-sets 1000 --json
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import typer
from quick_scores import use_quick_scores

from modelway.components.core.checks import Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Array, Predictions, higher_is_better, score
from modelway.components.evaluate.checks.no_regression import ChampionPredictions, regression_checks
from modelway.components.evaluate.statistics.resampling import Resampling

MARGINS = {"roc_auc": 0.01, "log_loss": 0.01, "accuracy": 0.02}
NOISE = 0.6
POPULATION = 200_000
GROUP = 4
FEW = (30, 100, 300, 1000)
OF_CLASSES = (
    *("accuracy", "precision", "recall", "f1", "f1_macro", "balanced_accuracy", "matthews_corrcoef", "roc_auc"),
    *("average_precision", "log_loss", "brier_score"),
)
OF_NUMBERS = ("mean_absolute_error", "root_mean_squared_error", "r2")
SHARES = {"50 % positive": 0.5, "10 % positive": 0.1, "2 % positive": 0.02}
TAILS = {"normal errors": 0.0, "t errors, 3 degrees": 3.0}
DISTANCE = 2.0
MORE_NOISE = 1.5  # of the worse candidate's own, against 0.5 of variance


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
    use_quick_scores()
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


def pair(world: str, rows: int, dice: np.random.Generator, noise: float) -> tuple[Predictions, Predictions]:
    """A candidate with so much noise of its own, and a champion with 0.5; as much noise is common to both."""
    if world in TAILS:
        truth, errors = 2 * dice.normal(size=rows), []
        for scale in (1.0, noise / 0.5, 1.0):
            drawn = dice.standard_t(TAILS[world], rows) if TAILS[world] else dice.normal(size=rows)
            errors.append(np.sqrt(scale / 2) * drawn)
        candidate, champion = (Predictions(truth, truth + errors[0] + own, None, ()) for own in errors[1:])
        return candidate, champion
    label = (dice.random(rows) < SHARES[world]).astype(np.int64)
    common, models = np.sqrt(0.5) * dice.normal(size=rows), []
    for own in (noise, 0.5):
        seen = DISTANCE * label + common + np.sqrt(own) * dice.normal(size=rows)
        odds = (DISTANCE * seen - DISTANCE**2 / 2) / (0.5 + own) + np.log(SHARES[world] / (1 - SHARES[world]))
        positive = 1 / (1 + np.exp(-odds))
        probabilities = np.column_stack([1 - positive, positive])
        models.append(Predictions(label, (positive > 0.5).astype(np.int64), probabilities, ("no", "yes")))
    return models[0], models[1]


def on_few_rows(world: str, metric: str, rows: int, data_sets: int) -> dict[str, float]:
    """How often a candidate is called worse that is equal, and one that is worse; and how often neither is judged."""
    use_quick_scores()
    section = {"metric": metric, "margin": 0.0}
    policy = ModelPolicy.model_validate({"metrics": {metric: {"min": -100.0}}, "no_regression": section})
    failed, open_ = {0.5: 0, MORE_NOISE: 0}, 0
    tried = {0.5: data_sets, MORE_NOISE: max(data_sets // 4, 1)}
    for noise, times in tried.items():
        for number in range(times):
            candidate, champion = pair(world, rows, np.random.default_rng([9, rows, number]), noise)
            (check,) = regression_checks(
                candidate,
                ChampionPredictions("1", champion),
                slices=[],
                resampling=Resampling(rows),
                policy=policy,
            )
            failed[noise] += check.verdict is Verdict.FAILED
            open_ += noise == 0.5 and (check.interval is None or "nothing is certain" in check.message)
    return {
        "equal_failed": failed[0.5] / data_sets,
        "worse_failed": failed[MORE_NOISE] / tried[MORE_NOISE],
        "inconclusive_by_rule": open_ / data_sets,
    }


def measure_few_rows(data_sets: int, *, as_json: bool) -> None:
    """Prints the verdicts without a margin on few rows."""
    start = time.perf_counter()
    worlds = [(world, metric) for world in SHARES for metric in OF_CLASSES]
    worlds += [(world, metric) for world in TAILS for metric in OF_NUMBERS]
    cases = [(*world, rows, data_sets) for world in worlds for rows in FEW]
    with ProcessPoolExecutor() as pool:
        lines = []
        for case, line in zip(cases, pool.map(on_few_rows, *zip(*cases, strict=True)), strict=True):
            lines.append(dict(zip(("world", "metric", "rows"), case[:3], strict=True)) | line)
            print(lines[-1], file=sys.stderr, flush=True)
    worst = max(line["equal_failed"] for line in lines)
    seconds = time.perf_counter() - start
    if as_json:
        print(json.dumps({"data_sets": data_sets, "worst": worst, "seconds": seconds, "lines": lines}))
        return
    print("| world | metric | " + " | ".join(f"{rows:,} rows" for rows in FEW) + " |\n" + "|---" * 6 + "|")
    for number in range(0, len(lines), len(FEW)):
        cells = []
        for line in lines[number : number + len(FEW)]:
            is_open = line["inconclusive_by_rule"] > 0.9
            cells.append("by rule" if is_open else f"{line['equal_failed']:.1%} / {line['worse_failed']:.0%}")
        print(f"| {lines[number]['world']} | {lines[number]['metric']} | " + " | ".join(cells) + " |")
    print(f"an equal model is called worse in at most {worst:.1%} of {data_sets} data sets; {seconds:.0f} s")


def main(
    data_sets: Annotated[int, typer.Option(help="How many test splits are drawn for each line.")] = 200,
    few_rows: Annotated[bool, typer.Option(help="Few rows, every metric, without a margin.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures verdicts of equal and worse candidates by metric and test size."""
    if few_rows:
        measure_few_rows(data_sets, as_json=as_json)
        return
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
