"""How often the data gate fails data that has nothing wrong with it.

Draws datasets of which both sides are of one distribution: people of the insurance example, parted at random into
those of the baseline and those of the new data; and a synthetic table of 21 columns, some with very many categories and
one of times, in which the new data is of the next four weeks. Each has 500 to 5,000 rows a side. The new data's splits
go through every check that the gate makes; a model of the baseline's rows stands for the champion:

    uv run python benchmarks/data_false_alarms.py
    uv run python benchmarks/data_false_alarms.py --datasets 500 --every 1     # those that train models on all of them

Leakage, multivariate drift, new values and concept drift, which train models or take samples, are most of the time:
they judge every tenth data by default. `data_checks.py` measures single checks, and their power.
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
from modelway.components.core.measures.metrics import Predictions
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.counting import rows_per_group
from modelway.components.validate.profile import profile_splits
from modelway.components.validate.roc_auc import roc_auc

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
    """Numbers of several shapes, whole numbers, flags, categories by Zipf's law, and times that go on."""
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
    sides = np.repeat([0, 1, 1], [rows, rows, total - 2 * rows])
    days, seconds = sides * 28 + dice.integers(0, 28, total), dice.integers(8 * 3_600, 20 * 3_600, total)
    columns["sold"] = np.datetime64("2026-01-01", "us") + (days * 86_400 + seconds).astype("timedelta64[s]")
    columns["late"] = (columns["x0"] + dice.normal(size=total) > 0).astype(int)
    table = pl.DataFrame(columns, nan_to_null=True)
    texts = [name for name, dtype in table.schema.items() if dtype == pl.String]
    types = {name: "string" if name in texts else "number" for name in table.columns}
    types |= {"count": "integer", "rare": "integer", "year": "integer", "late": "integer", "flag": "boolean"}
    types["sold"] = "datetime"
    column_types = {name: {"type": kind, "max_nulls": 0.5 if name == "gaps" else 0.0} for name, kind in types.items()}
    project_document = {
        "name": "synthetic",
        "task": "binary",
        "label": "late",
        "data": {"source": "x", "split": {"equal_rows": "together"}},
        "features": {
            "numeric": [name for name in table.columns if name not in {*texts, "late", "sold"}],
            "categorical": texts,
            "datetime": ["sold"],
        },
        "model": {"estimator": "sklearn.linear_model.LogisticRegression"},
    }
    project = Project.parse(yaml.safe_dump(project_document))
    contract = Contract.parse(yaml.safe_dump({"columns": column_types}))
    return Dataset("synthetic", project, contract, table[:rows], table[rows : 2 * rows], table[2 * rows :])


def counted_checks(data: Dataset, policy: DataPolicy) -> list[Check]:
    """The contract's checks and every column's drift."""
    project, before = data.project, data.before.lazy()
    reference = profile_splits(
        before, before, contract=None, project=project, reference=None, data_hash=""
    ).new_baseline
    profile = profile_splits(
        data.train.lazy(), data.test.lazy(), contract=data.contract, project=project, reference=reference, data_hash=""
    )
    columns = (*profile.columns, *profile.parts)
    return [
        *profile.checks,
        *drift_checks(profile.current, reference, policy=policy, label=project.label, columns=columns),
    ]


def trained_checks(data: Dataset, policy: DataPolicy) -> list[Check]:
    """Leakage, the drift of the columns together, new values, and concept drift."""
    from modelway.components.validate.checks.leakage import leakage_checks
    from modelway.components.validate.checks.multivariate import multivariate_check
    from modelway.components.validate.checks.new_values import new_values_checks

    project, features = data.project, data.project.features.columns
    leaks = leakage_checks(
        data.train.lazy(),
        data.test.lazy(),
        project=project,
        contract=data.contract,
        policy=policy,
        serving_columns=None,
    )
    section, limit = policy.drift.multivariate, policy.drift.new_values
    assert section is not None
    assert limit is not None
    group = project.data.split.group
    return [
        *leaks,
        multivariate_check(data.before, data.train, columns=features, policy=section, rule=policy.on_inconclusive),
        *new_values_checks(
            data.before,
            data.train,
            columns=(*features, project.label),
            categorical=(*project.features.categorical, project.label),
            rows_per_group=rows_per_group(data.train.lazy(), group) if group is not None else 1.0,
            policy=policy,
            limit=limit,
        ),
        concept_drift(data, policy),
    ]


