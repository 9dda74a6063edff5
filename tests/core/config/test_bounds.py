"""Every number of a policy: the far ends of what floats and integers can be are refused, or listed here with why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import DamagedError

# What a section needs besides the number in question.
NEEDS: dict[str, Any] = {
    "model.metrics": {"roc_auc": {"min": 0.7}},
    "model.no_regression.metric": "roc_auc",
    "model.slices.columns": ["region"],
    "model.slices.metrics": {"f1": {"min": 0.5}},
    "model.weak_segments.metrics": {"f1": {"min": 0.5}},
    "model.robustness.metric": "roc_auc",
    "model.robustness.missing_values.max_drop": 0.1,
    "model.robustness.unseen_categories.max_drop": 0.1,
    "model.robustness.noise.max_drop": 0.1,
    "model.rules.0.name": "rule",
    "model.fairness.columns": ["region"],
    "model.fairness.groups": {"recall": {"min": 0.5}},
    "deployment.steps.0.weight": 20,
}
STANDS_FOR = {
    "data.drift.columns": "income",
    "model.metrics": "roc_auc",
    "model.unseen": "roc_auc",
    "model.slices.metrics": "f1",
    "model.slices.max_gap": "f1",
    "model.weak_segments.metrics": "f1",
    "model.fairness.metrics": "demographic_parity_difference",
    "model.fairness.groups": "recall",
    "environments": "production",
    "environments.production.approvals.identities.0.claims": "environment",
}
# Predictions of a regression may be any number, in a unit that the policy does not know.
MEANINGFUL = {
    ("model.rules.0.within.min", 1e20),
    ("model.rules.0.within.max", 1e20),
    ("model.rules.0.within.min", -1),
    ("model.rules.0.within.max", -1),
    ("model.rules.0.slack", 1e20),
}


def places(schema: type[BaseModel], key: str = "") -> Iterator[str]:
    for name, field in schema.model_fields.items():
        yield from inside(field.annotation, f"{key}.{name}".removeprefix("."))


def inside(annotation: Any, key: str) -> Iterator[str]:
    """The dotted keys of the numbers in a value of some type."""
    if annotation in {int, float}:
        yield key
    elif isinstance(annotation, type) and get_origin(annotation) is None and issubclass(annotation, BaseModel):
        yield from places(annotation, key)
    elif get_origin(annotation) is dict:
        yield from inside(get_args(annotation)[1], f"{key}.{STANDS_FOR[key]}")
    elif get_origin(annotation) is tuple:
        yield from inside(get_args(annotation)[0], f"{key}.0")
    else:
        for part in get_args(annotation):
            yield from inside(part, key)


def policy_with(key: str, value: Any) -> dict[str, Any]:
    """A policy that says the least beside a number."""
    policy: dict[str, Any] = {}
    sections = {name: need for name, need in NEEDS.items() if name == "model.metrics" or in_same_section(name, key)}
    for name, content in deepcopy({**sections, key: value}).items():
        *parents, last = name.split(".")
        place = policy
        for parent in parents:
            place = place.setdefault(parent, {})
        if last in {"min", "max"}:
            place.clear()
        place[last] = content if not isinstance(content, dict) else {**content, **place.get(last, {})}
    for parent, name in (("model", "rules"), ("deployment", "steps")):
        if name in policy.get(parent, {}):
            policy[parent][name] = list(policy[parent][name].values())
    if key in {"model.rules.0.slack", "model.rules.0.tolerance"}:
        policy["model"]["rules"][0]["monotone"] = "income"
    return policy


def in_same_section(name: str, key: str) -> bool:
    section = name.rpartition(".")[0]
    return key.startswith(f"{section}.") and section != "model"


NUMBERS = sorted(set(places(Policy)))


def test_there_are_numbers() -> None:
    assert len(NUMBERS) > 80
    assert {"data.drift.psi", "environments.production.approvals.quorum"} <= set(NUMBERS)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, 10**20, 1e20, -1, True], ids=repr)
@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_that_no_gate_can_judge_by_is_refused(key: str, value: float) -> None:
    text = yaml.safe_dump(policy_with(key, value))
    if (key, value) in MEANINGFUL and not isinstance(value, bool):
        Policy.parse(text)
        return
    with pytest.raises(DamagedError) as error:
        Policy.parse(text, "policy.yaml")
    assert error.value.key == key
    assert error.value.line is not None
    assert error.value.remedy.startswith("correct it")


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"data.drift.psi": 1e9}, "data.drift.psi", "less than 18.4"),
        ({"data.drift.alpha": 1e-300}, "data.drift.alpha", "greater than or equal to 0.000001"),
        ({"data.leakage.single_feature": 1}, "data.leakage.single_feature", "less than 1"),
        ({"data.drift.minimum_rows": 10**12}, "data.drift.minimum_rows", "less than or equal to 1000000"),
        ({"model.metrics.roc_auc.min": 0}, "model.metrics.roc_auc.min", "so nothing can fail"),
        ({"model.metrics.log_loss.min": 0}, "model.metrics.log_loss.min", "so nothing can fail"),
        ({"model.metrics.neg_log_loss.max": 0}, "model.metrics.neg_log_loss.max", "so nothing can fail"),
        ({"model.metrics.brier_score.max": 1}, "model.metrics.brier_score.max", "so nothing can fail"),
        ({"model.confidence": 1}, "model.confidence", "less than or equal to 0.9999"),
        ({"model.confidence": 0}, "model.confidence", "greater than 0.5"),
        ({"model.no_regression.margin": 1}, "model.no_regression.margin", "so nothing can fail"),
        ({"model.slices.max_gap.f1": 1}, "model.slices.max_gap.f1", "so nothing can fail"),
        ({"model.robustness.noise.max_drop": 1}, "model.robustness.noise.max_drop", "so nothing can fail"),
        ({"model.robustness.noise.scale": 1e-9}, "model.robustness.noise.scale", "0.001"),
        (
            {"model.fairness.metrics.demographic_parity_difference.max": 1},
            "model.fairness.metrics.demographic_parity_difference.max",
            "so nothing can fail",
        ),
        ({"model.fairness.groups.recall.difference": 1}, "model.fairness.groups.recall.difference", "nothing can fail"),
        ({"serving.tolerance": 1}, "serving.tolerance", "less than 1"),
        ({"serving.sla.p99_ms": 1e9}, "serving.sla.p99_ms", "less than or equal to 600000"),
        ({"deployment.analysis.failure_limit": 6}, "deployment.analysis.failure_limit", "no metric can fail"),
        ({"environments.production.approvals.quorum": 21}, "environments.production.approvals.quorum", "equal to 20"),
    ],
)
def test_a_number_by_which_nothing_can_fail_or_pass_is_refused(keys: dict[str, Any], key: str, says: str) -> None:
    ((place, value),) = keys.items()
    with pytest.raises(DamagedError) as error:
        Policy.parse(yaml.safe_dump(policy_with(place, value)))
    assert error.value.key == key
    assert says in error.value.message


def test_a_quorum_of_more_than_may_approve_is_refused() -> None:
    approvals = {"quorum": 3, "approvers": ["ann@example.com", "ben@example.com"]}
    policy = policy_with("environments.production.approvals", approvals)
    with pytest.raises(DamagedError, match="3 must approve, and 2 may: no version can pass") as error:
        Policy.parse(yaml.safe_dump(policy))
    assert error.value.key == "environments.production.approvals.quorum"


@pytest.mark.parametrize("key", ["data.drift.psi", "serving.sla.p99_ms", "deployment.analysis.drift"])
def test_the_remedy_says_how_a_check_is_turned_off(key: str) -> None:
    with pytest.raises(DamagedError) as error:
        Policy.parse(yaml.safe_dump(policy_with(key, math.inf)))
    assert "write null to check nothing" in error.value.remedy
    Policy.parse(yaml.safe_dump(policy_with(key, None)))


@pytest.mark.parametrize("key", ["data.drift.alpha", "model.confidence", "serving.requests"])
def test_the_remedy_says_so_of_no_other_number(key: str) -> None:
    with pytest.raises(DamagedError) as error:
        Policy.parse(yaml.safe_dump(policy_with(key, -1)))
    assert "null" not in error.value.remedy
