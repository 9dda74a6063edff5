"""How often the data gate fails data that has nothing wrong with it.

Draws datasets of which both sides are of one distribution: people of the insurance example, parted at random into
those of the baseline and those of the new data; and a synthetic table of 20 columns, some with very many categories.
Each has 500 to 5,000 rows a side. The new data's splits go through every check that the gate makes:

    uv run python benchmarks/data_false_alarms.py
    uv run python benchmarks/data_false_alarms.py --datasets 500 --every 1     # leakage and multivariate on all of them

Leakage and multivariate drift train models, which takes most of the time: they judge every tenth data by default.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
import yaml

from modelway.components.core.checks import Check, Verdict, combine
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.project import Project
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.distributions import measure
from modelway.components.validate.profile import profile_splits

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "insurance"
MINIMUM_ROWS, MAXIMUM_ROWS = 500, 5_000
KINDS = {"city": 30, "shop": 300, "product": 3_000, "street": 30_000}


@dataclass(frozen=True)
class Dataset:
    """A data: the baseline's rows, and the new data's two splits."""

    name: str
    project: Project
    contract: Contract
    before: pl.DataFrame
    train: pl.DataFrame
    test: pl.DataFrame


def insurance(dice: np.random.Generator, claims: pl.DataFrame, rows: int) -> Dataset:
    """All years of some people for the baseline, and of others for the new data.

    The contract's row rule tolerates 1 % of 20,000 rows and is broken by 0.4 %; of a few hundred people more may break
    it by chance, which is then true of these rows and no false alarm. So the tolerance is raised for them.
    """
    project, contract = Project.load(str(EXAMPLE / "project.yaml")), Contract.load(str(EXAMPLE / "contract.yaml"))
    people = dice.permutation(claims["person"].unique().sort().to_numpy())
    share = rows / len(claims)
    sides = [people[: int(len(people) * share)], people[int(len(people) * share) : int(len(people) * share * 2.33)]]
    held_out = sides[1][: len(sides[1]) // 4]
    tables = [claims.filter(pl.col("person").is_in(side)) for side in (sides[0], sides[1][len(held_out) :], held_out)]
    rules = tuple(rule.model_copy(update={"tolerance": 0.1}) for rule in contract.rules)
    return Dataset("insurance", project, contract.model_copy(update={"minimum_rows": 1, "rules": rules}), *tables)


def synthetic(dice: np.random.Generator, rows: int) -> Dataset:
    """Twenty columns: numbers of several shapes, whole numbers, flags, and categories by Zipf's law."""
    total = 2 * rows + rows // 3
    columns = {f"x{number}": dice.normal(size=total) for number in range(5)}
    columns |= {f"skewed{number}": dice.lognormal(size=total) for number in range(3)}
    columns |= {"count": dice.poisson(3, total), "rare": dice.poisson(0.05, total), "year": dice.integers(0, 40, total)}
    columns["capped"] = np.minimum(dice.gamma(2, size=total), 3.0)
    columns["gaps"] = np.where(dice.random(total) < 0.3, np.nan, dice.normal(size=total))
    columns["flag"] = dice.random(total) < 0.02
    for name, kinds in KINDS.items():
        spread = 1 / np.arange(1, kinds + 1)
        columns[name] = np.array([f"{name}{number}" for number in range(kinds)])[
            dice.choice(kinds, total, p=spread / spread.sum())
        ]
    columns["even"] = np.array([f"e{number}" for number in range(1_000)])[dice.integers(0, 1_000, total)]
    columns["late"] = (columns["x0"] + dice.normal(size=total) > 0).astype(int)
    table = pl.DataFrame(columns, nan_to_null=True)
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    types = {name: "string" if name in texts else "number" for name in table.columns}
    types |= {"count": "integer", "rare": "integer", "year": "integer", "late": "integer", "flag": "boolean"}
    column_types = {name: {"type": kind, "max_nulls": 0.5 if name == "gaps" else 0.0} for name, kind in types.items()}
    project_document = {
        "name": "synthetic",
        "task": "binary",
        "label": "late",
        "data": {"source": "x"},
        "features": {
            "numeric": [name for name in table.columns if name not in texts and name != "late"],
            "categorical": texts,
        },
        "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
    }
    project = Project.parse(yaml.safe_dump(project_document))
    contract = Contract.parse(yaml.safe_dump({"columns": column_types}))
    return Dataset("synthetic", project, contract, table[:rows], table[rows : 2 * rows], table[2 * rows :])


