from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from sklearn.model_selection import cross_val_predict

from modelway.components.core.measures.metrics import score
from modelway.components.core.measures.out_of_fold import FOLDS, OutOfFold
from modelway.components.core.tables.parquet import label_of
from modelway.components.train.out_of_fold import folds, out_of_fold, repeats_within

Prepare = Callable[..., Any]
LOGISTIC = {"estimator": "sklearn.linear_model.LogisticRegression", "parameters": {"max_iter": 500}}


def predicted(prepared: Any, table: pl.DataFrame, fit_seconds: float = 0.01) -> OutOfFold:
    return out_of_fold(prepared.project, table, pipeline=prepared.fit(), fit_seconds=fit_seconds)


def with_split(prepared: Any, **split: Any) -> Any:
    content = prepared.project.model_dump()
    content["data"]["split"] |= split
    return type(prepared.project).model_validate(content)


@pytest.mark.parametrize(
    ("task", "label", "estimator", "method"),
    [
        ("binary", "late", "sklearn.linear_model.LogisticRegression", "predict_proba"),
        ("multiclass", "grade", "sklearn.linear_model.LogisticRegression", "predict_proba"),
        ("regression", "score", "sklearn.linear_model.Ridge", "predict"),
    ],
)
def test_they_are_scikit_learns_of_the_whole_pipeline_on_the_same_folds(
    prepare_rows: Prepare, rows: pl.DataFrame, task: str, label: str, estimator: str, method: str
) -> None:
    """The preparation too is fitted without the rows that are predicted."""
    prepared = prepare_rows({"estimator": estimator}, task=task, label=label)
    result = predicted(prepared, rows)
    truth = label_of(rows, prepared.project)
    assert len(result.repeats) == 4
    for number, repeat in enumerate(result.repeats):
        parts = list(folds(rows, truth, project=prepared.project, number=number))
        expected = cross_val_predict(prepared.fit(), prepared.raw, truth, cv=parts, method=method)
        ours = repeat.predicted if repeat.probabilities is None else repeat.probabilities
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9)
    assert not np.array_equal(result.repeats[0].predicted, result.repeats[1].predicted)
    assert result.table.equals(rows)


