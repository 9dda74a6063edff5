from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.model_policy import Noise, Perturbation, Robustness
from modelway.components.core.config.project import Features
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.checks.robustness import disturbed, robustness_checks
from modelway.components.evaluate.predicting import Candidate
from modelway.components.evaluate.statistics.resampling import Resampling

ROWS = 2000
DICE = np.random.default_rng(0)
TABLE = pl.DataFrame(
    {
        "income": DICE.normal(50, 10, ROWS),
        "flag": DICE.random(ROWS) < 0.5,
        "code": DICE.integers(1, 5, ROWS),
        "city": DICE.choice(["Bonn", "Ulm"], ROWS),
        "since": pl.Series(DICE.integers(0, 1000, ROWS)).cast(pl.Date),
        "label": DICE.integers(0, 2, ROWS),
    }
)
FEATURES = Features(numeric=("income", "flag"), categorical=("code", "city"), datetime=("since",))


def predict(table: pl.DataFrame) -> Predictions:
    """A model of the income alone, which takes a missing one for nothing."""
    truth = TABLE["label"].to_numpy()
    signal = table["income"].fill_null(0.0).to_numpy() / 100
    positive = np.clip(np.where(truth == 1, signal, 1 - signal), 0, 1)
    if (table["city"] == "Köln").any():
        raise ModelwayError("the model failed to predict: Köln", remedy="")
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


def checks(rule: OnInconclusive = OnInconclusive.BLOCK, features: Features = FEATURES, **sections: Any) -> list[Check]:
    policy = Robustness.model_validate({"metric": "log_loss", **sections})
    candidate = Candidate(predict, TABLE, predict(TABLE), Resampling(ROWS))
    return robustness_checks(candidate, features, policy=policy, rule=rule)


@pytest.mark.parametrize("kind", ["missing_values", "unseen_categories", "noise"])
def test_a_share_of_values_is_disturbed_the_same_ones_each_time(kind: str) -> None:
    section = Noise(max_drop=1, share=0.2) if kind == "noise" else Perturbation(max_drop=1, share=0.2)
    table, again = (disturbed(kind, TABLE, features=FEATURES, section=section) for _ in range(2))
    assert table is not None
    assert again is not None
    assert table.equals(again)
    expected = {"missing_values": set(FEATURES.columns), "unseen_categories": {"code", "city"}, "noise": {"income"}}
    shares = {
        name: (table[name].cast(pl.String).fill_null("?") != TABLE[name].cast(table[name].dtype).cast(pl.String)).mean()
        for name in TABLE.columns
    }
    assert {name for name, share in shares.items() if share} == expected[kind]
    for name in expected[kind]:
        assert shares[name] == pytest.approx(0.2, abs=0.03)


def test_unseen_categories_are_unseen_and_codes_stay_numbers() -> None:
    table = disturbed("unseen_categories", TABLE, features=FEATURES, section=Perturbation(max_drop=1, share=0.5))
    assert table is not None
    assert set(table["code"].unique()) - set(TABLE["code"].unique()) == {5.0}
    assert table["code"].dtype.is_numeric()
    assert len(set(table["city"].unique()) - {"Bonn", "Ulm"}) == 1


def test_noise_is_in_standard_deviations_of_the_feature() -> None:
    table = disturbed("noise", TABLE, features=FEATURES, section=Noise(max_drop=1, scale=0.25))
    assert table is not None
    assert (table["income"] - TABLE["income"]).std() == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "features"),
    [
        ("unseen_categories", Features(numeric=("income",))),
        ("noise", Features(categorical=("city",), numeric=("flag",))),
    ],
)
def test_what_no_feature_can_be_subject_to_is_left_out(kind: str, features: Features) -> None:
    assert checks(features=features, **{kind: {"max_drop": 0.1}}) == []


@pytest.mark.parametrize(
    ("limit", "verdict"), [(0.5, Verdict.FAILED), (3.6, Verdict.PASSED), (2.9, Verdict.INCONCLUSIVE)]
)
def test_the_loss_on_disturbed_rows_is_judged_by_its_interval(limit: float, verdict: Verdict) -> None:
    (check,) = checks(missing_values={"max_drop": limit, "share": 0.08})
    assert check.name == "robustness[missing_values]"
    assert check.verdict is verdict
    assert check.interval is not None
    assert isinstance(check.observed, float)
    assert 0 < check.interval[0] < check.observed < check.interval[1]
    assert "8% of each feature's values" in check.message


@pytest.mark.parametrize(("own", "blocks"), [(None, False), ("block", True)])
def test_what_an_open_answer_does(own: str | None, blocks: bool) -> None:
    sections = {"missing_values": {"max_drop": 2.9, "share": 0.08}, "on_inconclusive": own}
    (check,) = checks(OnInconclusive.WARN, **sections)
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)


def test_what_the_model_does_not_look_at_loses_nothing() -> None:
    (check,) = checks(unseen_categories={"max_drop": 0.001})
    assert (check.verdict, check.observed, check.interval) == (Verdict.PASSED, 0.0, (0.0, 0.0))


def test_a_model_that_raises_has_failed_with_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelway.components.evaluate.checks.robustness.UNSEEN", "Köln")
    first, second = checks(unseen_categories={"max_drop": 9}, noise={"max_drop": 9})
    assert (first.verdict, first.blocks) == (Verdict.FAILED, True)
    assert "the model failed to predict: Köln" in first.message
    assert second.verdict is Verdict.PASSED


def test_a_model_that_answers_nonsense_has_failed() -> None:
    policy = Robustness.model_validate({"metric": "mean_absolute_error", "missing_values": {"max_drop": 9}})

    def number(table: pl.DataFrame) -> Predictions:
        predicted = table["income"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return Predictions(TABLE["income"].to_numpy(), predicted, None, ())

    candidate = Candidate(number, TABLE, number(TABLE), Resampling(ROWS))
    (check,) = robustness_checks(candidate, FEATURES, policy=policy, rule=OnInconclusive.BLOCK)
    assert check.verdict is Verdict.FAILED
    assert "not finite" in check.message
