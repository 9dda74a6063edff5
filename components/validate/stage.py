"""The data gate: contract, leakage, drift, skew, and the report of them all."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from modelway.components.core.checks import Check, Gate, Mode, inconclusive, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.config.waivers import judged_gate
from modelway.components.validate.baseline import Approved, approved_baseline, keep_baseline, write_baseline
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.leakage import leakage_checks
from modelway.components.validate.checks.multivariate import multivariate_check
from modelway.components.validate.checks.skew import skew_checks
from modelway.components.validate.counting import SAMPLE_SEED, rows_of, sample_of, together
from modelway.components.validate.distributions import measure_like
from modelway.components.validate.profile import Survey, survey
from modelway.components.validate.report import render


def validate(
    train_path: str,
    test_path: str,
    *,
    project_text: str,
    contract_text: str,
    policy_text: str,
    data_hash: str,
    champion: str = "",
    serving_path: str = "",
    as_of: str = "",
    baseline_path: str,
    report_path: str,
) -> Gate:
    """Judges the data, and writes the report and the baseline that later data will be measured against.

    Args:
        train_path: The training split, as Parquet.
        test_path: The test split, as Parquet.
        project_text: The project file: its text, path or URI.
        contract_text: The contract file, likewise.
        policy_text: The policy file, likewise.
        data_hash: The SHA-256 of the source's content.
        champion: The champion's version in the registry, whose baseline is compared with; empty: there is none.
        serving_path: What is asked in production, as Parquet; empty, or without rows: none is given.
        as_of: The day that waivers are judged at, ISO 8601; empty: today.
        baseline_path: The folder where the baseline goes: ``baseline.json``, the distributions, and
            ``sample.parquet``, rows of the training split by chance.
        report_path: Where the HTML report goes.
    """
    project, contract, policy = Project.load(project_text), Contract.load(contract_text), Policy.load(policy_text)
    judged = policy.data.mode is not Mode.DISABLED
    splits = together(
        {"train": pl.scan_parquet(train_path, glob=False), "test": pl.scan_parquet(test_path, glob=False)}
    )
    approved = approved_baseline(project.name, champion)
    before = approved.baseline if approved is not None else None
    found = survey(
        splits["train"],
        splits["test"],
        contract=contract if judged else None,
        project=project,
        before=before,
        data_hash=data_hash,
    )
    serving, kept = _serving(serving_path), _sample(found, splits["train"], policy=policy)
    checks = []
    if judged:
        checks = [
            *_split_checks(found),
            *found.checks,
            *_leakage_checks(splits, found, project=project, contract=contract, policy=policy, serving=serving),
            *drift_checks(found.now, before, policy=policy.data, label=project.label, columns=found.columns),
            *_multivariate_checks(found, kept, approved=approved, project=project, contract=contract, policy=policy),
            *(_skew_checks(serving, found, project=project, policy=policy) if serving is not None else ()),
        ]
    if approved is not None and not policy.data.register_new_baseline:
        keep_baseline(Path(baseline_path), approved)
    else:
        write_baseline(Path(baseline_path), found.made, sample=kept)
    facts: dict[str, str | int | float | None] = {
        "data_hash": data_hash,
        "contract_hash": contract.sha256(),
        "policy_hash": policy.sha256(),
        "rows": found.train_rows + found.test_rows,
        "train_rows": found.train_rows,
        "test_rows": found.test_rows,
        "serving_rows": rows_of(serving) if serving is not None else None,
        "baseline": f"{project.name} version {champion}" if approved is not None else None,
        "sample_rows": len(kept) if kept is not None else None,
        "sample_seed": SAMPLE_SEED,
    }
    gate = judged_gate("data", checks, facts=facts, mode=policy.data.mode, waivers=policy.waivers, as_of=as_of)
    Path(report_path).write_text(render(gate, project, now=found.now, before=before), encoding="utf-8")
    return gate


def _sample(found: Survey, train: pl.LazyFrame, *, policy: Policy) -> pl.DataFrame | None:
    """Rows of the training split by chance, for telling it from others; None where the policy does not ask."""
    asked = policy.data.drift.multivariate
    if asked is None:
        return None
    drawn = found.sample if found.sample is not None else sample_of(train, found.columns, most=asked.sample_rows)
    return drawn.head(asked.sample_rows)


def _serving(path: str) -> pl.LazyFrame | None:
    """The table of what is served; None if none is given."""
    if not path:
        return None
    table = pl.scan_parquet(path, glob=False)
    return table if len(table.collect_schema()) and rows_of(table) else None


def _split_checks(found: Survey) -> list[Check]:
    return [
        passed_or_failed(
            f"rows[{side}]",
            rows > 0,
            message=f"{rows:,} rows in the {side} split"
            + ("" if rows else "; bring more rows, or correct `data.split`"),
            observed=rows,
            threshold=1,
        )
        for side, rows in (("train", found.train_rows), ("test", found.test_rows))
    ]


def _obstacle(found: Survey, project: Project, *, contract: Contract) -> str:
    """Why rows cannot be looked at closely; empty if they can."""
    for name in (*project.features.columns, project.label):
        if name not in found.schema:
            return f"the column {name!r} is missing"
        if name in contract.columns and not is_stored_as(contract.columns[name].type, found.schema[name]):
            return f"the column {name!r} is not of its type, {contract.columns[name].type}"
    return "" if found.train_rows and found.test_rows else "a split has no rows"


def _leakage_checks(
    splits: dict[str, pl.LazyFrame],
    found: Survey,
    *,
    project: Project,
    contract: Contract,
    policy: Policy,
    serving: pl.LazyFrame | None,
) -> list[Check]:
    asked, rule = policy.data.leakage, policy.data.on_inconclusive
    obstacle = _obstacle(found, project, contract=contract)
    if obstacle:
        return [inconclusive("leakage", f"not judged: {obstacle}; see the contract's checks", rule=rule)]
    served = list(serving.collect_schema()) if serving is not None else None
    return leakage_checks(
        splits["train"],
        splits["test"],
        project=project,
        contract=contract,
        policy=asked,
        rule=rule,
        serving_columns=served,
    )


def _multivariate_checks(
    found: Survey,
    sample: pl.DataFrame | None,
    *,
    approved: Approved | None,
    project: Project,
    contract: Contract,
    policy: Policy,
) -> list[Check]:
    asked, rule = policy.data.drift.multivariate, policy.data.on_inconclusive
    if asked is None or sample is None or approved is None:
        return []
    before, obstacle = approved.rows(), _obstacle(found, project, contract=contract)
    if before is None:
        obstacle = "no sample was registered with the baseline; the next approved model's will be"
    if before is None or obstacle:
        return [inconclusive("drift[multivariate]", f"not judged: {obstacle}", rule=rule)]
    return [multivariate_check(before, sample, columns=list(project.features.columns), policy=asked, rule=rule)]


def _skew_checks(serving: pl.LazyFrame, found: Survey, *, project: Project, policy: Policy) -> list[Check]:
    """What is served against what is trained on, of the features in the training split's bins."""
    features = {name: shape for name, shape in found.made.columns.items() if name != project.label}
    trained = found.made.model_copy(update={"columns": features})
    group = project.data.split.column if project.data.split.by == "group" else None
    known = group is not None and group in serving.collect_schema()
    served = measure_like(serving, trained, data_hash="", group=group if known else None)
    if not known:  # as alike as the rows trained on, for want of better knowledge
        served = served.model_copy(update={"rows_per_group": trained.rows_per_group})
    return skew_checks(served, trained, policy=policy.data)
