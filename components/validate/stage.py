"""The data gate: contract, leakage, drift and skew, with a report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from modelway.components.core.audit.opened_version import OpenedVersion, open_champion
from modelway.components.core.checks import Check, Gate, Mode, inconclusive, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import DataPolicy, Multivariate
from modelway.components.core.config.project import Project, Split
from modelway.components.core.config.row_rules import is_stored_as
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.config.waivers import judged_gate
from modelway.components.core.measures.time_parts import Days
from modelway.components.core.tables.unparsed import unparsed_together, unparsed_values
from modelway.components.validate.baseline import ApprovedBaseline, approved_baseline, keep_baseline, write_baseline
from modelway.components.validate.checks.concept_drift import concept_drift_check
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.checks.leakage import leakage_checks
from modelway.components.validate.checks.multivariate import multivariate_check
from modelway.components.validate.checks.new_values import new_values_checks
from modelway.components.validate.checks.skew import skew_checks
from modelway.components.validate.checks.split_rule import split_rule_check
from modelway.components.validate.counting import SAMPLE_SEED, aligned, rows_of, sample_of
from modelway.components.validate.distributions import measure_like
from modelway.components.validate.new_rows import (
    NOT_KEPT,
    hashes_of,
    judges_by_evidence,
    new_among,
    registered_hashes,
    write_hashes,
)
from modelway.components.validate.profile import Profile, profile_splits
from modelway.components.validate.report import render
from modelway.components.validate.time_parts import days_of, time_parts


def validate(
    train_path: str,
    test_path: str,
    *,
    project_text: str,
    contract_text: str,
    policy_text: str,
    data_hash: str,
    champion: str = "",
    champion_blessing: str = "",
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
        champion_blessing: The SHA-256 of the champion's blessing, by the audit log; empty: not compared.
        serving_path: The serving data, as Parquet; empty, or without rows: there is none.
        as_of: The day that waivers are judged at, ISO 8601; empty: today.
        baseline_path: The folder where the baseline goes: ``baseline.json``, the distributions, ``sample.parquet``,
            random rows of the training split, and ``rows.parquet``, the hashes of the rows of both splits.
        report_path: Where the HTML report goes.
    """
    files = UserFiles.load(project=project_text, contract=contract_text, policy=policy_text)
    project, contract, policy = files.project, files.contract, files.policy.data
    is_judged = policy.mode is not Mode.DISABLED
    train, test = aligned(pl.scan_parquet(train_path, glob=False), pl.scan_parquet(test_path, glob=False))
    opened = open_champion(project.name, champion, blessing_sha256=champion_blessing)
    approved = approved_baseline(opened)
    split_before = None if opened is None else opened.split or Split()  # before there was a second rule
    reference = approved.baseline if approved is not None else None
    unparsed = unparsed_together(unparsed_values(train_path), unparsed_values(test_path), first_rows=rows_of(train))
    by_evidence = judges_by_evidence(contract, label=project.label)
    hashes = hashes_of(train, test) if by_evidence else None
    is_new = new_among(hashes, registered_hashes(opened), unparsed=unparsed)
    profile = profile_splits(
        train,
        test,
        contract=contract if is_judged else None,
        project=project,
        reference=reference,
        data_hash=data_hash,
        unparsed=unparsed,
        is_new=is_new,
    )
    serving, sample = _serving(serving_path), _sample(profile, train, section=policy.drift.multivariate)
    checks: list[Check] = []
    if is_judged:
        checks += _checks(
            train,
            test,
            files=files,
            profile=profile,
            sample=sample,
            approved=approved,
            split_before=split_before,
            serving=serving,
        )
        checks += _concept_drift_checks(test, opened, files=files, profile=profile)
    if approved is not None and not policy.register_new_baseline:
        keep_baseline(Path(baseline_path), approved)
    else:
        write_baseline(Path(baseline_path), profile.new_baseline, sample=sample)
    if hashes is not None:
        write_hashes(Path(baseline_path), hashes)
    facts: dict[str, str | int | float | None] = {
        "data_hash": data_hash,
        "split": str(project.data.split),
        "contract_hash": contract.sha256(),
        "policy_hash": files.policy.sha256(),
        "rows": profile.train_rows + profile.test_rows,
        "train_rows": profile.train_rows,
        "test_rows": profile.test_rows,
        "new_rows": int(is_new.sum()) if is_new is not None else None,
        "row_hashes": NOT_KEPT if by_evidence and hashes is None else None,
        "test_share": _test_share(profile.train_rows, profile.test_rows, split=project.data.split),
        "serving_rows": rows_of(serving) if serving is not None else None,
        "baseline": f"{project.name} version {champion}" if approved is not None else None,
        "sample_rows": len(sample) if sample is not None else None,
        "sample_seed": SAMPLE_SEED,
    }
    waivers = files.policy.waivers
    gate = judged_gate("data", checks, facts=facts, mode=policy.mode, waivers=waivers, as_of=as_of)
    Path(report_path).write_text(render(gate, project, current=profile.current, reference=reference), encoding="utf-8")
    return gate


def _test_share(train_rows: int, test_rows: int, *, split: Split) -> str | None:
    """The test split's real share, beside the one that the project asks for."""
    rows = train_rows + test_rows
    requested = split.test_fraction / (1 - split.unseen_fraction)
    return f"{test_rows / rows:.1%} of these rows; data.split asks for {requested:.1%}" if rows else None


