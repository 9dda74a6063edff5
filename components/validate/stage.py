"""The data gate: contract, leakage, drift and skew, with a report."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from modelway.components.core.checks import Check, Gate, Mode, inconclusive, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.config.waivers import judged_gate
from modelway.components.validate.baseline import ApprovedBaseline, approved_baseline, keep_baseline, write_baseline
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.leakage import leakage_checks
from modelway.components.validate.checks.multivariate import multivariate_check
from modelway.components.validate.checks.skew import skew_checks
from modelway.components.validate.counting import SAMPLE_SEED, aligned, rows_of, sample_of
from modelway.components.validate.distributions import measure_like
from modelway.components.validate.profile import Profile, profile_splits
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
        champion: The champion's registry version, whose baseline the data is compared with; empty: there is none.
        serving_path: The serving data, as Parquet; empty, or without rows: there is none.
        as_of: The day that waivers are judged at, ISO 8601; empty: today.
        baseline_path: The folder where the baseline goes: ``baseline.json``, the distributions, and
            ``sample.parquet``, random rows of the training split.
        report_path: Where the HTML report goes.
    """
    project, contract, policy = Project.load(project_text), Contract.load(contract_text), Policy.load(policy_text)
    is_judged = policy.data.mode is not Mode.DISABLED
    splits = aligned({"train": pl.scan_parquet(train_path, glob=False), "test": pl.scan_parquet(test_path, glob=False)})
    approved = approved_baseline(project.name, champion)
    reference = approved.baseline if approved is not None else None
    profile = profile_splits(
        splits["train"],
        splits["test"],
        contract=contract if is_judged else None,
        project=project,
        reference=reference,
        data_hash=data_hash,
    )
    serving, sample = _serving(serving_path), _sample(profile, splits["train"], policy=policy)
    checks = []
    if is_judged:
        checks = [
            *_split_checks(profile),
            *profile.checks,
            *_leakage_checks(splits, profile, project=project, contract=contract, policy=policy, serving=serving),
            *drift_checks(profile.current, reference, policy=policy.data, label=project.label, columns=profile.columns),
            *_multivariate_checks(
                profile, sample, approved=approved, project=project, contract=contract, policy=policy
            ),
            *(_skew_checks(serving, profile, project=project, policy=policy) if serving is not None else ()),
        ]
    if approved is not None and not policy.data.register_new_baseline:
        keep_baseline(Path(baseline_path), approved)
    else:
        write_baseline(Path(baseline_path), profile.new_baseline, sample=sample)
    facts: dict[str, str | int | float | None] = {
        "data_hash": data_hash,
        "contract_hash": contract.sha256(),
        "policy_hash": policy.sha256(),
        "rows": profile.train_rows + profile.test_rows,
        "train_rows": profile.train_rows,
        "test_rows": profile.test_rows,
        "serving_rows": rows_of(serving) if serving is not None else None,
        "baseline": f"{project.name} version {champion}" if approved is not None else None,
        "sample_rows": len(sample) if sample is not None else None,
        "sample_seed": SAMPLE_SEED,
    }
    gate = judged_gate("data", checks, facts=facts, mode=policy.data.mode, waivers=policy.waivers, as_of=as_of)
    Path(report_path).write_text(render(gate, project, current=profile.current, reference=reference), encoding="utf-8")
    return gate


def _sample(profile: Profile, train: pl.LazyFrame, *, policy: Policy) -> pl.DataFrame | None:
    """Random rows of the training split for multivariate drift; None where the policy does not check it."""
    section = policy.data.drift.multivariate
    if section is None:
        return None
    rows = (
        profile.sample if profile.sample is not None else sample_of(train, profile.columns, limit=section.sample_rows)
    )
    return rows.head(section.sample_rows)


def _serving(path: str) -> pl.LazyFrame | None:
    """The serving data; None if there is none."""
    if not path:
        return None
    table = pl.scan_parquet(path, glob=False)
    return table if len(table.collect_schema()) and rows_of(table) else None


def _split_checks(profile: Profile) -> list[Check]:
    return [
        passed_or_failed(
            f"rows[{side}]",
            rows > 0,
            message=f"{rows:,} rows in the {side} split"
            + ("" if rows else "; bring more rows, or correct `data.split`"),
            observed=rows,
            threshold=1,
        )
        for side, rows in (("train", profile.train_rows), ("test", profile.test_rows))
    ]


def _why_not_comparable(profile: Profile, project: Project, *, contract: Contract) -> str:
    """Why the columns cannot be compared; empty if they can."""
    for name in (*project.features.columns, project.label):
        if name not in profile.schema:
            return f"the column {name!r} is missing"
        if name in contract.columns and not is_stored_as(contract.columns[name].type, profile.schema[name]):
            return f"the column {name!r} is not of its type, {contract.columns[name].type}"
    return "" if profile.train_rows and profile.test_rows else "a split has no rows"


def _leakage_checks(
    splits: dict[str, pl.LazyFrame],
    profile: Profile,
    *,
    project: Project,
    contract: Contract,
    policy: Policy,
    serving: pl.LazyFrame | None,
) -> list[Check]:
    leakage, rule = policy.data.leakage, policy.data.on_inconclusive
    reason = _why_not_comparable(profile, project, contract=contract)
    if reason:
        return [inconclusive("leakage", f"not judged: {reason}; see the contract's checks", rule=rule)]
    serving_columns = list(serving.collect_schema()) if serving is not None else None
    return leakage_checks(
        splits["train"],
        splits["test"],
        project=project,
        contract=contract,
        policy=leakage,
        rule=rule,
        serving_columns=serving_columns,
    )


def _multivariate_checks(
    profile: Profile,
    sample: pl.DataFrame | None,
    *,
    approved: ApprovedBaseline | None,
    project: Project,
    contract: Contract,
    policy: Policy,
) -> list[Check]:
    section, rule = policy.data.drift.multivariate, policy.data.on_inconclusive
    if section is None or sample is None or approved is None:
        return []
    reference, reason = approved.rows(), _why_not_comparable(profile, project, contract=contract)
    if reference is None:
        reason = "no sample was registered with the baseline; the next approved model registers one"
    if reference is None or reason:
        return [inconclusive("drift[multivariate]", f"not judged: {reason}", rule=rule)]
    return [multivariate_check(reference, sample, columns=list(project.features.columns), policy=section, rule=rule)]


def _skew_checks(serving: pl.LazyFrame, profile: Profile, *, project: Project, policy: Policy) -> list[Check]:
    """Compares the features of the serving data with the training split, in the latter's bins."""
    features = {
        name: distribution for name, distribution in profile.new_baseline.columns.items() if name != project.label
    }
    train = profile.new_baseline.model_copy(update={"columns": features})
    group = project.data.split.column if project.data.split.by == "group" else None
    has_groups = group is not None and group in serving.collect_schema()
    serving_statistics = measure_like(serving, train, data_hash="", group=group if has_groups else None)
    if not has_groups:  # assumed to be as alike as the training rows
        serving_statistics = serving_statistics.model_copy(update={"rows_per_group": train.rows_per_group})
    return skew_checks(serving_statistics, train, policy=policy.data)
