"""How often each check of the data gate alarms where nothing is wrong, and how often it tells what is.

Draws tables from known worlds, clean ones and faulty ones, and counts the verdicts of one check: of a clean world
`failed` is the rate of false alarms, of a faulty one the power.

    uv run python benchmarks/data_checks.py
    uv run python benchmarks/data_checks.py --quick
    uv run python benchmarks/data_checks.py --check concept_drift --draws 400
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated

os.environ.setdefault("OMP_NUM_THREADS", "1")  # set before numpy is imported
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import polars as pl
import typer
import yaml
from scipy.stats import norm

from modelway.components.core.checks import Check, OnInconclusive, Verdict, combine
from modelway.components.core.config.data_policy import DataPolicy, Multivariate
from modelway.components.core.config.project import Project
from modelway.components.core.config.thresholds import Threshold
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.validate.checks.concept_drift import RegisteredScore, skill_check
from modelway.components.validate.checks.copies import copies_check
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.multivariate import multivariate_check
from modelway.components.validate.checks.new_values import new_values_checks
from modelway.components.validate.checks.single_feature import Label, skill_of
from modelway.components.validate.profile import profile_splits

POLICY, RULE = DataPolicy(), OnInconclusive.WARN
LIMIT = 0.98  # of a single feature's area, the policy's default
Dice = np.random.Generator


@dataclass(frozen=True)
class Cell:
    """A world, and how one check judges tables of it: given dice, and the number of rows by keyword."""

    check: str
    world: str
    verdict: partial[Verdict]
    draws: int = 200


def codes(dice: Dice, rows: int, kinds: int, *, zipf: bool = False) -> np.ndarray:  # type: ignore[type-arg]
    """Codes of even frequencies, or of those of Zipf's law."""
    if not zipf:
        return dice.integers(0, kinds, rows)
    shares = np.cumsum(1 / np.arange(1, kinds + 1))
    return np.searchsorted(shares, dice.random(rows) * shares[-1])


def new_values(dice: Dice, rows: int, kinds: int, *, zipf: bool = False, renamed: float = 0.0) -> Verdict:
    """Codes of two tables; of the new one's kinds a share is renamed."""
    before, now = (codes(dice, rows, kinds, zipf=zipf) for _ in range(2))
    names = [f"new {code}" if code < renamed * kinds else f"{code}" for code in now]
    tables = pl.DataFrame({"shop": before.astype(str)}), pl.DataFrame({"shop": names})
    assert POLICY.drift.new_values is not None
    checks = new_values_checks(
        *tables, columns=["shop"], categorical=["shop"], policy=POLICY, limit=POLICY.drift.new_values
    )
    return combine(check.verdict for check in checks)


