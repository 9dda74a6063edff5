from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from modelway.components.core.checks import Check, OnInconclusive, Verdict
from modelway.components.core.config.model_policy import ModelPolicy
from modelway.components.core.measures.metrics import Predictions, score
from modelway.components.evaluate.checks.no_regression import ChampionPredictions, detectable, regression_checks
from modelway.components.evaluate.slices import Slice
from modelway.components.evaluate.statistics.resampling import Resampling


def policy(metric: str = "roc_auc", margin: float = 0.01, **more: Any) -> ModelPolicy:
    rule = more.pop("rule", "block")
    section = {"metric": metric, "margin": margin, **more}
    slices = {"columns": ["x"], "metrics": {metric: {"min": -9}}, "minimum_rows": 100}
    return ModelPolicy.model_validate(
        {"metrics": {metric: {"min": -9}}, "no_regression": section, "on_inconclusive": rule, "slices": slices}
    )


def model(rows: int, noise: float, seed: int = 0) -> Predictions:
    """A model of a signal that all of these share, with noise of its own."""
    dice = np.random.default_rng(5)
    signal = dice.normal(size=rows)
    truth = (dice.random(rows) < 1 / (1 + np.exp(-1.5 * signal))).astype(int)
    score_input = (signal + noise * np.random.default_rng(seed).normal(size=rows)) / (1 + noise**2)
    positive = 1 / (1 + np.exp(-1.5 * score_input))
    return Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))


def comparison(candidate: Predictions, champion: Predictions, model_policy: ModelPolicy, **how: Any) -> Check:
    (check,) = regression_checks(
        candidate,
        ChampionPredictions("3", champion),
        slices=[],
        resampling=Resampling(len(candidate.truth), **how),
        policy=model_policy,
    )
    return check


@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy", "f1", "average_precision", "roc_auc_ovo"])
def test_an_identical_model_passes_even_without_a_margin(metric: str) -> None:
    candidate = model(300, 0.5)
    check = comparison(candidate, candidate, policy(metric, 0.0))
    assert (check.name, check.verdict, check.blocks) == (f"no_regression[{metric}]", Verdict.PASSED, False)
    assert (check.observed, check.interval) == (0.0, (0.0, 0.0))
    assert "equal" in check.message
    assert "champion version 3" in check.message


@pytest.mark.parametrize(
    ("rows", "noise", "margin", "verdict"),
    [
        (6000, 0.5, 0.02, Verdict.PASSED),  # as good, and rows enough to tell
        (6000, 1.5, 0.02, Verdict.FAILED),
        (300, 0.55, 0.005, Verdict.INCONCLUSIVE),
        (6000, 0.1, 0.0, Verdict.PASSED),  # better
    ],
)
@pytest.mark.parametrize("metric", ["roc_auc", "log_loss", "accuracy"])
def test_no_regression(rows: int, noise: float, margin: float, verdict: Verdict, metric: str) -> None:
    candidate, champion = model(rows, noise, 1), model(rows, 0.5, 2)
    check = comparison(candidate, champion, policy(metric, margin))
    assert check.verdict is verdict
    assert check.blocks is (verdict is not Verdict.PASSED)
    sign = -1 if metric == "log_loss" else 1
    assert check.observed == pytest.approx(sign * (score(metric, candidate) - score(metric, champion)), abs=1e-6)
    assert check.threshold == -margin
    assert check.interval is not None
    low, high = check.interval
    assert (low >= -margin, high < -margin) == (verdict is Verdict.PASSED, verdict is Verdict.FAILED)


@pytest.mark.parametrize(
    ("own", "whole", "blocks"),
    [(None, "block", True), (None, "warn", False), ("warn", "block", False), ("block", "warn", True)],
)
def test_what_an_open_answer_does_is_the_sections_rule_or_else_the_gates(own: Any, whole: str, blocks: bool) -> None:
    model_policy = policy(margin=0.001, rule=whole, on_inconclusive=own)
    check = comparison(model(200, 0.5, 1), model(200, 0.5, 2), model_policy)
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert "too few rows to decide" in check.message


def test_the_loss_that_would_be_seen_is_in_the_message() -> None:
    check = comparison(model(1000, 0.5, 1), model(1000, 0.5, 2), policy())
    assert check.interval is not None
    error = (check.interval[1] - check.interval[0]) / 2 / norm.ppf(0.95)
    assert (
        f"a true loss of {detectable(error, 0.95):.4f} would be detected on such a split with 80% power"
        in check.message
    )


