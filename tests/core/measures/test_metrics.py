from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as reference
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC
from user_files import minimal_project

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.metrics import (
    Predictions,
    check_metric,
    higher_is_better,
    joined,
    predict,
    score,
)

DICE = np.random.default_rng(0)
FEATURES = pd.DataFrame({"a": DICE.normal(size=150), "b": DICE.normal(size=150)})
SIGNAL = FEATURES["a"] + 0.8 * DICE.normal(size=150)
LATER = pd.DataFrame({"a": DICE.normal(size=90), "b": DICE.normal(size=90)})
LATER_SIGNAL = (LATER["a"] + 0.8 * DICE.normal(size=90)).to_numpy()
HALVES = (slice(0, 45), slice(45, 90))


def project(task: str, positive: object = None) -> Project:
    return minimal_project(task=task, positive=positive, features={"numeric": ["a", "b"]})


# Two classes, as the data may name them: the label, and which class is positive.
BINARY: dict[str, tuple[Any, object, object]] = {
    "0 and 1": (np.array([0, 1]), None, 1),
    "0 is positive": (np.array([0, 1]), 0, 0),
    "no and yes": (np.array(["no", "yes"], dtype=object), None, "yes"),
    "no is positive": (np.array(["no", "yes"], dtype=object), "no", "no"),
    "named as text": (np.array([0, 1]), "0", 0),
}


@pytest.fixture(params=BINARY)
def binary(request: pytest.FixtureRequest) -> dict[str, Any]:
    names, label_positive, positive = BINARY[request.param]
    label, truth = names[(SIGNAL > 0).astype(int)], names[(LATER_SIGNAL > 0.4).astype(int)]
    model = LogisticRegression().fit(FEATURES, label)
    column = list(model.classes_).index(positive)
    return {
        "found": predict(model, LATER, truth=truth, project=project("binary", label_positive)),
        "truth": (truth == positive).astype(int),
        "predicted": (model.predict(LATER) == positive).astype(int),
        "probability": model.predict_proba(LATER)[:, column],
        "positive": positive,
    }


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("accuracy", lambda y, p, _: reference.accuracy_score(y, p)),
        ("balanced_accuracy", lambda y, p, _: reference.balanced_accuracy_score(y, p)),
        ("precision", lambda y, p, _: reference.precision_score(y, p)),
        ("recall", lambda y, p, _: reference.recall_score(y, p)),
        ("f1", lambda y, p, _: reference.f1_score(y, p)),
        ("f1_macro", lambda y, p, _: reference.f1_score(y, p, average="macro")),
        ("jaccard", lambda y, p, _: reference.jaccard_score(y, p)),
        ("matthews_corrcoef", lambda y, p, _: reference.matthews_corrcoef(y, p)),
        ("roc_auc", lambda y, _, s: reference.roc_auc_score(y, s)),
        ("average_precision", lambda y, _, s: reference.average_precision_score(y, s)),
        ("log_loss", lambda y, _, s: reference.log_loss(y, s)),
        ("neg_log_loss", lambda y, _, s: -reference.log_loss(y, s)),
        ("brier_score", lambda y, _, s: reference.brier_score_loss(y, s)),
    ],
)
def test_binary_scores_are_scikit_learns(binary: dict[str, Any], name: str, by_hand: Any) -> None:
    expected = by_hand(binary["truth"], binary["predicted"], binary["probability"])
    assert score(name, binary["found"]) == pytest.approx(expected, abs=1e-12)


def test_the_positive_class_is_the_second(binary: dict[str, Any]) -> None:
    predictions = binary["found"]
    assert predictions.classes[1] == str(binary["positive"])
    np.testing.assert_array_equal(predictions.truth, binary["truth"])
    np.testing.assert_array_equal(predictions.predicted, binary["predicted"])
    np.testing.assert_array_equal(predictions.probabilities[:, 1], binary["probability"])


