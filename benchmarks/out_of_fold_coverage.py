"""How often intervals of a small table's metrics, from out-of-fold predictions and test rows, hold the true value.

Draws tables from known worlds, splits a fifth off as test rows, fits a model on the rest, predicts that out of fold as
`train_model` does, and measures each metric as the model gate does. The truth is that of the fitted model itself, on
50,000 other rows. Of every cell it prints

- `inconclusive`: the share of tables for which no interval is judged, by the rules of `statistics/sufficiency.py`;
- `covered`: of the others, the share whose interval holds the truth (95 % promised);
- `below` and `above`: of all tables, those whose interval is too low and too high;
- `bias`: the mean of the value less the truth;
- `width`: of the interval, as a share of that from the test rows alone, where those have one; and
- `test rows alone`: how many of those are inconclusive, and how many of the others hold the truth.

    uv run python benchmarks/out_of_fold_coverage.py
    uv run python benchmarks/out_of_fold_coverage.py --draws 60 --model "logistic or linear regression"
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Annotated, Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core; set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
import sklearn
import typer

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Array, Predictions, joined, predict, score
from modelway.components.evaluate.sample import Sample, difference_from_test_rows
from modelway.components.evaluate.statistics.estimates import Estimate, Subset
from modelway.components.evaluate.statistics.intervals import measure
from modelway.components.evaluate.statistics.resampling import Resampling
from modelway.components.train.out_of_fold import MOST_FITS, folds

TEST_FRACTION = 0.2
TRUTH_ROWS = 20_000
FEATURES = 6
REPEATS = MOST_FITS // 5
WORLDS = {"half positive": 0.0, "a fifth positive": -2.0, "numbers": None}  # the log-odds at the centre
METRICS = {True: ("roc_auc", "accuracy", "log_loss", "brier_score", "f1"), False: ("r2", "root_mean_squared_error")}
Cell = tuple[str, str, int]


def estimator(model: str, *, is_classification: bool) -> Any:
    """A new estimator of a kind."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kinds: dict[str, Callable[[], Any]] = {
        "logistic or linear regression": LogisticRegression if is_classification else LinearRegression,
        "decision tree": DecisionTreeClassifier if is_classification else DecisionTreeRegressor,
        "decision tree of depth 4": lambda: (DecisionTreeClassifier if is_classification else DecisionTreeRegressor)(
            max_depth=4
        ),
        "gradient boosting": lambda: (
            HistGradientBoostingClassifier if is_classification else HistGradientBoostingRegressor
        )(max_iter=50, early_stopping=False),
    }
    return kinds[model]()


MODELS = ("logistic or linear regression", "decision tree", "decision tree of depth 4", "gradient boosting")


def draw(world: str, rows: int, dice: np.random.Generator) -> tuple[Array, Array]:
    """Features, and the label of each row: a part of it is linear, a part is not."""
    features = dice.normal(size=(rows, FEATURES))
    signal = 1.2 * features[:, 0] - 0.8 * features[:, 1] + 0.7 * features[:, 2] * features[:, 3]
    centre = WORLDS[world]
    if centre is None:
        return features, signal + dice.normal(size=rows)
    return features, (dice.random(rows) < 1 / (1 + np.exp(-centre - 1.3 * signal))).astype(np.int64)


def project_of(world: str) -> Project:
    """A project of such rows, with equal rows apart: there are none."""
    task = "regression" if WORLDS[world] is None else "binary"
    columns = ", ".join(f"f{number}" for number in range(FEATURES))
    return Project.parse(
        f"name: small\ntask: {task}\nlabel: label\n"
        "data: {source: rows.parquet, split: {by: row, rule: 2, equal_rows: apart}}\n"
        f"features: {{numeric: [{columns}]}}\n"
        "model: {estimator: sklearn.linear_model.LinearRegression}\n"
    )