def counted_checks(data: Dataset, policy: DataPolicy) -> list[Check]:
    """The contract's checks and every column's drift."""
    project = data.project
    columns = [*project.features.columns, project.label]
    before = measure(data.before, columns, data_hash="", group=project.data.split.group)
    profile = profile_splits(
        data.train.lazy(), data.test.lazy(), contract=data.contract, project=project, reference=before, data_hash=""
    )
    return [
        *profile.checks,
        *drift_checks(profile.current, before, policy=policy, label=project.label, columns=profile.columns),
    ]


def trained_checks(data: Dataset, policy: DataPolicy) -> list[Check]:
    """Leakage and the drift of the columns together."""
    from modelway.components.validate.checks.leakage import leakage_checks
    from modelway.components.validate.checks.multivariate import multivariate_check

    rule, features = policy.on_inconclusive, data.project.features.columns
    train, test = data.train.lazy(), data.test.lazy()
    leaks = leakage_checks(
        train,
        test,
        project=data.project,
        contract=data.contract,
        policy=policy,
        serving_columns=None,
    )
    assert policy.drift.multivariate is not None
    return [
        *leaks,
        multivariate_check(data.before, data.train, columns=features, policy=policy.drift.multivariate, rule=rule),
    ]


def main(
    datasets: Annotated[int, typer.Option(help="How many datasets are drawn.")] = 500,
    every: Annotated[int, typer.Option(help="Leakage and multivariate drift judge every so many; 0: none.")] = 10,
    seed: Annotated[int, typer.Option(help="Another seed draws other datasets.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draws the datasets and counts the alarms."""
    claims = pl.read_parquet(EXAMPLE / "claims.parquet")
    policy = DataPolicy()
    failed: Counter[str] = Counter()
    verdicts: dict[str, Counter[str]] = {}
    start = time.perf_counter()
    for number in range(datasets):
        dice = np.random.default_rng([seed, number])
        rows = int(dice.integers(MINIMUM_ROWS, MAXIMUM_ROWS, endpoint=True))
        data = insurance(dice, claims, rows) if number % 2 else synthetic(dice, rows)
        parts: dict[str, Sequence[Check]] = {"contract and drift": counted_checks(data, policy)}
        if every and number // 2 % every == 0:
            parts["leakage and multivariate"] = trained_checks(data, policy)
            parts["the whole gate"] = [check for part in parts.values() for check in part]
        for name, checks in parts.items():
            verdicts.setdefault(name, Counter())[str(combine(check.verdict for check in checks))] += 1
        for checks in list(parts.values())[:2]:
            for check in checks:
                if check.verdict is Verdict.FAILED:
                    failed[f"{data.name}: {check.name}"] += 1
                    sys.stderr.write(f"{data.name}, {rows} rows: {check.name}: {check.message}\n")
    report = {
        "datasets": datasets,
        "seconds": round(time.perf_counter() - start),
        "verdicts": verdicts,
        "failed_share": {name: counts[Verdict.FAILED] / counts.total() for name, counts in verdicts.items()},
        "failed_checks": failed,
    }
    if as_json:
        print(json.dumps(report))
        return
    print(f"{datasets} datasets of {MINIMUM_ROWS} to {MAXIMUM_ROWS:,} rows a side in {report['seconds']} s")
    print(f"{'':<28}{'datasets':>9}{'failed':>9}{'share':>9}{'inconclusive':>14}")
    for name, counts in verdicts.items():
        share = counts[Verdict.FAILED] / counts.total()
        open_ones = counts[Verdict.INCONCLUSIVE]
        print(f"{name:<28}{counts.total():>9}{counts[Verdict.FAILED]:>9}{share:>9.2%}{open_ones:>14}")
    for name, times in failed.most_common(10):
        print(f"  {name}: {times}")


if __name__ == "__main__":
    typer.run(main)
