from __future__ import annotations

import copy
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.strictness import weaker_checks
from modelway.components.core.config.thresholds import Stricter
from modelway.components.core.config.waivers import judged_gate

BAND = {"min": 0.5, "max": 0.9}
DISTANCES = {"psi": 0.3, "jensen_shannon": 0.3, "kolmogorov_smirnov": 0.3, "cramers_v": 0.3}
JOB = {"issuer": "https://ci.example.org", "subject": "job"}
# Everything that a policy may ask, so that each of it can be asked less of.
FULL: dict[str, Any] = {
    "data": {
        "drift": {
            **DISTANCES,
            "minimum_rows": 600,
            "columns": {"income": dict(DISTANCES), "age": {"psi": 0.1}},
            "label": dict(DISTANCES),
            "multivariate": {"roc_auc": 0.7, "sample_rows": 1000},
        },
        "skew": {**DISTANCES, "minimum_rows": 600},
        "leakage": {"single_feature": 0.9, "shared_rows": 0.1, "groups": ["person", "family"]},
        "on_inconclusive": "block",
    },
    "model": {
        "metrics": {"roc_auc": dict(BAND), "accuracy": {"min": 0.7}},
        "confidence": 0.9,
        "unseen": {"roc_auc": dict(BAND)},
        "no_regression": {"metric": "roc_auc", "margin": 0.01, "slices": True, "first_model": "block"},
        "slices": {
            "columns": ["region", "age"],
            "metrics": {"roc_auc": dict(BAND)},
            "max_gap": {"roc_auc": 0.1},
            "minimum_rows": 100,
            "on_inconclusive": "block",
        },
        "weak_segments": {"metrics": {"roc_auc": dict(BAND)}, "minimum_rows": 100, "on_inconclusive": "block"},
        "calibration": {"expected_calibration_error": 0.1},
        "robustness": {
            "metric": "roc_auc",
            "missing_values": {"max_drop": 0.1},
            "unseen_categories": {"max_drop": 0.1},
            "noise": {"max_drop": 0.1},
        },
        "rules": [
            {"name": "age_rises", "monotone": "age", "tolerance": 0.1, "slack": 0.1, "where": "income > 0"},
            {"name": "bounded", "within": {"min": 0.1, "max": 0.9}, "tolerance": 0.1, "slack": 0.1},
        ],
        "fairness": {
            "columns": ["sex", "region"],
            "intersections": True,
            "metrics": {"demographic_parity_difference": dict(BAND)},
            "groups": {"recall": {**BAND, "difference": 0.1, "ratio": 0.8}},
            "minimum_rows": 100,
            "on_inconclusive": "block",
        },
        "minimum_rows": 300,
    },
    "serving": {
        "sla": {
            "p50_ms": 10.0,
            "p95_ms": 20.0,
            "p99_ms": 30.0,
            "requests_per_second": 50.0,
            "cold_start_seconds": 10.0,
        },
        "tolerance": 0.001,
        "on_inconclusive": "block",
    },
    "deployment": {
        "analysis": {
            "failure_limit": 2,
            "compare_with_stable": {"error_rate": 0.1, "latency_ratio": 2.0},
        },
    },
    "environments": {
        "staging": {"approvals": {"quorum": 2}},
        "production": {"after": "staging", "approvals": {"quorum": 2, "verified": True, "identities": [JOB]}},
    },
    "waivers": [{"gate": "model", "check": "x", "reason": "r", "by": "b", "until": "2030-01-01"}],
}
# Numbers that say how something is measured. Every other number of the policy must say which direction is stricter.
SETTINGS = {
    "alpha", "bins", "connections", "count", "depth", "initial_delay_seconds", "interval_seconds", "most",
    "pause_seconds", "progress_deadline_seconds", "requests", "rows", "sample_rows", "scale", "share",
    "timeout_seconds", "warm_up", "weight",
}  # fmt: skip
# What cannot be ordered, so that going back is a change too.
UNORDERED = {
    "model.no_regression.metric",
    "model.rules.age_rises.where",
    "model.rules.age_rises.direction",
    "model.fairness.columns.sex",
}
BY_NAME = {"minimum_rows", "confidence"}