def _sample(profile: Profile, train: pl.LazyFrame, *, section: Multivariate | None) -> pl.DataFrame | None:
    """Random rows of the training split for multivariate drift; None where the policy does not check it."""
    if section is None:
        return None
    rows = profile.sample
    if rows is None:
        rows = sample_of(train, profile.columns, limit=section.sample_rows)
    return rows.head(section.sample_rows)


def _serving(path: str) -> pl.LazyFrame | None:
    """The serving data; None if there is none."""
    if not path:
        return None
    table = pl.scan_parquet(path, glob=False)
    return table if len(table.collect_schema()) and rows_of(table) else None


def _checks(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    files: UserFiles,
    profile: Profile,
    sample: pl.DataFrame | None,
    approved: ApprovedBaseline | None,
    split_before: Split | None,
    serving: pl.LazyFrame | None,
) -> Iterator[Check]:
    project, contract, policy = files.project, files.contract, files.policy.data
    section, rule = policy.drift.multivariate, policy.on_inconclusive
    for side, rows in (("train", profile.train_rows), ("test", profile.test_rows)):
        message = f"{rows:,} rows in the {side} split" + ("" if rows else "; bring more rows, or correct `data.split`")
        yield passed_or_failed(f"rows[{side}]", rows > 0, message=message, observed=rows, threshold=1)
    yield from profile.checks
    obstacle = _why_not_comparable(profile, project, contract=contract)
    if obstacle:
        yield inconclusive("leakage", f"not judged: {obstacle}; see the contract's checks", rule=rule)
    else:
        split_rule = split_rule_check(train, test, split=project.data.split, label=project.label, before=split_before)
        if split_rule is not None:
            yield split_rule
        names = list(serving.collect_schema()) if serving is not None else None
        yield from leakage_checks(train, test, project=project, contract=contract, policy=policy, serving_columns=names)
    reference = approved.baseline if approved is not None else None
    columns = (*profile.columns, *profile.parts)
    yield from drift_checks(profile.current, reference, policy=policy, label=project.label, columns=columns)
    if section is not None and sample is not None and approved is not None:
        reference_rows = approved.rows()
        if reference_rows is None:
            obstacle = "no sample was registered with the baseline; the next approved model registers one"
        if reference_rows is None or obstacle:
            yield inconclusive("drift[multivariate]", f"not judged: {obstacle}", rule=rule)
        else:
            columns = project.features.columns
            yield multivariate_check(reference_rows, sample, columns=columns, policy=section, rule=rule)
            if policy.drift.new_values is not None:
                yield from new_values_checks(
                    reference_rows,
                    sample,
                    columns=columns if project.task == "regression" else (*columns, project.label),
                    categorical=(*project.features.categorical, project.label),
                    rows_per_group=max(profile.current.rows_per_group, approved.baseline.rows_per_group),
                    policy=policy,
                    limit=policy.drift.new_values,
                )
    if serving is not None:
        yield from _skew_checks(serving, profile, project=project, policy=policy)


def _concept_drift_checks(
    test: pl.LazyFrame, champion: OpenedVersion | None, *, files: UserFiles, profile: Profile
) -> list[Check]:
    """How the champion predicts the new test rows; none without a champion."""
    project, policy, model = files.project, files.policy.data, files.policy.model
    if champion is None or policy.concept_drift is None:
        return []
    obstacle = _why_not_comparable(profile, project, contract=files.contract)
    if obstacle:
        return [inconclusive("concept_drift", f"not judged: {obstacle}", rule=policy.on_inconclusive)]
    preferred = [model.no_regression.metric] if model.no_regression is not None else []
    return [
        concept_drift_check(
            test,
            project=project,
            champion=champion,
            metrics=(*preferred, *model.metrics),
            trusted_types=model.trusted_types,
            policy=policy.concept_drift,
            rule=policy.on_inconclusive,
        )
    ]


def _why_not_comparable(profile: Profile, project: Project, *, contract: Contract) -> str:
    """Why the columns cannot be compared; empty if they can."""
    for name in (*project.features.columns, project.label):
        if name not in profile.schema:
            return f"the column {name!r} is missing"
        if name in contract.columns and not is_stored_as(contract.columns[name].type, profile.schema[name]):
            return f"the column {name!r} is not of its type, {contract.columns[name].type}"
    return "" if profile.train_rows and profile.test_rows else "a split has no rows"


def _skew_checks(serving: pl.LazyFrame, profile: Profile, *, project: Project, policy: DataPolicy) -> list[Check]:
    """Compares the features of the serving data with the training split, in the latter's bins."""
    bins, group, schema = profile.new_baseline.columns, project.data.split.group, serving.collect_schema()
    spans = profile.new_baseline.days, days_of(serving, project.features.datetime)
    parts = {}
    for name, part in time_parts(schema, project.features.datetime).items():
        column, _, kind = name.rpartition(".")
        if all(days.get(column, Days()).show(kind) for days in spans):
            parts[name] = part
    serving = serving.with_columns(**parts)
    features = {
        name: distribution
        for name, distribution in bins.items()
        if name != project.label and not distribution.of_times and (name in parts or name not in profile.parts)
    }
    train = profile.new_baseline.model_copy(update={"columns": features})
    if group in serving.collect_schema():
        return skew_checks(measure_like(serving, train, data_hash="", group=group), train, policy=policy)
    as_alike = {"rows_per_group": train.rows_per_group}  # is assumed of the serving rows
    return skew_checks(measure_like(serving, train, data_hash="").model_copy(update=as_alike), train, policy=policy)