def test_a_model_that_knows_its_rows_by_heart_is_found_out(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    noise = rows.with_columns(late=pl.Series(np.random.default_rng(1).integers(0, 2, len(rows))))
    prepared = prepare_rows(
        {"estimator": "sklearn.neighbors.KNeighborsClassifier", "parameters": {"n_neighbors": 1}}, table=noise
    )
    in_sample = prepared.fit().predict(prepared.raw)
    assert (in_sample == noise["late"].to_numpy()).mean() == 1.0
    names = np.asarray(["0", "1"])
    for repeat in predicted(prepared, noise).repeats:
        assert (names[repeat.predicted] == noise["late"].cast(pl.String).to_numpy()).mean() < 0.65


@pytest.mark.parametrize("by", ["group", "row"])
@pytest.mark.parametrize(("task", "label"), [("binary", "late"), ("regression", "score")])
def test_rows_of_a_group_or_an_identifier_are_in_one_fold(
    prepare_rows: Prepare, rows: pl.DataFrame, by: str, task: str, label: str
) -> None:
    table = rows.with_columns(person=pl.Series([number // 4 for number in range(len(rows))]))
    project = with_split(prepare_rows(LOGISTIC, task="binary"), by=by, column="person")
    project = project.model_copy(update={"task": task, "label": label})
    for number in range(2):
        for training, held_out in folds(table, table[label].to_numpy(), project=project, number=number):
            assert not set(table["person"][training]) & set(table["person"][held_out])


def parts_with_equal_rows(project: Any, table: pl.DataFrame) -> list[bool]:
    """For each fold, whether a row that it predicts equals one that it was fitted on, in all columns but the label."""
    contents = table.drop(project.label)
    parts = folds(table, table[project.label].to_numpy(), project=project, number=0)
    return [bool(set(contents[train].iter_rows()) & set(contents[held_out].iter_rows())) for train, held_out in parts]


def test_equal_rows_are_in_one_fold_where_they_are_together_and_anywhere_where_they_are_apart(
    prepare_rows: Prepare, rows: pl.DataFrame
) -> None:
    """Those of other labels too: a model that saw a copy knows the answer."""
    prepared = prepare_rows(LOGISTIC)
    copies = pl.concat([rows, rows.with_columns(late=1 - pl.col("late"))])
    assert parts_with_equal_rows(with_split(prepared, equal_rows="together"), copies) == [False] * FOLDS
    assert parts_with_equal_rows(with_split(prepared, equal_rows="apart"), copies) == [True] * FOLDS


def test_by_the_first_rule_few_equal_rows_are_copies_and_many_are_coincidences(
    prepare_rows: Prepare, rows: pl.DataFrame
) -> None:
    project = prepare_rows(LOGISTIC).project
    assert project.data.split.equal_rows is None
    assert parts_with_equal_rows(project, pl.concat([rows, rows.head(2)])) == [False] * FOLDS
    assert parts_with_equal_rows(project, pl.concat([rows.head(8)] * 30)) == [True] * FOLDS


def test_where_all_rows_are_distinct_the_classes_are_spread_exactly(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    project = with_split(prepare_rows(LOGISTIC), equal_rows="together")
    label = rows["late"].to_numpy()
    shares = [label[held_out].sum() for _, held_out in folds(rows, label, project=project, number=0)]
    assert max(shares) - min(shares) <= 1


def test_a_decision_function_alone_is_kept_as_scores(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    prepared = prepare_rows({"estimator": "sklearn.svm.SVC"})
    result = predicted(prepared, rows)
    truth = label_of(rows, prepared.project)
    for number, repeat in enumerate(result.repeats):
        parts = list(folds(rows, truth, project=prepared.project, number=number))
        expected = cross_val_predict(prepared.fit(), prepared.raw, truth, cv=parts, method="decision_function")
        assert repeat.probabilities is None
        assert repeat.scores is not None
        np.testing.assert_allclose(repeat.scores, expected, rtol=1e-6, atol=1e-9)


def test_scores_rise_with_the_positive_class_whichever_it_is(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    prepared = prepare_rows({"estimator": "sklearn.svm.SVC"})
    content = prepared.project.model_dump() | {"positive": 0}
    project = type(prepared.project).model_validate(content)
    result = out_of_fold(project, rows, pipeline=prepared.fit(), fit_seconds=0.01)
    for repeat, usual in zip(result.repeats, predicted(prepared, rows).repeats, strict=True):
        assert repeat.scores is not None
        assert usual.scores is not None
        np.testing.assert_allclose(repeat.scores, -usual.scores)
        assert (repeat.classes, usual.classes) == (("1", "0"), ("0", "1"))
        np.testing.assert_array_equal(repeat.predicted, 1 - usual.predicted)


def test_each_fold_has_its_share_of_a_rare_class(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    project = prepare_rows(LOGISTIC).project
    label = np.asarray([1] * 10 + [0] * 190)
    parts = [label[held_out].sum() for _, held_out in folds(rows.head(200), label, project=project, number=0)]
    assert parts == [2] * FOLDS


def test_a_fold_without_rows_of_a_class_gives_it_no_probability(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    table = rows.with_columns(grade=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("rare")).otherwise("grade"))
    prepared = prepare_rows(LOGISTIC, task="multiclass", label="grade", table=table)
    for repeat in predicted(prepared, table).repeats:
        assert repeat.classes == ("a", "b", "c", "rare")
        assert repeat.probabilities is not None
        assert repeat.probabilities[0, 3] == 0
        np.testing.assert_allclose(repeat.probabilities.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("split", "seconds", "reason"),
    [
        ({"by": "time", "column": "opened"}, 0.01, "the split is by time"),
        ({}, 76.0, "would take more than 300 s"),
        ({"test_fraction": 0.81}, 0.01, "large enough by itself"),
    ],
)
def test_where_they_would_mislead_or_cost_too_much_there_are_none_and_it_is_said(
    prepare_rows: Prepare, rows: pl.DataFrame, split: dict[str, Any], seconds: float, reason: str
) -> None:
    prepared = prepare_rows(LOGISTIC)
    project = with_split(prepared, **split)
    result = out_of_fold(project, rows, pipeline=prepared.fit(), fit_seconds=seconds)
    assert (result.repeats, result.table.is_empty()) == ((), True)
    assert reason in result.reason


def test_a_recipe_that_fails_on_a_part_of_the_rows_is_said_and_ends_nothing(
    prepare_rows: Prepare, rows: pl.DataFrame
) -> None:
    few = rows.head(4)
    prepared = prepare_rows(LOGISTIC, table=few.with_columns(late=pl.Series([0, 1, 0, 1])))
    result = predicted(prepared, few.with_columns(late=pl.Series([0, 1, 0, 1])))
    assert result.repeats == ()
    assert "fails on a part of the rows" in result.reason


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, 4), (3.7, 4), (3.8, 3), (7.6, 1), (75.0, 1), (75.1, 0), (1e6, 0)]
)
def test_five_folds_are_within_five_minutes_and_their_repeats_within_one(seconds: float, expected: int) -> None:
    assert repeats_within(seconds) == expected


def test_they_are_the_same_each_time(prepare_rows: Prepare, rows: pl.DataFrame) -> None:
    prepared = prepare_rows(LOGISTIC)
    first, second = predicted(prepared, rows), predicted(prepared, rows)
    for repeat, again in zip(first.repeats, second.repeats, strict=True):
        np.testing.assert_array_equal(repeat.probabilities, again.probabilities)
    assert score("accuracy", first.repeats[0]) >= 0