def changed_document(path: str, value: Any, document: dict[str, Any] = FULL) -> dict[str, Any]:
    """The document with one dotted key set, or removed where the value is Ellipsis."""
    result = copy.deepcopy(document)
    *parents, last = path.split(".")
    place: Any = result
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    key = int(last) if isinstance(place, list) else last
    if value is ...:
        del place[key]
    else:
        place[key] = value
    return result


def weaker(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Check]:
    """The checks by the key that they are about."""
    checks = weaker_checks(Policy.model_validate(before), Policy.model_validate(now))
    assert len({check.name for check in checks}) == len(checks)
    return {check.name.removeprefix("policy[").removesuffix("]"): check for check in checks}


def numbers(kind: type[BaseModel], place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str | None]]:
    """Every number that may stand in a section, with the direction that asks more; `*` stands for any key."""
    for name, field in kind.model_fields.items():
        marks = [mark.when for mark in field.metadata if isinstance(mark, Stricter)]
        yield from inside(field.annotation, (*place, name), marks[0] if marks else None)


def inside(annotation: Any, place: tuple[str, ...], when: str | None) -> Iterator[tuple[tuple[str, ...], str | None]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from numbers(annotation, place)
    elif annotation in {int, float}:
        yield place, when
    elif get_origin(annotation) is dict:
        yield from inside(get_args(annotation)[1], (*place, "*"), when)
    elif get_origin(annotation) is tuple:
        yield from inside(get_args(annotation)[0], (*place, "*"), when)
    elif get_origin(annotation) in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from inside(part, place, when)
    elif hasattr(annotation, "__metadata__"):
        marks = [mark.when for mark in annotation.__metadata__ if isinstance(mark, Stricter)]
        yield from inside(get_args(annotation)[0], place, marks[0] if marks else when)


ORDERED = {place: "higher" if place[-1] in BY_NAME else when for place, when in numbers(Policy)}
ORDERED = {place: when for place, when in ORDERED.items() if when is not None}


def found_in(document: Any, place: tuple[str, ...]) -> Iterator[tuple[str, str, Any]]:
    """Where a number stands in a document, how a check names that place, and the number."""
    if not place:
        yield "", "", document
        return
    first, *rest = place
    if first == "*" and isinstance(document, list):
        parts = [(str(number), part["name"], part) for number, part in enumerate(document)]
    elif first == "*":
        parts = [(key, key, part) for key, part in document.items()]
    else:
        parts = [(first, first, document[first])] if first in document else []
    for key, name, part in parts:
        for path, key_text, value in found_in(part, tuple(rest)):
            yield f"{key}.{path}".rstrip("."), f"{name}.{key_text}".rstrip("."), value


def test_every_number_of_the_policy_is_ordered_or_a_setting() -> None:
    forgotten = {".".join(place) for place, when in numbers(Policy) if when is None} - {
        ".".join(place) for place in ORDERED
    }
    assert {place for place in forgotten if place.rpartition(".")[2] not in SETTINGS} == set()


@pytest.mark.parametrize("place", ORDERED, ids=".".join)
def test_a_number_that_asks_less_is_weaker_and_one_that_asks_more_is_not(place: tuple[str, ...]) -> None:
    document = Policy.model_validate(FULL).model_dump(mode="json", exclude_none=True)
    result = list(found_in(document, place))
    assert result, f"{'.'.join(place)} is missing from the example that this test changes"
    for path, name, value in result:
        step = max(1, value // 20) if isinstance(value, int) else value / 20
        higher, lower = changed_document(path, value + step, document), changed_document(path, value - step, document)
        stricter, less = (higher, lower) if ORDERED[place] == "higher" else (lower, higher)
        assert list(weaker(document, stricter)) == ["policy"]
        checks = weaker(document, less)
        assert list(checks) == [name]
        assert checks[name].verdict is Verdict.FAILED
        assert checks[name].threshold == value
        assert checks[name].observed == pytest.approx(value - step if stricter is higher else value + step)


@pytest.mark.parametrize(
    ("path", "value", "name"),
    [
        ("model.metrics.accuracy", ..., "model.metrics.accuracy"),
        ("model.metrics.roc_auc.min", ..., "model.metrics.roc_auc.min"),
        ("model.confidence", None, "model.confidence"),
        ("model.no_regression", ..., "model.no_regression"),
        ("model.no_regression.slices", False, "model.no_regression.slices"),
        ("model.no_regression.first_model", "allow", "model.no_regression.first_model"),
        ("model.no_regression.metric", "accuracy", "model.no_regression.metric"),
        ("model.no_regression.on_inconclusive", "warn", "model.no_regression.on_inconclusive"),
        ("model.unseen", ..., "model.unseen.roc_auc"),
        ("model.slices.columns", ["age"], "model.slices.columns.region"),
        ("model.slices.max_gap", ..., "model.slices.max_gap.roc_auc"),
        ("model.slices.on_inconclusive", "warn", "model.slices.on_inconclusive"),
        ("model.weak_segments", ..., "model.weak_segments"),
        ("model.calibration", ..., "model.calibration"),
        ("model.robustness.noise", ..., "model.robustness.noise"),
        ("model.rules", FULL["model"]["rules"][:1], "model.rules.bounded"),
        ("model.rules.1.within.max", ..., "model.rules.bounded.within.max"),
        ("model.rules.0.where", "income > 1000", "model.rules.age_rises.where"),
        ("model.rules.1.where", "income > 1000", "model.rules.bounded.where"),
        ("model.rules.0.direction", "decreasing", "model.rules.age_rises.direction"),
        ("model.fairness", ..., "model.fairness"),
        ("model.fairness.columns", ["region", "sex_at_birth"], "model.fairness.columns.sex"),
        ("model.fairness.intersections", False, "model.fairness.intersections"),
        ("model.fairness.metrics", ..., "model.fairness.metrics.demographic_parity_difference"),
        ("model.fairness.groups.recall.difference", ..., "model.fairness.groups.recall.difference"),
        ("model.mode", "dry_run", "model.mode"),
        ("model.mode", "disabled", "model.mode"),
        ("model.on_inconclusive", "warn", "model.on_inconclusive"),
        ("data.mode", "disabled", "data.mode"),
        ("serving.mode", "dry_run", "serving.mode"),
        ("data.on_inconclusive", "warn", "data.on_inconclusive"),
        ("serving.on_inconclusive", "warn", "serving.on_inconclusive"),
        ("data.drift.psi", None, "data.drift.psi"),
        ("data.drift.multivariate", None, "data.drift.multivariate"),
        ("data.leakage.single_feature", None, "data.leakage.single_feature"),
        ("data.leakage.duplicates", False, "data.leakage.duplicates"),
        ("data.leakage.copies", False, "data.leakage.copies"),
        ("data.leakage.groups", ["person"], "data.leakage.groups.family"),
        ("serving.sla.p99_ms", ..., "serving.sla.p99_ms"),
        ("serving.sla.cold_start_seconds", None, "serving.sla.cold_start_seconds"),
        ("environments.production.approvals.self_approval", True, "environments.production.approvals.self_approval"),
        ("environments.production.approvals.verified", False, "environments.production.approvals.verified"),
        ("environments.production.after", ..., "environments.production.after"),
        ("environments.staging", ..., "environments.staging"),
        ("environments.production.traffic", "smoke", "environments.production.traffic"),
        ("deployment.analysis.drift", None, "deployment.analysis.drift"),
        ("deployment.analysis.compare_with_stable", ..., "deployment.analysis.compare_with_stable"),
        ("on_policy_weakened", "warn", "on_policy_weakened"),
    ],
)
def test_what_is_gone_or_blocks_less_is_weaker_and_its_return_is_not(path: str, value: Any, name: str) -> None:
    now = changed_document(path, value)
    checks = weaker(FULL, now)
    assert list(checks) == [name]
    check = checks[name]
    assert check.blocks
    assert check.observed != check.threshold
    assert f"`policy[{name}]`" in check.message
    assert check.threshold == "given" or str(check.threshold) in check.message
    if name not in UNORDERED:
        assert list(weaker(now, FULL)) == ["policy"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("registration", {"alias": "best"}),
        ("waivers", []),
        ("waivers", [*FULL["waivers"], {**FULL["waivers"][0], "check": "metric[*]"}]),
        ("data.register_new_baseline", False),
        ("data.leakage.sample_rows", 2000),
        ("model.slices.bins", 5),
        ("model.metrics.f1", {"min": 0.1}),
        ("model.slices.columns", ["age", "region", "sex"]),
        ("model.rules", FULL["model"]["rules"][::-1]),
        ("model.rules.0.where", ...),
        ("data.drift.columns.sex", {**DISTANCES, "psi": 0.1}),
        ("deployment.strategy", "blue-green"),
        ("deployment.steps", [{"weight": 10}]),
        ("environments.production.namespace", "models"),
        ("environments.production.traffic", "live"),
        ("environments.staging.traffic", "live"),
        ("model.calibration.on_inconclusive", "block"),
        ("serving.requests", 500),
    ],
)
def test_what_asks_no_less_is_no_finding(path: str, value: Any) -> None:
    checks = weaker(FULL, changed_document(path, value))
    assert [check.verdict for check in checks.values()] == [Verdict.PASSED]


@pytest.mark.parametrize(
    ("before", "now", "names"),
    [
        ({"psi": 0.2}, {"psi": 0.2, "columns": {"age": {"psi": 0.9}}}, ["columns.age.psi"]),
        ({"psi": 0.2, "columns": {"age": {"psi": 0.1}}}, {"psi": 0.2}, ["columns.age.psi"]),
        ({"psi": 0.2, "columns": {"age": {"psi": 0.9}}}, {"psi": 0.2}, []),
        ({"psi": 0.2, "label": {"psi": 0.1}}, {"psi": 0.2}, ["label.psi"]),
        ({"psi": 0.2}, {"psi": 0.2, "label": {"psi": 0.3}}, ["label.psi"]),
        ({"psi": 0.2}, {"psi": 0.3, "label": {"psi": 0.2}}, ["psi"]),
        ({"cramers_v": 0.1}, {"cramers_v": 0.1, "columns": {"age": {}}}, ["columns.age.cramers_v"]),
    ],
)
def test_own_thresholds_are_compared_with_the_general_ones_they_replace(
    before: dict[str, Any], now: dict[str, Any], names: list[str]
) -> None:
    policies = [{"data": {"drift": drift}, "model": {"metrics": {"roc_auc": {"min": 0.7}}}} for drift in (before, now)]
    assert list(weaker(*policies)) == ([f"data.drift.{name}" for name in names] or ["policy"])


@pytest.mark.parametrize(
    ("gate", "before", "now", "name"),
    [
        ("warn", "block", ..., "model.calibration.on_inconclusive"),
        ("block", ..., "warn", "model.calibration.on_inconclusive"),
        ("block", "block", ..., "policy"),
        ("warn", "warn", ..., "policy"),
        ("block", "warn", ..., "policy"),
    ],
)
def test_a_section_without_a_rule_has_its_gates(gate: str, before: Any, now: Any, name: str) -> None:
    document = changed_document("model.on_inconclusive", gate)
    policy = changed_document("model.calibration.on_inconclusive", "block", document)
    place = "model.calibration.on_inconclusive"
    assert list(weaker(changed_document(place, before, policy), changed_document(place, now, policy))) == [name]


def test_a_rule_that_asks_another_thing_under_the_same_name_is_weaker() -> None:
    now = changed_document(
        "model.rules.0",
        {"name": "age_rises", "invariant_to": "age", "tolerance": 0.1, "slack": 0.1, "where": "income > 0"},
    )
    assert list(weaker(FULL, now)) == ["model.rules.age_rises.monotone"]


def test_the_second_of_two_rules_of_one_name_is_not_lost() -> None:
    twice = changed_document("model.rules", [FULL["model"]["rules"][1]] * 2)
    assert list(weaker(twice, changed_document("model.rules", [FULL["model"]["rules"][1]]))) == [
        "model.rules.bounded#2"
    ]


def test_a_disabled_gate_asked_nothing() -> None:
    before = changed_document("serving.mode", "disabled")
    assert list(weaker(before, changed_document("serving.sla.p99_ms", 900.0))) == ["policy"]


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [
        ("block", "block", Verdict.FAILED),
        ("warn", "block", Verdict.FAILED),
        ("block", "warn", Verdict.FAILED),
        ("warn", "warn", Verdict.INCONCLUSIVE),
    ],
)
def test_either_policy_makes_a_weakening_block(before: str, now: str, verdict: Verdict) -> None:
    loose = changed_document("on_policy_weakened", now, changed_document("model.metrics.accuracy.min", 0.5))
    check = weaker(changed_document("on_policy_weakened", before), loose)["model.metrics.accuracy.min"]
    assert check.verdict is verdict
    assert check.blocks is (verdict is Verdict.FAILED)
    assert check.observed == 0.5
    assert check.threshold == 0.7
    assert "0.5" in check.message
    assert "0.7" in check.message