@pytest.mark.parametrize("names", [np.array(["b", "a", "c"], dtype=object), np.array([3, 1, 2])])
@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("accuracy", lambda y, p, _, __: reference.accuracy_score(y, p)),
        ("balanced_accuracy", lambda y, p, _, __: reference.balanced_accuracy_score(y, p)),
        ("f1_macro", lambda y, p, _, __: reference.f1_score(y, p, average="macro")),
        ("f1_weighted", lambda y, p, _, __: reference.f1_score(y, p, average="weighted")),
        ("precision_micro", lambda y, p, _, __: reference.precision_score(y, p, average="micro")),
        ("roc_auc_ovr", lambda y, _, s, c: reference.roc_auc_score(y, s, multi_class="ovr", labels=c)),
        ("roc_auc_ovo_weighted", lambda y, _, s, c: reference.roc_auc_score(
            y, s, multi_class="ovo", average="weighted", labels=c)),
        ("log_loss", lambda y, _, s, c: reference.log_loss(y, s, labels=c)),
    ],
)  # fmt: skip
def test_scores_of_several_classes_are_scikit_learns(names: Any, name: str, by_hand: Any) -> None:
    label = names[np.digitize(SIGNAL, [-0.5, 0.5])]
    truth = names[np.digitize(LATER_SIGNAL, [-0.5, 0.5])]
    model = RandomForestClassifier(n_estimators=9, random_state=0).fit(FEATURES, label)
    predictions = predict(model, LATER, truth=truth, project=project("multiclass"))
    assert predictions.classes == tuple(str(value) for value in model.classes_)
    expected = by_hand(truth, model.predict(LATER), model.predict_proba(LATER), model.classes_)
    assert score(name, predictions) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("r2", reference.r2_score),
        ("explained_variance", reference.explained_variance_score),
        ("mean_absolute_error", reference.mean_absolute_error),
        ("mean_squared_error", reference.mean_squared_error),
        ("root_mean_squared_error", reference.root_mean_squared_error),
        ("neg_root_mean_squared_error", lambda y, p: -reference.root_mean_squared_error(y, p)),
        ("median_absolute_error", reference.median_absolute_error),
        ("max_error", reference.max_error),
        ("d2_absolute_error_score", reference.d2_absolute_error_score),
    ],
)
def test_scores_of_numbers_are_scikit_learns(name: str, by_hand: Any) -> None:
    model = LinearRegression().fit(FEATURES, SIGNAL)
    predictions = predict(model, LATER, truth=LATER_SIGNAL, project=project("regression"))
    assert predictions.classes == ()
    assert score(name, predictions) == pytest.approx(by_hand(LATER_SIGNAL, model.predict(LATER)), abs=1e-12)


@pytest.mark.parametrize(
    ("name", "higher"),
    [("roc_auc", True), ("r2", True), ("log_loss", False), ("neg_log_loss", True), ("mean_absolute_error", False)],
)
def test_which_way_is_better(name: str, higher: bool) -> None:
    assert higher_is_better(name) is higher


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("rocauc", "roc_auc"),
        ("acuracy", "accuracy"),
        ("logloss", "log_loss"),
        ("rmse", "choose one of"),
        ("", "choose"),
    ],
)
def test_a_metric_that_there_is_not_is_answered_with_the_nearest(name: str, remedy: str) -> None:
    with pytest.raises(ModelwayError, match="scikit-learn has no metric") as error:
        check_metric(name, f"model.metrics.{name}", file="policy.yaml")
    assert (error.value.file, error.value.key, error.value.value) == ("policy.yaml", f"model.metrics.{name}", name)
    assert remedy in error.value.remedy


@pytest.mark.parametrize("name", sorted(reference.get_scorer_names()))
def test_every_scorer_is_a_metric_and_every_loss_one_without_its_sign(name: str) -> None:
    check_metric(name, "key", file="policy.yaml")
    assert higher_is_better(name)
    if name.startswith("neg_"):
        assert not higher_is_better(name.removeprefix("neg_"))


def test_a_model_without_probabilities_has_the_other_metrics() -> None:
    label = (SIGNAL > 0).astype(int)
    predictions = predict(
        LinearSVC().fit(FEATURES, label), LATER, truth=(LATER_SIGNAL > 0).astype(int), project=project("binary")
    )
    assert predictions.probabilities is None
    assert 0.5 < score("accuracy", predictions) <= 1
    with pytest.raises(ModelwayError, match="log_loss cannot be computed") as error:
        score("log_loss", predictions)
    assert error.value.key == "metrics.log_loss"


@pytest.mark.parametrize(("name", "task"), [("f1", "multiclass"), ("r2", "binary"), ("log_loss", "regression")])
def test_a_metric_that_does_not_fit_the_task_is_explained(name: str, task: str) -> None:
    if task == "regression":
        predictions = Predictions(LATER_SIGNAL, LATER_SIGNAL, None, ())
    else:
        classes = ("a", "b") if task == "binary" else ("a", "b", "c")
        truth = np.arange(90) % len(classes)
        predictions = Predictions(truth, truth, np.eye(len(classes))[truth], classes)
    if name == "r2":
        assert score(name, predictions) == 1.0  # of class numbers: defined, if of no use
        return
    with pytest.raises(ModelwayError, match=f"the metric {name} cannot be computed") as error:
        score(name, predictions)
    assert "fits the task" in error.value.remedy


def test_a_class_that_the_model_never_saw_is_always_wrong() -> None:
    model = LogisticRegression().fit(FEATURES, np.where(SIGNAL > 0, "b", "a"))
    truth = np.array(["a", "b", "new"] * 30, dtype=object)
    predictions = predict(model, LATER, truth=truth, project=project("multiclass"))
    assert predictions.truth.tolist() == [0, 1, 2] * 30
    assert score("accuracy", predictions) == pytest.approx((model.predict(LATER) == truth).mean())


def test_a_positive_class_that_the_model_does_not_know() -> None:
    model = LogisticRegression().fit(FEATURES, np.where(SIGNAL > 0, "yes", "no"))
    with pytest.raises(ModelwayError, match="does not occur"):
        predict(model, LATER, truth=np.array(["no"] * 90, dtype=object), project=project("binary", "ja"))


