"""Leakage: information about the label or the test rows that a model does not have in production."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import DataPolicy
from modelway.components.core.config.project import Project
from modelway.components.core.config.thresholds import Threshold
from modelway.components.validate.checks.copies import copies_check
from modelway.components.validate.checks.duplicates import duplicate_checks
from modelway.components.validate.checks.groups import shared_groups_check
from modelway.components.validate.checks.identifiers import identifier_checks
from modelway.components.validate.checks.shared_rows import shared_rows_check
from modelway.components.validate.checks.single_feature import Label, Skill, encode_label, skill_of
from modelway.components.validate.checks.times import time_checks
from modelway.components.validate.roc_auc import CONFIDENCE
from modelway.components.validate.sample import Sample, draw

_SKILLS = "leakage[single features]"
_REMEDIES = {
    Verdict.INCONCLUSIVE: "too few rows to decide: bring more, or check how the feature is made",
    Verdict.FAILED: "take it out of `features` if it is not known before the label is",
}


def leakage_checks(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    project: Project,
    contract: Contract,
    policy: DataPolicy,
    serving_columns: Sequence[str] | None,
    today: dt.datetime | None = None,
) -> list[Check]:
    """Looks for every kind of leakage that the policy enables.

    Single features' skill, repeated columns and identifiers are judged on a random sample of training rows, at most
    `leakage.sample_rows`; as many test rows are looked up in the whole training split; times and the order of the
    splits are compared in every row. A feature with a finding has a check of its own; one check covers the others.

    Args:
        train: The training split.
        test: The test split.
        project: Names the label, the features and the split. Missing columns are left to the contract.
        contract: Says which columns are known at serving.
        policy: The policy's `data` section.
        serving_columns: The columns of the serving data; None if there is none.
        today: The present, after which no feature's time may lie; None: by the clock.
    """
    leakage, rule, columns = policy.leakage, policy.on_inconclusive, set(train.collect_schema())
    features = [name for name in project.features.columns if name in columns]
    checks = []
    if leakage.single_feature is not None or leakage.duplicates or leakage.identifiers:
        labelled = [project.label] if project.label in columns else []
        sample = draw(train, [*features, *labelled], limit=leakage.sample_rows)
        checks += _column_checks(sample, train, project=project, features=features, policy=policy)
    if leakage.shared_rows is not None:
        limit, split = leakage.shared_rows, project.data.split
        checks.append(
            shared_rows_check(train, test, split=split, limit=limit, sample_rows=leakage.sample_rows, rule=rule)
        )
    if leakage.copies and project.data.split.rule_in_force == 2:
        checks.append(copies_check(train, test, mostly_distinct=project.data.split.equal_rows == "together"))
    groups = dict.fromkeys(filter(None, [*leakage.groups, project.data.split.group]))
    checks += [
        shared_groups_check(name, train, test=test, sample_rows=leakage.sample_rows, rule=rule) for name in groups
    ]
    if leakage.times:
        checks += time_checks(train, test, project=project, contract=contract, rule=rule, today=today)
    return checks + _serving_checks(project.features.columns, contract, serving_columns=serving_columns)


def _column_checks(
    sample: Sample, train: pl.LazyFrame, *, project: Project, features: Sequence[str], policy: DataPolicy
) -> list[Check]:
    leakage, rule, categorical = policy.leakage, policy.on_inconclusive, set(project.features.categorical)
    target: Label | str = "the label is not in the data"
    if project.label in sample.table.columns:
        target = encode_label(sample.table, project)
    skills: list[Skill] = []
    if isinstance(target, Label) and (leakage.single_feature is not None or leakage.identifiers):
        skills = [skill_of(sample.table[name], target, categorical=name in categorical) for name in features]
    checks: list[Check] = []
    if leakage.single_feature is not None:
        checks += _skill_checks(skills, target, sample=sample, limit=leakage.single_feature, rule=rule)
    if leakage.duplicates:
        checks += duplicate_checks(sample, project.label, features=features, rule=rule)
    if leakage.identifiers:
        checks += identifier_checks(sample, train, features=features, categorical=categorical, skills=skills, rule=rule)
    return checks


def _skill_checks(
    skills: Sequence[Skill], target: Label | str, *, sample: Sample, limit: float, rule: OnInconclusive
) -> list[Check]:
    if isinstance(target, str):
        return [inconclusive(_SKILLS, f"the skill of single features cannot be measured: {target}", rule=rule)]
    if not skills:
        return [inconclusive(_SKILLS, "none of the features is in the data", rule=rule)]
    one_of = f", of the class that it predicts best of {target.classes}" if target.classes > 2 else ""

    def skill_check(name: str, skill: Skill, verdict: Verdict, *, tells: str) -> Check:
        (low, high), observed = skill.interval, round(skill.observed, 6)
        message = f"{tells}: {skill.measure} {skill.observed:.4f} ({CONFIDENCE:.0%} interval {low:.4f} to {high:.4f})"
        message += f" on {sample.rows} training rows{one_of}; the policy allows at most {limit:g}"
        message += f"; {_REMEDIES[verdict]}" if verdict in _REMEDIES else ""
        rounded = round(low, 6), round(high, 6)
        return judged(name, verdict, message=message, rule=rule, observed=observed, threshold=limit, interval=rounded)

    passing, checks = [], []
    for skill in skills:
        verdict = Threshold(max=limit).judge(skill.interval)
        if verdict is Verdict.PASSED:
            passing.append(skill)
        else:
            tells = "whether it is missing alone predicts the label" if skill.missing else "alone predicts the label"
            checks.append(skill_check(f"leakage[{skill.feature}]", skill, verdict, tells=tells))
    if passing:
        best = max(passing, key=lambda skill: skill.observed)
        tells = f"none of {len(passing)} features alone predicts the label too well; the best is {best.feature!r}"
        checks.append(skill_check(_SKILLS, best, Verdict.PASSED, tells=tells))
    return checks


def _serving_checks(
    features: Sequence[str], contract: Contract, *, serving_columns: Sequence[str] | None
) -> list[Check]:
    served = set(features if serving_columns is None else serving_columns)
    checks = []
    for name in features:
        message = "" if name in served else "the serving data has no such column (`data.serving` in the project)"
        if name in contract.columns and not contract.columns[name].at_serving:
            message = "the contract says that it is not known at serving (`at_serving: false`)"
        if message:
            message += "; take it out of `features`"
            checks.append(passed_or_failed(f"at_serving[{name}]", False, message=message))
    if checks:
        return checks
    by = "the contract" if serving_columns is None else "the contract and the serving data"
    message = f"all {len(features)} features are known at serving, by {by}"
    return [passed_or_failed("at_serving[features]", True, message=message)]