def test_a_weakening_is_waived_by_its_name() -> None:
    before, now = (
        Policy.model_validate(FULL),
        Policy.model_validate(
            changed_document(
                "waivers",
                [{**FULL["waivers"][0], "check": "policy[model.metrics.accuracy.min]"}],
                changed_document("model.metrics.accuracy.min", 0.5),
            )
        ),
    )
    checks = weaker_checks(before, now)
    assert not judged_gate(
        "model", checks, facts={}, mode=now.model.mode, waivers=before.waivers, as_of="2029-01-01"
    ).proceed
    assert judged_gate("model", checks, facts={}, mode=now.model.mode, waivers=now.waivers, as_of="2029-01-01").proceed


def test_without_a_champion_nothing_is_compared() -> None:
    assert weaker_checks(None, Policy.model_validate(FULL)) == []


def test_an_equal_policy_passes_by_one_check() -> None:
    policy = Policy.model_validate(FULL)
    checks = weaker_checks(policy, policy)
    assert [(check.name, check.verdict, check.blocks) for check in checks] == [("policy", Verdict.PASSED, False)]


def test_a_further_trusted_type_is_weaker_and_one_less_is_not() -> None:
    more = changed_document("model.trusted_types", ["own.module.Model"])
    (check,) = weaker(FULL, more).values()
    assert check.blocks
    assert check.message == (
        "model.trusted_types.own.module.Model is allowed now, which the champion's policy did not allow, so this one "
        "asks less; take it out, or waive `policy[model.trusted_types.own.module.Model]` with a name and a reason"
    )
    assert list(weaker(more, FULL)) == ["policy"]


def test_trusting_more_identities_or_less_of_their_claims_is_weaker() -> None:
    key = "environments.production.approvals.identities"
    protected = JOB | {"claims": {"environment": "production"}}
    before = changed_document(key, [JOB | {"subject": "other"}, protected])
    assert weaker(before, changed_document(key, [protected])).keys() == {"policy"}
    assert weaker(before, changed_document(key, [protected, JOB])).keys() == {f"{key}.https://ci.example.org job"}
    nobody = changed_document("environments.production.approvals", {"quorum": 2})
    assert weaker(before, nobody).keys() == {key, "environments.production.approvals.verified"}