def concept_drift(data: Dataset, policy: DataPolicy) -> Check:
    """The skill of a logistic regression on the test rows, which was learned and scored on the baseline's rows."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from modelway.components.validate.checks.concept_drift import RegisteredScore, skill_check

    def rows_of(table: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        numbers = table.select(pl.col(data.project.features.numeric).cast(pl.Float64).fill_null(0))
        return numbers.to_numpy(), table[data.project.label].to_numpy()

    learned = len(data.before) * 3 // 4
    champion = make_pipeline(StandardScaler(), LogisticRegression()).fit(*rows_of(data.before[:learned]))
    held_out, truth = rows_of(data.before[learned:])
    area, interval = roc_auc(truth == 1, champion.predict_proba(held_out)[:, 1])
    test, labels = rows_of(data.test)
    predictions = Predictions(labels, champion.predict(test), champion.predict_proba(test), ("0", "1"))
    group = data.project.data.split.group
    groups = data.test[group].rank("dense").to_numpy() if group is not None else None
    registered, rule = RegisteredScore("roc_auc", area, interval), policy.on_inconclusive
    assert policy.concept_drift is not None
    limit = policy.concept_drift.skill
    return skill_check(predictions, registered, groups=groups, limit=limit, rule=rule, version="1")


def main(
    datasets: Annotated[int, typer.Option(help="How many datasets are drawn.")] = 500,
    every: Annotated[int, typer.Option(help="Checks that train models judge every so many; 0: none.")] = 10,
    seed: Annotated[int, typer.Option(help="Another seed draws other datasets.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draws the datasets and counts the alarms."""
    claims = pl.read_parquet(EXAMPLE / "claims.parquet")
    policy = DataPolicy()
    failed: Counter[str] = Counter()
    undecided: Counter[str] = Counter()
    verdicts: dict[str, Counter[str]] = {}
    start = time.perf_counter()
    for number in range(datasets):
        dice = np.random.default_rng([seed, number])
        rows = int(dice.integers(MINIMUM_ROWS, MAXIMUM_ROWS, endpoint=True))
        data = insurance(dice, claims, rows) if number % 2 else synthetic(dice, rows)
        parts: dict[str, Sequence[Check]] = {"contract and drift": counted_checks(data, policy)}
        if every and number // 2 % every == 0:
            parts["leakage, multivariate, new values and concept drift"] = trained_checks(data, policy)
            parts["the whole gate"] = [check for part in parts.values() for check in part]
        for name, checks in parts.items():
            verdicts.setdefault(name, Counter())[str(combine(check.verdict for check in checks))] += 1
        for checks in list(parts.values())[:2]:
            for check in checks:
                undecided[f"{data.name}: {check.name}"] += check.verdict is Verdict.INCONCLUSIVE
                if check.verdict is Verdict.FAILED:
                    failed[f"{data.name}: {check.name}"] += 1
                    sys.stderr.write(f"{data.name}, {rows} rows: {check.name}: {check.message}\n")
    report = {
        "datasets": datasets,
        "seconds": round(time.perf_counter() - start),
        "verdicts": verdicts,
        "failed_share": {name: counts[Verdict.FAILED] / counts.total() for name, counts in verdicts.items()},
        "failed_checks": failed,
        "inconclusive_checks": undecided,
    }
    if as_json:
        print(json.dumps(report))
        return
    print(f"{datasets} datasets of {MINIMUM_ROWS} to {MAXIMUM_ROWS:,} rows a side in {report['seconds']} s")
    print(f"{'':<52}{'datasets':>9}{'failed':>9}{'share':>9}{'inconclusive':>14}")
    for name, counts in verdicts.items():
        share = counts[Verdict.FAILED] / counts.total()
        open_ones = counts[Verdict.INCONCLUSIVE]
        print(f"{name:<52}{counts.total():>9}{counts[Verdict.FAILED]:>9}{share:>9.2%}{open_ones:>14}")
    for title, counts in (("failed", failed), ("inconclusive", undecided)):
        for name, times in counts.most_common(10):
            if times:
                print(f"  {title}: {name}: {times}")


if __name__ == "__main__":
    typer.run(main)