def samples(cell: Cell, number: int) -> tuple[Sample, Sample, Predictions]:
    """One table's sample with the rows out of fold, that of the test rows alone, and the model on other rows."""
    world, model, rows = cell
    project = project_of(world)
    dice = np.random.default_rng([16, rows, number])
    features, label = draw(world, rows, dice)
    test_rows = round(rows * TEST_FRACTION)
    test, train = slice(rows - test_rows, rows), slice(0, rows - test_rows)

    def fitted(chosen: Any) -> Any:
        return estimator(model, is_classification=WORLDS[world] is not None).fit(features[chosen], label[chosen])

    def predictions(of: Any, these: Array, truth: Array) -> Predictions:
        return predict(of, these, truth=truth, project=project)  # type: ignore[arg-type]

    final = fitted(train)
    on_test = predictions(final, features[test], label[test])
    table = pl.DataFrame({"row": np.arange(rows - test_rows)})
    repeats = []
    for repeat in range(REPEATS):
        order, parts = [], []
        for training, held_out in folds(table, label[train], project=project, number=repeat):
            parts.append(predictions(fitted(training), features[held_out], label[held_out]))
            order.append(held_out)
        together = parts[0]
        for part in parts[1:]:
            together = joined(together, part)
        repeats.append(joined(together.take(np.argsort(np.concatenate(order))), on_test))
    whole = Sample(pl.DataFrame({"row": range(rows)}), tuple(repeats), Resampling(rows), rows - test_rows)
    alone = Sample(pl.DataFrame({"row": range(test_rows)}), (on_test,), Resampling(test_rows))
    others, truth = draw(world, TRUTH_ROWS, dice)
    return whole, alone, predictions(final, others, truth)


def estimate_of(metric: str, sample: Sample) -> Estimate:
    """The metric as the gate measures it."""
    try:
        return sample.estimate(
            metric, lambda predictions, drawn: measure(metric, Subset(predictions), resampling=drawn)
        )
    except ModelwayError as error:
        return Estimate(float("nan"), reason=error.message)


def outcome(cell: Cell, number: int) -> dict[str, list[float]]:
    """Of each metric of one table: how it was judged, from all rows and from the test rows alone."""
    warnings.simplefilter("ignore")
    sklearn.set_config(assume_finite=True, skip_parameter_validation=True)  # takes half as long
    whole, alone, others = samples(cell, number)
    metrics = METRICS[bool(others.classes)]
    sample = alone if difference_from_test_rows(whole, [(name, None) for name in metrics]) else whole
    lines = {}
    for metric in metrics:
        truth = score(metric, others)
        line: list[float] = [float(sample is alone), truth]
        for rows in (sample, alone):
            estimate = estimate_of(metric, rows)
            is_judged = estimate.interval is not None and not estimate.reason
            line += [float(is_judged), estimate.value, *(estimate.interval or (float("nan"), float("nan")))]
        lines[metric] = line
    return lines


def outcomes(cell: Cell, numbers: range) -> dict[str, list[list[float]]]:
    """Of several tables."""
    lines: dict[str, list[list[float]]] = defaultdict(list)
    for number in numbers:
        for metric, line in outcome(cell, number).items():
            lines[metric].append(line)
    return lines


def summary(lines: Array) -> dict[str, float]:
    """What is measured of one metric of a cell."""
    is_alone, truth, judged, value, low, high, test_judged, _, test_low, test_high = np.asarray(lines).T
    is_judged, is_test_judged, above, below = judged > 0, test_judged > 0, low > truth, high < truth
    both = is_judged & np.isfinite(test_low)
    return {
        "truth": float(truth.mean()),
        "inconclusive": float(1 - judged.mean()),
        "covered": float(1 - (above | below)[is_judged].mean()) if is_judged.any() else float("nan"),
        "too_low": float((below & is_judged).mean()),
        "too_high": float((above & is_judged).mean()),
        "bias": float(np.nanmean(value - truth)),
        "width": float(np.median((high - low)[both] / (test_high - test_low)[both])) if both.any() else float("nan"),
        "test_rows_inconclusive": float(1 - test_judged.mean()),
        "test_rows_covered": float(((test_low <= truth) & (truth <= test_high))[is_test_judged].mean())
        if is_test_judged.any()
        else float("nan"),
        "test_rows_judge": float(is_alone.mean()),
    }


