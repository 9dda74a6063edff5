from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.model_policy import PredictionRule
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.rules import MOST_ROWS, rule_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.resampling import Resampling

ROWS = 1200
DICE = np.random.default_rng(0)
TABLE = pl.DataFrame(
    {
        "age": DICE.integers(18, 90, ROWS),
        "income": np.where(DICE.random(ROWS) < 0.1, np.nan, DICE.normal(size=ROWS)),
        "city": DICE.choice(["Bonn", "Köln", "Ulm"], ROWS),
        "sex": DICE.choice(["f", "m"], ROWS),
    }
)


def predict(table: pl.DataFrame) -> Predictions:
    """Rises with age up to 60 and falls after it by a little; in Ulm the sex matters."""
    age = table["age"].cast(pl.Float64).to_numpy()
    predicted = np.where(age <= 60, age, 60 - 0.2 * (age - 60)) / 100
    predicted = predicted + 0.1 * ((table["city"] == "Ulm") & (table["sex"] == "m")).to_numpy()
    return Predictions(np.zeros(len(table)), predicted, None, ())


def rule_check(rule: OnInconclusive = OnInconclusive.BLOCK, **keys: Any) -> Check:
    prediction_rule = PredictionRule.model_validate({"name": "rule", **keys})
    candidate = Candidate(predict, TABLE, predict(TABLE), Resampling(ROWS))
    (check,) = rule_checks(candidate, [prediction_rule], on_inconclusive=rule)
    assert check.name == "prediction_rule[rule]"
    return check


@pytest.mark.parametrize(
    ("keys", "share"),
    [
        ({"monotone": "age"}, 1.0),
        ({"monotone": "age", "slack": 0.07}, 0.0),
        ({"monotone": "age", "direction": "decreasing", "slack": 0.07}, 1.0),
        ({"monotone": "income"}, 0.0),  # the model does not look at it
        ({"monotone": "income", "direction": "decreasing"}, 0.0),
        ({"invariant_to": "income"}, 0.0),
        ({"invariant_to": "sex", "where": "city = 'Ulm'"}, 1.0),
        ({"invariant_to": "sex", "where": "city <> 'Ulm'"}, 0.0),
        ({"invariant_to": "sex", "where": "city = 'Ulm'", "slack": 0.11}, 0.0),
        ({"within": {"min": 0.0, "max": 1.0}}, 0.0),
        ({"within": {"min": 0.65}}, 1.0),
        ({"within": {"max": 0.4}, "where": "age > 45 AND age < 61"}, 1.0),
        ({"within": {"max": 0.4}, "where": "age < 30", "slack": 0.01}, 0.0),
    ],
)
def test_the_share_of_rows_that_break_a_rule(keys: dict[str, Any], share: float) -> None:
    if keys.get("within") == {"min": 0.65}:
        keys = {**keys, "where": "city = 'Bonn'"}
    check = rule_check(**keys)
    assert check.observed == share
    assert check.verdict is (Verdict.FAILED if share else Verdict.PASSED)


def test_bounds_are_looked_at_on_every_row_and_changes_on_some_hundred() -> None:
    assert f"{ROWS:,} test rows" in rule_check(within={"max": 1}).message
    assert f"{MOST_ROWS} test rows" in rule_check(monotone="income").message


@pytest.mark.parametrize(
    ("tolerance", "verdict"), [(0.1, Verdict.FAILED), (0.36, Verdict.INCONCLUSIVE), (0.6, Verdict.PASSED)]
)
def test_a_tolerated_share_is_judged_by_its_interval(tolerance: float, verdict: Verdict) -> None:
    check = rule_check(invariant_to="sex", tolerance=tolerance)
    assert isinstance(check.observed, float)
    assert check.observed == pytest.approx(1 / 3, abs=0.05)
    assert check.interval is not None
    assert check.verdict is verdict


def test_where_nothing_is_tolerated_no_row_may_break_it_and_none_is_enough() -> None:
    check = rule_check(within={"min": 0, "max": 1})
    assert (check.verdict, check.interval) == (Verdict.PASSED, None)


@pytest.mark.parametrize(("rule", "blocks"), [(OnInconclusive.WARN, False), (OnInconclusive.BLOCK, True)])
def test_a_condition_that_no_row_meets_is_open(rule: OnInconclusive, blocks: bool) -> None:
    check = rule_check(rule, within={"max": 1}, where="age > 900")
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)


@pytest.mark.parametrize(
    ("keys", "key", "says"),
    [
        ({"monotone": "agee"}, "monotone", "not a column"),
        ({"monotone": "city"}, "monotone", "not numeric"),
        ({"invariant_to": "nothing"}, "invariant_to", "not a column"),
        ({"within": {"max": 1}, "where": "nothing > 3"}, "where", "cannot be evaluated"),
        ({"within": {"max": 1}, "where": "age >"}, "where", "not a SQL expression"),
        ({"within": {"max": 1}, "where": "age + 1"}, "where", "must say true or false"),
    ],
)
def test_a_rule_that_cannot_be_names_its_key(keys: dict[str, Any], key: str, says: str) -> None:
    with pytest.raises(ModelwayError, match=says) as error:
        rule_check(**keys)
    assert error.value.key == f"model.rules.rule.{key}"


def test_a_condition_without_a_column_is_about_all_rows() -> None:
    assert f"{ROWS:,} test rows" in rule_check(within={"max": 1}, where="1 = 1").message


def test_several_classes_have_no_number_to_judge() -> None:
    truth = np.zeros(5, int)
    predictions = Predictions(truth, truth, np.full((5, 3), 1 / 3), ("a", "b", "c"))
    rule = PredictionRule.model_validate({"name": "rule", "within": {"max": 1}})
    candidate = Candidate(lambda _: predictions, TABLE.head(5), predictions, Resampling(5))
    (check,) = rule_checks(candidate, [rule], on_inconclusive=OnInconclusive.WARN)
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, False)