def test_the_detectable_loss_is_found_in_four_of_five_tests() -> None:
    loss = detectable(0.01, 0.9)
    is_detected = np.random.default_rng(0).normal(-loss, 0.01, 100_000) + norm.ppf(0.9) * 0.01 < 0
    assert is_detected.mean() == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(("margin", "verdict"), [(0.0, Verdict.FAILED), (0.5, Verdict.PASSED)])
def test_without_a_level_the_point_decides(margin: float, verdict: Verdict) -> None:
    check = comparison(model(200, 1.5, 1), model(200, 0.2, 2), policy(margin=margin), confidence=None)
    assert (check.verdict, check.interval) == (verdict, None)


def test_rows_of_a_group_count_together() -> None:
    candidate, champion = model(400, 0.5, 1), model(400, 0.6, 2)
    rows = np.repeat(np.arange(400), 8)
    once = comparison(candidate, champion, policy())
    by_group = comparison(candidate.take(rows), champion.take(rows), policy(), groups=rows)
    assert once.interval is not None
    assert by_group.interval == pytest.approx(once.interval, abs=0.002)


def test_each_slice_is_compared_where_asked_for() -> None:
    champion, candidate = model(4000, 0.5, 1), model(4000, 0.5, 1)
    assert candidate.probabilities is not None
    candidate.probabilities[:800] = candidate.probabilities[:800, ::-1]
    slices = [
        Slice("x=a", np.arange(800)),
        Slice("x=b", np.arange(800, 4000)),
        Slice("x=c", np.arange(50)),
        Slice("x=d", np.flatnonzero(champion.truth == 1)[:200]),
    ]
    compare = partial(
        regression_checks, candidate, ChampionPredictions("3", champion), slices=slices, resampling=Resampling(4000)
    )
    checks = {check.name: check for check in compare(policy=policy(slices=True))}
    names = ("[roc_auc]", "[x=a].roc_auc", "[x=b].roc_auc", "[x=c].roc_auc", "[x=d].roc_auc")
    assert list(checks) == [f"no_regression{name}" for name in names]
    verdicts = [check.verdict for check in checks.values()]
    assert verdicts[:3] == [Verdict.FAILED, Verdict.FAILED, Verdict.PASSED]
    assert verdicts[3:] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]
    assert not checks["no_regression[x=c].roc_auc"].blocks  # the slices' rule is to warn
    assert "on 800 rows" in checks["no_regression[x=a].roc_auc"].message
    assert len(compare(policy=policy())) == 1


@pytest.mark.parametrize("rule", ["block", "warn"])
@pytest.mark.parametrize(("first", "blocks"), [("allow", False), ("block", True)])
def test_the_first_model_has_nothing_to_be_compared_with(rule: str, first: str, blocks: bool) -> None:
    candidate = model(100, 0.5)
    (check,) = regression_checks(
        candidate,
        ChampionPredictions(),
        slices=[],
        resampling=Resampling(100),
        policy=policy("f1", first_model=first, rule=rule),
    )
    assert (check.verdict, check.blocks, check.observed) == (Verdict.INCONCLUSIVE, blocks, score("f1", candidate))
    assert "the first model" in check.message
    assert ("first_model: allow" in check.message) is blocks


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
@pytest.mark.parametrize("first", ["allow", "block"])
def test_a_champion_that_cannot_judge_leaves_the_answer_open(rule: str, blocks: bool, first: str) -> None:
    model_policy = policy("f1", first_model=first, rule=rule)
    rival = ChampionPredictions("3", error="it needs the column 'age'")
    (check,) = regression_checks(model(100, 0.5), rival, slices=[], resampling=Resampling(100), policy=model_policy)
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, blocks)
    assert "champion version 3 cannot predict these rows: it needs the column 'age'" in check.message


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
def test_scores_that_are_not_defined_cannot_be_compared() -> None:
    candidate = model(200, 0.5)
    one_class = candidate.take(np.flatnonzero(candidate.truth == 1))
    check = comparison(one_class, one_class, policy(on_inconclusive=OnInconclusive.WARN))
    assert (check.verdict, check.blocks) == (Verdict.INCONCLUSIVE, False)


def test_nothing_is_compared_unless_asked_for() -> None:
    model_policy = ModelPolicy.model_validate({"metrics": {"f1": {"min": 0}}})
    assert (
        regression_checks(
            model(50, 0.5),
            ChampionPredictions("3", model(50, 0.5)),
            slices=[],
            resampling=Resampling(50),
            policy=model_policy,
        )
        == []
    )
