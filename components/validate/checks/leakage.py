"""Leakage: information about the label or the test rows that a model does not have in production."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from modelway.components.core.checks import Check, OnInconclusive, Verdict, inconclusive, judged, passed_or_failed
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.data_policy import Leakage
from modelway.components.core.config.project import Project
from modelway.components.core.config.thresholds import Threshold
from modelway.components.validate.checks.duplicates import duplicate_checks
from modelway.components.validate.checks.groups import shared_groups_check
from modelway.components.validate.checks.identifiers import identifier_checks
from modelway.components.validate.checks.shared_rows import shared_rows_check
from modelway.components.validate.checks.single_feature import CONFIDENCE, Label, Skill, encode_label, skill_of
from modelway.components.validate.checks.times import time_checks
from modelway.components.validate.sample import Sample, draw

_SKILLS = "leakage[single features]"


def leakage_checks(
    train: pl.LazyFrame,
    test: pl.LazyFrame,
    *,
    project: Project,
    contract: Contract,
    policy: Leakage,
    rule: OnInconclusive,
    serving_columns: Sequence[str] | None,
    today: dt.datetime | None = None,
) -> list[Check]:
    """Looks for every kind of leakage that the policy enables.

    Single features' skill, repeated columns and identifiers are judged on a random sample of at most
    `policy.sample_rows` training rows; as many test rows are looked up in the whole training split; times and the order
    of the splits are compared in every row. A feature with a finding has a check of its own; one check covers the
    others.

    Args:
        train: The training split.
        test: The test split.
        project: Names the label, the features and the split. Missing columns are left to the contract.
        contract: Says which columns are known at serving.
        policy: What to look for, and the thresholds.
        rule: What an inconclusive check does.
        serving_columns: The columns of the serving data; None if there is none.
        today: The present, after which no feature's time may lie; None: by the clock.
    """
    columns = set(train.collect_schema())
    features = [name for name in project.features.columns if name in columns]
    checks = []
    if policy.single_feature is not None or policy.duplicates or policy.identifiers:
        labelled = [project.label] if project.label in columns else []
        sample = draw(train, [*features, *labelled], limit=policy.sample_rows)
        checks += _column_checks(sample, train, project=project, features=features, policy=policy, rule=rule)
    if policy.shared_rows is not None:
        checks.append(
            shared_rows_check(train, test, limit=policy.shared_rows, sample_rows=policy.sample_rows, rule=rule)
        )
    split = project.data.split
    groups = [*policy.groups, *([split.column] if split.by == "group" and split.column is not None else [])]
    checks += [
        shared_groups_check(name, train, test=test, sample_rows=policy.sample_rows, rule=rule)
        for name in dict.fromkeys(groups)
    ]
    if policy.times:
        checks += time_checks(train, test, project=project, contract=contract, rule=rule, today=today)
    return checks + _serving_checks(project.features.columns, contract, serving_columns=serving_columns)


def _column_checks(
    sample: Sample,
    train: pl.LazyFrame,
    *,
    project: Project,
    features: Sequence[str],
    policy: Leakage,
    rule: OnInconclusive,
) -> list[Check]:
    target: Label | str = "the label is not in the data"
    if project.label in sample.table.columns:
        target = encode_label(sample.table, project)
    categorical = [name for name in project.features.categorical if name in features]
    skills: list[Skill] = []
    if isinstance(target, Label) and (policy.single_feature is not None or policy.identifiers):
        category_names = set(categorical)
        skills = [skill_of(sample.table[name], target, categorical=name in category_names) for name in features]
    checks: list[Check] = []
    if policy.single_feature is not None:
        checks += _skill_checks(skills, target, sample=sample, limit=policy.single_feature, rule=rule)
    if policy.duplicates:
        checks += duplicate_checks(sample, project.label, features=features, rule=rule)
    if policy.identifiers:
        measure = target.measure if isinstance(target, Label) else "ROC AUC"
        checks += identifier_checks(
            sample, train, features=features, categorical=categorical, skills=skills, measure=measure, rule=rule
        )
    return checks


def _skill_checks(
    skills: Sequence[Skill], target: Label | str, *, sample: Sample, limit: float, rule: OnInconclusive
) -> list[Check]:
    if isinstance(target, str):
        return [inconclusive(_SKILLS, f"the skill of single features cannot be measured: {target}", rule=rule)]
    if not skills:
        return [inconclusive(_SKILLS, "none of the features is in the data", rule=rule)]
    passing, checks = [], []
    for skill in skills:
        verdict = Threshold(max=limit).judge(skill.interval)
        if verdict is Verdict.PASSED:
            passing.append(skill)
        else:
            checks.append(_skill_check(skill, verdict, target=target, sample=sample, limit=limit, rule=rule))
    if passing:
        best = max(passing, key=lambda skill: skill.observed)
        message = f"none of {len(passing)} features alone predicts the label too well; the best is {best.feature!r}: "
        message += f"{_skill_text(best, target, sample=sample)}; the policy allows at most {limit:g}"
        values = {"observed": round(best.observed, 6), "threshold": limit, "interval": _rounded_interval(best)}
        checks.append(Check(name=_SKILLS, verdict=Verdict.PASSED, message=message, **values))
    return checks


def _skill_check(
    skill: Skill, verdict: Verdict, *, target: Label, sample: Sample, limit: float, rule: OnInconclusive
) -> Check:
    name, observed, interval = f"leakage[{skill.feature}]", round(skill.observed, 6), _rounded_interval(skill)
    tells = "whether it is missing alone predicts the label" if skill.missing else "alone predicts the label"
    message = f"{tells}: {_skill_text(skill, target, sample=sample)}; the policy allows at most {limit:g}; "
    if verdict is Verdict.INCONCLUSIVE:
        message += "too few rows to decide: bring more, or check how the feature is made"
    else:
        message += "take it out of `features` if it is not known before the label is"
    return judged(name, verdict, message=message, rule=rule, observed=observed, threshold=limit, interval=interval)


def _skill_text(skill: Skill, target: Label, *, sample: Sample) -> str:
    low, high = skill.interval
    one_of = f", of the class that it predicts best of {target.classes}" if len(target.scored_classes) > 1 else ""
    interval = f"{CONFIDENCE:.0%} interval {low:.4f} to {high:.4f}"
    return f"{target.measure} {skill.observed:.4f} ({interval}) on {sample.rows} training rows{one_of}"


def _rounded_interval(skill: Skill) -> tuple[float, float]:
    return round(skill.interval[0], 6), round(skill.interval[1], 6)


def _serving_checks(
    features: Sequence[str], contract: Contract, *, serving_columns: Sequence[str] | None
) -> list[Check]:
    serving_names = None if serving_columns is None else set(serving_columns)
    checks = []
    for name in features:
        message = ""
        if name in contract.columns and not contract.columns[name].at_serving:
            message = "the contract says that it is not known at serving (`at_serving: false`)"
        elif serving_names is not None and name not in serving_names:
            message = "the serving data has no such column (`data.serving` in the project)"
        if message:
            message += "; take it out of `features`"
            checks.append(passed_or_failed(f"at_serving[{name}]", False, message=message))
    if checks:
        return checks
    by = "the contract" if serving_names is None else "the contract and the serving data"
    message = f"all {len(features)} features are known at serving, by {by}"
    return [passed_or_failed("at_serving[features]", True, message=message)]