def copies(dice: Dice, rows: int, kinds: int, *, zipf: bool = False, doubled: float = 0.0) -> Verdict:
    """A table of which a share of the rows stands twice."""
    own = codes(dice, round(rows / (1 + doubled)), kinds, zipf=zipf)
    table = pl.LazyFrame({"kind": np.concatenate([own, own[: round(len(own) * doubled)]])})
    return copies_check(table.head(rows * 4 // 5), table.slice(rows * 4 // 5)).verdict


def leakage(dice: Dice, rows: int, area: float, positives: float) -> Verdict:
    """A feature of a known area under the ROC curve, normal in each class."""
    positive = np.arange(rows) < rows * positives
    feature = pl.Series("feature", dice.normal(size=rows) + norm.ppf(area) * np.sqrt(2) * positive)
    skill = skill_of(feature, Label(positive.astype(float), np.full(rows, True), 2), categorical=False)
    return Threshold(max=LIMIT).judge(skill.interval)


PROJECT = Project.parse(
    yaml.safe_dump(
        {
            "name": "sales",
            "task": "binary",
            "label": "late",
            "data": {"source": "x"},
            "features": {"datetime": ["sold"]},
            "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
        }
    )
)


def sales(dice: Dice, rows: int, *, day: int = 0, hours: tuple[int, int] = (8, 20)) -> pl.DataFrame:
    """Sales of four weeks of 2026."""
    seconds = dice.integers(day, day + 28, rows) * 86_400 + dice.integers(hours[0] * 3_600, hours[1] * 3_600, rows)
    table = pl.DataFrame({"seconds": seconds, "late": dice.integers(0, 2, rows)})
    return table.select(pl.lit(dt.datetime(2026, 1, 1)).alias("sold") + pl.duration(seconds="seconds"), "late")


def next_sales(dice: Dice, rows: int, *, hours: tuple[int, int] = (8, 20), weekends: bool = False) -> Verdict:
    """Four weeks of sales, and the next four weeks of them."""
    before = sales(dice, rows)
    now = sales(dice, rows * (4 if weekends else 1), day=28, hours=hours)
    return times(before, now.filter(pl.col("sold").dt.weekday() > 5) if weekends else now)


def next_snapshots(dice: Dice, rows: int) -> Verdict:
    """All rows of a table at the first of each of twelve months, and of the twelve months after."""

    def year(number: int) -> pl.DataFrame:
        months = [dt.datetime(2024 + number, month, 1) for month in dice.integers(1, 13, rows).tolist()]
        return pl.DataFrame({"sold": months, "late": dice.integers(0, 2, rows)})

    return times(year(0), year(1))


def times(before: pl.DataFrame, now: pl.DataFrame) -> Verdict:
    """The drift of the parts of times."""
    earlier = profile_splits(
        before.lazy(), before.lazy(), contract=None, project=PROJECT, reference=None, data_hash=""
    ).new_baseline
    later = profile_splits(now.lazy(), now.lazy(), contract=None, project=PROJECT, reference=earlier, data_hash="")
    checks = drift_checks(later.current, earlier, policy=POLICY, label="late", columns=(*later.columns, *later.parts))
    return combine(check.verdict for check in checks)


def predictions(dice: Dice, rows: int) -> Predictions:
    """A calibrated model of known probabilities, whose area under the ROC curve is 0.83."""
    positive = 1 / (1 + np.exp(-1.6 * dice.normal(size=rows)))
    truth = (dice.random(rows) < positive).astype(int)
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


def numbers(dice: Dice, rows: int) -> Predictions:
    """A model of numbers, whose R² is 0.5."""
    predicted = dice.normal(size=rows)
    return Predictions(predicted + dice.normal(size=rows), predicted, None, ())


def concept_drift(dice: Dice, rows: int, metric: str, *, wrong: float = 0.0) -> Verdict:
    """A champion that was registered on as many rows, and new rows of which a share has inverted labels."""
    world = numbers if metric == "r2" else predictions
    scores = [score(metric, world(dice, rows)) for _ in range(20)]
    own, reach = scores[0], 1.96 * float(np.std(scores, ddof=1))
    new = world(dice, rows)
    inverted = -new.truth if metric == "r2" else 1 - new.truth
    new = replace(new, truth=np.where(dice.random(rows) < wrong, inverted, new.truth))
    registered = RegisteredScore(metric, own, (own - reach, own + reach))
    return skill_check(new, registered, limit=0.5, rule=RULE, version="1").verdict


def survey(dice: Dice, rows: int, *, moved: bool = False) -> Verdict:
    """Two tables of eight distinct rows each."""
    shares = np.array([6, 1, 1, 1, 1, 1, 1, 6]) if moved else np.ones(8)
    kinds = dice.integers(0, 8, rows), dice.choice(8, rows, p=shares / shares.sum())
    tables = [pl.DataFrame({f"question {bit}": (kind >> bit) % 2 for bit in range(3)}) for kind in kinds]
    check: Check = multivariate_check(*tables, columns=tables[0].columns, policy=Multivariate(), rule=RULE)
    return check.verdict


def cells() -> Iterator[Cell]:
    """Every world; faulty ones are bold."""
    yield from _categories()
    for area, positives in itertools.product((0.96, 0.97, 0.98, 0.985), (0.5, 0.01)):
        world = f"true area {area:g}{', the limit' if area == LIMIT else ''}, {positives:.0%} positive"
        verdict = partial(leakage, rows=5_000, area=area, positives=positives)
        yield Cell("leakage", f"**{world}**" if area > LIMIT else world, verdict)
    check = "drift[….hour]`, `drift[….weekday]"
    for rows in (500, 2_000):
        yield Cell(check, "the next four weeks", partial(next_sales, rows=rows))
    yield Cell(check, "monthly snapshots of the next year", partial(next_snapshots, rows=2_000))
    yield Cell(check, "**two hours later**", partial(next_sales, rows=2_000, hours=(10, 22)))
    yield Cell(check, "**at weekends only**", partial(next_sales, rows=2_000, weekends=True))
    for metric, rows in (("roc_auc", 300), ("roc_auc", 1_000), ("log_loss", 1_000), ("r2", 300), ("r2", 1_000)):
        yield Cell("concept_drift", f"equal, {metric}", partial(concept_drift, rows=rows, metric=metric), 50)
    wrong_labels = (
        ("a tenth of the labels inverted, roc_auc", 1_000, "roc_auc", 0.1),
        ("**half of the labels inverted, roc_auc**", 1_000, "roc_auc", 0.5),
        ("**all labels inverted, roc_auc**", 300, "roc_auc", 1.0),
        ("**all labels inverted, r2**", 300, "r2", 1.0),
    )
    for world, rows, metric, wrong in wrong_labels:
        yield Cell("concept_drift", world, partial(concept_drift, rows=rows, metric=metric, wrong=wrong), 20)
    check = "drift[multivariate]"
    for rows in (500, 2_000):
        yield Cell(check, "equal surveys of eight distinct rows", partial(survey, rows=rows), 20)
    world = "**two of eight distinct rows six times as frequent**"
    yield Cell(check, world, partial(survey, rows=2_000, moved=True), 20)


def _categories() -> Iterator[Cell]:
    for kinds, zipf, rows in itertools.product((130, 3_000, 1_000_000), (False, True), (500, 5_000)):
        world = f"equal: {kinds:,} codes, {'by Zipf' if zipf else 'even'}"
        yield Cell("new_values[…]", world, partial(new_values, rows=rows, kinds=kinds, zipf=zipf))
    for rows, renamed in ((500, 1.0), (1_000, 1.0), (5_000, 0.2), (5_000, 0.05)):
        world = f"**130 codes, {renamed:.0%} renamed**"
        yield Cell("new_values[…]", world, partial(new_values, rows=rows, kinds=130, renamed=renamed))
    for kinds, zipf in itertools.product((16, 162, 10_000), (False, True)):
        world = f"clean: {kinds:,} kinds of rows, {'by Zipf' if zipf else 'even'}"
        yield Cell("copies", world, partial(copies, rows=2_000, kinds=kinds, zipf=zipf))
    for kinds, doubled in ((162, 1.0), (10_000, 0.5)):
        world = f"**{kinds:,} kinds, {doubled:.0%} of the rows doubled**"
        yield Cell("copies", world, partial(copies, rows=2_000, kinds=kinds, doubled=doubled))


def main(
    check: Annotated[str, typer.Option(help="The check to measure; empty: all.")] = "",
    draws: Annotated[int, typer.Option(help="So many draws of each world; 0: as many as it is worth.")] = 0,
    quick: Annotated[bool, typer.Option(help="Ten draws of each world.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draws tables of every world and prints a table in Markdown; faulty worlds are bold."""
    results, start = [], time.perf_counter()
    verdicts = (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED)
    if not as_json:
        print("| check | world | rows | draws | passed | inconclusive | failed |\n|---|---|---|---|---|---|---|")
    for number, cell in enumerate(cells()):
        if check not in cell.check:
            continue
        count = 10 if quick else draws or cell.draws
        counts = Counter(cell.verdict(np.random.default_rng([number, draw])) for draw in range(count))
        shares = {str(verdict): counts[verdict] / count for verdict in verdicts}
        rows = cell.verdict.keywords["rows"]
        results.append({"check": cell.check, "world": cell.world, "rows": rows, "draws": count, **shares})
        if not as_json:
            shown = " | ".join(f"{share:.1%}" if 0 < share < 1 else f"{share:.0%}" for share in shares.values())
            print(f"| `{cell.check}` | {cell.world} | {rows:,} | {count} | {shown} |", flush=True)
    if as_json:
        print(json.dumps({"seconds": round(time.perf_counter() - start), "cells": results}))


if __name__ == "__main__":
    typer.run(main)