def main(
    draws: Annotated[int, typer.Option(help="How many tables are drawn for each cell.")] = 80,
    boosted_draws: Annotated[int, typer.Option(help="Likewise for gradient boosting, which takes longest.")] = 40,
    model: Annotated[list[str] | None, typer.Option(help="These kinds of model alone.")] = None,
    sizes: Annotated[list[int] | None, typer.Option("--rows", help="Tables of so many rows alone.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures the coverage of intervals from out-of-fold predictions, and what they gain."""
    start = time.perf_counter()
    cells = [(world, kind, rows) for rows in sizes or (215, 500) for kind in model or MODELS for world in WORLDS]
    results: list[dict[str, Any]] = []
    with ProcessPoolExecutor() as pool:
        pending = []
        for cell in cells:
            count = boosted_draws if cell[1] == "gradient boosting" else draws
            chunks = [range(first, min(first + 20, count)) for first in range(0, count, 20)]
            pending.append((cell, [pool.submit(outcomes, cell, chunk) for chunk in chunks]))
        for cell, parts in pending:
            world, kind, rows = cell
            chunks_of_lines = [part.result() for part in parts]
            for metric in chunks_of_lines[0]:
                lines = [line for chunk in chunks_of_lines for line in chunk[metric]]
                named = {"model": kind, "world": world, "metric": metric, "rows": rows, "draws": len(lines)}
                results.append({**named, **summary(np.asarray(lines))})
                print({key: _rounded(value) for key, value in results[-1].items()}, file=sys.stderr, flush=True)
    seconds = time.perf_counter() - start
    if as_json:
        print(json.dumps({"seconds": seconds, "cells": results}))
        return
    print("\n".join(table(results)))
    widths = [line["width"] for line in results if np.isfinite(line["width"])]
    print(f"\nIntervals are {min(widths):.0%} to {max(widths):.0%} as wide as those of the test rows alone.")
    print(f"{draws} tables a cell ({boosted_draws} of gradient boosting), {seconds:.0f} s")


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The coverage of each model and metric, a column for each size and world."""
    columns = list(dict.fromkeys((line["rows"], line["world"]) for line in results if line["world"] != "numbers"))
    cells = {(line["model"], line["metric"], line["rows"], line["world"]): line for line in results}
    heads = [f"{rows} rows, {world}" + " or numbers" * (world == columns[0][1]) for rows, world in columns]
    yield "| model | metric | " + " | ".join(heads) + " |"
    yield "|---" * (2 + len(columns)) + "|"
    for model, metric in dict.fromkeys((line["model"], line["metric"]) for line in results):
        keys = [(model, metric, rows, world) for rows, world in columns]
        if metric in METRICS[False]:  # of numbers: one world, in the first column of each size
            first = dict.fromkeys(rows for rows, _ in columns)
            keys = [(model, metric, rows, "numbers" if first.pop(rows, 0) is None else "") for rows, _ in columns]
        yield f"| {model} | {metric} | " + " | ".join(_cell(cells.get(key)) for key in keys) + " |"


def _cell(line: dict[str, Any] | None) -> str:
    """A coverage, with the share that is inconclusive where some are."""
    if line is None:
        return ""
    inconclusive = f"{line['inconclusive']:.0%} inconclusive"
    if line["inconclusive"] > 0.98:
        return "inconclusive"
    return f"{line['covered']:.0%}" + (f", {inconclusive}" if line["inconclusive"] > 0.005 else "")


def _rounded(value: Any) -> Any:
    return round(value, 3) if isinstance(value, float) else value


if __name__ == "__main__":
    typer.run(main)
