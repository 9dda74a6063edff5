from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, norm

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
    error = (check.interval[1] - check.interval[0]) / 2 / norm.ppf(0.95)  # by Student's of some hundred rows
    loss = float(check.message.partition("a true loss of ")[2].split()[0])
    assert loss == pytest.approx(detectable(error, 0.95), rel=0.01)
    assert "would be detected on such a split with 80% power" in check.message


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


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [(2.0, 0.5, Verdict.INCONCLUSIVE), (0.5, 0.6, Verdict.PASSED), (0.5, 2.0, Verdict.PASSED)],
)
def test_a_champion_that_has_learned_from_some_test_rows_can_lose_and_not_win(
    ours: float, theirs: float, verdict: Verdict, rule: str, blocks: bool
) -> None:
    model_policy = policy("roc_auc", first_model="allow", rule=rule)
    candidate, rival = model(2_000, ours), model(2_000, theirs, seed=1)
    for split in ("", "by row, rule 1"):
        champion = ChampionPredictions("3", rival, split=split)
        (check,) = regression_checks(candidate, champion, slices=[], resampling=Resampling(2_000), policy=model_policy)
        expected = Verdict.FAILED if not split and verdict is Verdict.INCONCLUSIVE else verdict
        assert check.verdict is expected, check.message
    assert check.blocks is (blocks and verdict is not Verdict.PASSED)
    assert "its rows were split by row, rule 1: it has learned from some of these, which favours it" in check.message


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


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "f1", "log_loss", "average_precision", "balanced_accuracy"])
def test_four_rows_never_show_a_loss_for_certain(metric: str) -> None:
    truth = np.array([0, 0, 1, 1])
    good, bad = (
        Predictions(truth, (positive > 0.5).astype(int), np.column_stack([1 - positive, positive]), ("no", "yes"))
        for positive in (np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.1, 0.9, 0.2, 0.8]))
    )
    check = comparison(bad, good, policy(metric, 0.0))
    assert check.verdict is Verdict.INCONCLUSIVE, check.message


def test_areas_that_are_alike_by_chance_are_no_certainty() -> None:
    """Two models that order all rows rightly: equal here, and each of an area that so many rows bound."""
    truth = np.arange(200) % 2
    models = []
    for seed in range(2):
        positive = 0.4 * np.random.default_rng(seed).random(200) + 0.6 * truth
        models.append(Predictions(truth, truth, np.column_stack([1 - positive, positive]), ("no", "yes")))
    assert comparison(*models, policy(margin=0.01)).verdict is Verdict.INCONCLUSIVE
    check = comparison(*models, policy(margin=0.05))
    assert (check.verdict, check.observed) == (Verdict.PASSED, 0.0)
    assert check.interval == pytest.approx((0.05 ** (1 / 100) - 1, 1 - 0.05 ** (1 / 100)), abs=1e-6)


def test_the_same_predictions_on_four_rows_are_equal_and_said_to_be() -> None:
    few = model(400, 0.5).take(np.flatnonzero(np.arange(400) < 4))
    check = comparison(few, few, policy("accuracy", 0.0))
    assert check.verdict is Verdict.PASSED
    assert "equal, since both give the same predictions on every row" in check.message


def test_few_rows_that_differ_do_not_hide_that_models_are_alike() -> None:
    champion = model(5000, 0.5)
    predicted = champion.predicted.copy()
    wrong = np.flatnonzero(predicted == champion.truth)[:3]
    predicted[wrong] = 1 - predicted[wrong]
    candidate = Predictions(champion.truth, predicted, champion.probabilities, champion.classes)
    assert comparison(candidate, champion, policy("accuracy", 0.02)).verdict is Verdict.PASSED
    assert comparison(candidate, champion, policy("accuracy", 0.0)).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy"])
@pytest.mark.parametrize("rows", [4, 30, 100])
def test_of_two_equal_models_the_candidate_is_rarely_called_worse(metric: str, rows: int) -> None:
    failed, draws = 0, 300
    for seed in range(draws):
        dice = np.random.default_rng([seed, rows])
        truth = dice.integers(2, size=rows)
        truth[:2] = 0, 1
        signal, models = truth + dice.normal(size=rows), []
        for _ in range(2):
            positive = 1 / (1 + np.exp(0.5 - signal - dice.normal(size=rows)))
            probabilities = np.column_stack([1 - positive, positive])
            models.append(Predictions(truth, (positive > 0.5).astype(int), probabilities, ("no", "yes")))
        failed += comparison(*models, policy(metric, 0.0)).verdict is Verdict.FAILED
    assert failed <= binom.ppf(0.999, draws, 0.05)


def of_classes(names: tuple[str, ...], truth: list[str], seed: int = 0) -> Predictions:
    dice = np.random.default_rng(seed)
    untrained = tuple(sorted(set(truth) - set(names)))
    numbers = np.array([(*names, *untrained).index(name) for name in truth])
    scores = dice.normal(size=(len(truth), len(names)))
    scores[np.arange(len(truth)), np.minimum(numbers, len(names) - 1)] += 2
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return Predictions(numbers, probabilities.argmax(axis=1), probabilities, names, untrained)


def test_a_class_that_is_new_is_named_and_its_rows_are_left_out() -> None:
    truth = ["a", "b", "c"] * 200
    check = comparison(of_classes(("a", "b", "c"), truth), of_classes(("a", "b"), truth, 1), policy("accuracy", 0.3))
    assert "new is 'c', whose 200 rows are left out of the comparison" in check.message
    assert "on 400 rows" in check.message


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_class_that_is_gone_is_named_and_counts_as_wrong(metric: str) -> None:
    truth = ["a", "b", "c"] * 200
    check = comparison(of_classes(("a", "b"), truth), of_classes(("a", "b", "c"), truth, 1), policy(metric, 0.02))
    assert check.verdict is Verdict.FAILED
    assert "gone is 'c', of which there are 200 rows, all of them wrong" in check.message