def test_a_model_that_fails_is_explained() -> None:
    model = LogisticRegression().fit(FEATURES, SIGNAL > 0)
    with pytest.raises(ModelwayError, match="the model failed to predict"):
        predict(model, LATER.assign(a=np.nan), truth=LATER_SIGNAL > 0, project=project("binary"))


def test_predictions_of_some_rows() -> None:
    label = (SIGNAL > 0).astype(int)
    predictions = predict(
        LogisticRegression().fit(FEATURES, label),
        LATER,
        truth=(LATER_SIGNAL > 0).astype(int),
        project=project("binary"),
    )
    rows = np.arange(0, 90, 3)
    part = predictions.take(rows)
    np.testing.assert_array_equal(part.truth, predictions.truth[rows])
    assert part.probabilities is not None
    assert part.probabilities.shape == (30, 2)
    assert score("accuracy", part) == (predictions.truth[rows] == predictions.predicted[rows]).mean()


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("metric", ["roc_auc", "average_precision"])
def test_a_decision_function_alone_is_judged_by_its_scores(name: str, metric: str) -> None:
    names, label_positive, positive = BINARY[name]
    label, truth = names[(SIGNAL > 0).astype(int)], names[(LATER_SIGNAL > 0.4).astype(int)]
    model = LinearSVC().fit(FEATURES, label)
    scores = model.decision_function(LATER) * (1 if model.classes_[1] == positive else -1)
    predictions = predict(model, LATER, truth=truth, project=project("binary", label_positive))
    function = reference.roc_auc_score if metric == "roc_auc" else reference.average_precision_score
    assert score(metric, predictions) == pytest.approx(function(truth == positive, scores))
    assert predictions.take(np.arange(40)).scores is not None


def test_classes_without_training_rows_have_their_names() -> None:
    model = LogisticRegression().fit(FEATURES, np.where(SIGNAL > 0, "b", "a"))
    truth = np.array(["a", "d", "b", "c"] * 20 + ["a"] * 10, dtype=object)
    predictions = predict(model, LATER, truth=truth, project=project("multiclass"))
    assert (predictions.classes, predictions.untrained) == (("a", "b"), ("c", "d"))
    assert [predictions.class_name(number) for number in predictions.truth[:4]] == ["a", "d", "b", "c"]


def test_joined_predictions_are_those_of_all_rows_at_once() -> None:
    truth = np.array(["a", "b", "c", "b", "a", "c"] * 15)
    model = RandomForestClassifier(5, random_state=0).fit(FEATURES, np.array(["a", "b", "c"] * 50))
    whole = predict(model, LATER, truth=truth, project=project("multiclass"))
    parts = [predict(model, LATER[part], truth=truth[part], project=project("multiclass")) for part in HALVES]
    both = joined(*parts)
    for name in ("truth", "predicted", "probabilities"):
        np.testing.assert_array_equal(getattr(both, name), getattr(whole, name))
    assert both.classes == whole.classes
    assert score("f1_macro", both) == score("f1_macro", whole)


def test_joined_predictions_have_the_classes_that_the_model_knows_not() -> None:
    """A class of test rows alone: numbered after the model's, whichever class lacks training rows."""
    model = LogisticRegression().fit(FEATURES, np.array(["b", "d"] * 75))
    training, test = np.array(["b", "d"] * 22 + ["b"]), np.array(["a", "d", "b", "e", "b"] * 9)
    parts = [
        predict(model, LATER[part], truth=truth, project=project("multiclass"))
        for part, truth in zip(HALVES, (training, test), strict=True)
    ]
    both = joined(*parts)
    assert (both.classes, both.untrained) == (("b", "d"), ("a", "e"))
    assert [both.class_name(number) for number in both.truth] == [*training, *test]
    names = np.append(model.predict(LATER[HALVES[0]]), model.predict(LATER[HALVES[1]]))
    expected = reference.accuracy_score(np.append(training, test), names)
    assert score("accuracy", both) == pytest.approx(expected)


@pytest.mark.parametrize("positive", [0, 1])
def test_joined_scores_of_a_decision_function_rank_all_rows(positive: int) -> None:
    truth = (LATER_SIGNAL > 0).astype(int)
    model = LinearSVC().fit(FEATURES, (SIGNAL > 0).astype(int))
    parts = [predict(model, LATER[part], truth=truth[part], project=project("binary", positive)) for part in HALVES]
    expected = reference.roc_auc_score(truth, model.decision_function(LATER))
    assert score("roc_auc", joined(*parts)) == pytest.approx(expected)
    model_with_probabilities = LogisticRegression().fit(FEATURES, (SIGNAL > 0).astype(int))
    features, kinds = LATER[HALVES[1]], project("binary", positive)
    unlike = predict(model_with_probabilities, features, truth=truth[HALVES[1]], project=kinds)
    assert joined(parts[0], unlike).ranking is None
