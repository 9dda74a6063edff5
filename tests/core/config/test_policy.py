from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sklearn.metrics

from modelway.components.core.checks import OnInconclusive
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.thresholds import metric_range
from modelway.components.core.errors import ModelwayError

Text = Callable[..., str]


@pytest.mark.parametrize(
    ("metric", "threshold", "says"),
    [
        ("roc_auc", {"min": 1.1}, "roc_auc is at most 1"),
        ("roc_auc", {"max": -0.1}, "roc_auc is at least 0"),
        ("f1_macro", {"min": 2}, "at most 1"),
        ("r2", {"min": 1.01}, "at most 1"),
        ("matthews_corrcoef", {"max": -1.5}, "at least -1"),
        ("log_loss", {"max": -0.1}, "at least 0"),
        ("neg_log_loss", {"min": 0.1}, "at most 0"),
        ("neg_brier_score", {"min": 0.1}, "at most 0"),
        ("mean_absolute_error", {"max": -1}, "at least 0"),
        ("roc_auc", {"min": 0.8, "max": 0.7}, "no model can pass"),
        ("roc_auc", {}, "give `min`, `max` or both"),
        ("roc_auc", {"min": float("nan")}, "finite number"),
        ("roc_auc", {"min": float("inf")}, "finite number"),
        ("roc_auc", {"least": 0.5}, "no such key"),
    ],
)
@pytest.mark.parametrize("place", ["model.metrics", "model.slices.metrics"])
def test_thresholds_that_no_model_can_pass(
    policy_text: Text, place: str, metric: str, threshold: dict[str, float], says: str
) -> None:
    changes: dict[str, Any] = {"model.slices.columns": ["age"]} if "slices" in place else {}
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text({**changes, f"{place}.{metric}": threshold}), "policy.yaml")
    assert error.value.file == "policy.yaml"
    assert says in error.value.message
    assert f"{place}.{metric}" in error.value.message


@pytest.mark.parametrize(
    ("metric", "threshold"),
    [
        ("roc_auc", {"min": 1}),
        ("roc_auc", {"min": 0.01, "max": 0.99}),
        ("r2", {"min": -5}),
        ("r2", {"max": 0.99}),
        ("log_loss", {"max": 0}),
        ("neg_log_loss", {"min": -0.5}),
        ("root_mean_squared_error", {"max": 1e9}),
        ("something_of_its_own", {"min": 12}),
    ],
)
def test_thresholds_that_a_model_can_pass(policy_text: Text, metric: str, threshold: dict[str, float]) -> None:
    policy = Policy.parse(policy_text({f"model.metrics.{metric}": threshold}))
    assert policy.model.metrics[metric].model_dump(exclude_none=True) == threshold


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"model": ...}, "model"),
        ({"registration.alias": "Champion!"}, "registration.alias"),
    ],
)
def test_broken_policies_name_the_key(policy_text: Text, changes: dict[str, Any], key: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text(changes))
    assert error.value.key == key


def test_a_key_by_its_former_name_is_still_read(policy_text: Text) -> None:
    former, current = (Policy.parse(policy_text({key: "warn"})) for key in ("on_weaker_policy", "on_policy_weakened"))
    assert former == current
    assert former.sha256() == current.sha256()


def test_what_is_not_written_has_its_default(policy_text: Text) -> None:
    policy = Policy.parse(policy_text())
    assert policy.data.on_inconclusive is OnInconclusive.WARN
    assert policy.model.on_inconclusive is OnInconclusive.BLOCK
    assert policy.data.drift.psi == 0.2
    assert policy.registration.alias == "champion"


def test_every_metric_is_named_once(policy_text: Text) -> None:
    changes = {
        "model.metrics.log_loss": {"max": 0.5},
        "model.no_regression": {"metric": "f1"},
        "model.slices": {"columns": ["age"], "metrics": {"f1": {"min": 0.1}, "recall": {"min": 0.1}}},
    }
    assert Policy.parse(policy_text(changes)).metric_names == ("roc_auc", "log_loss", "f1", "recall")


@pytest.mark.parametrize("name", sorted(sklearn.metrics.get_scorer_names()))
def test_ranges_are_mirrored_for_losses(name: str) -> None:
    low, high = metric_range(name)
    assert low < high
    if name.startswith("neg_"):
        assert metric_range(name.removeprefix("neg_")) == (-high, -low)
        assert high in {0, float("inf")}
        assert not name.endswith(("_error", "_loss", "_deviance", "_score")) or high == 0
