from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.project import Data, Project, Split
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import content_version
from modelway.components.ingest.split import split_table

Text = Callable[..., str]


def test_the_version_of_the_data_is_that_of_all_sources(tmp_path: Path) -> None:
    for name in ("train", "serving"):
        (tmp_path / f"{name}.csv").write_text(name, encoding="utf-8")
    train, serving = (str(tmp_path / f"{name}.csv") for name in ("train", "serving"))
    assert Data(source=train).version() == content_version(train)
    data = Data(source=train, serving=serving)
    before = data.version()
    assert before == f"{content_version(train)}+{content_version(serving)}"
    (tmp_path / "serving.csv").write_text("other", encoding="utf-8")
    assert data.version() != before


@pytest.mark.parametrize("name", ["a", "loans", "loans-2", "0", "a" * 63])
def test_names_that_a_registry_takes(project_text: Text, name: str) -> None:
    assert Project.parse(project_text({"name": name})).name == name


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"name": "Loans"}, "name", "pattern"),
        ({"name": "-loans"}, "name", "pattern"),
        ({"name": "a" * 64}, "name", "pattern"),
        ({"data.delimiter": ";;"}, "data.delimiter", "at most 1 character"),
        ({"data.delimiter": "§"}, "data.delimiter", "one ASCII character"),
        ({"data.delimiter": '"'}, "data.delimiter", "one ASCII character"),
        ({"data.delimiter": "\n"}, "data.delimiter", "one ASCII character"),
        ({"data.format": "excel"}, "data.format", "'csv' or 'parquet'"),
        ({"data.split": {"by": "group"}}, "data.split", "needs the key `column`"),
        ({"data.split": {"by": "time"}}, "data.split", "needs the key `column`"),
        ({"data.split": {"rule": 3}}, "data.split.rule", "1 or 2"),
        ({"data.split": {"rule": 2}}, "data.split", "`rule: 2` needs `equal_rows`"),
        ({"data.split": {"rule": 1, "equal_rows": "apart"}}, "data.split", "`rule: 1` has no `equal_rows`"),
        (
            {"data.split": {"by": "group", "column": "person", "equal_rows": "apart"}},
            "data.split",
            "a split by row without `column`, and this one is by group (person)",
        ),
        ({"data.split": {"column": "id", "equal_rows": "together"}}, "data.split", "this one is by row (id)"),
        ({"data.split": {"test_fraction": 0}}, "data.split.test_fraction", "greater than 0"),
        ({"features": {}}, "features", "at least one column"),
        ({"features": {"numeric": ["a", "b"], "categorical": ["b"]}}, "features", "named more than once: b"),
        ({"features.min_frequency": 0}, "features.min_frequency", "greater than or equal to 1"),
        ({"features.numeric": ["late"]}, None, "also named as a feature"),
        ({"task": "regression", "positive": 1}, None, "`positive` is for binary tasks only"),
        ({"task": "regression", "model.class_weight": "balanced"}, None, "for classification only"),
        ({"model.entrypoint": "train:fit"}, "model", "exactly one of"),
        ({"model": {}}, "model", "exactly one of"),
        ({"model.estimator": "LogisticRegression"}, "model.estimator", "pattern"),
        ({"model.estimator": "sklearn; import os"}, "model.estimator", "pattern"),
        ({"model": {"entrypoint": "train.fit"}}, "model.entrypoint", "pattern"),
    ],
)
def test_contradictions_are_refused(project_text: Text, changes: dict[str, Any], key: str | None, says: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Project.parse(project_text(changes), "project.yaml")
    assert error.value.key == key
    assert says in error.value.message


def test_features_keep_their_order(project_text: Text) -> None:
    assert Project.parse(project_text()).features.columns == ("income", "age", "region", "opened")


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        ({0: 1, 1: 5}, {"0": 1.0, "1": 5.0}),
        ({"no": 1, "yes": 2.5}, {"no": 1.0, "yes": 2.5}),
        ({False: 1, True: 3}, {"0": 1.0, "1": 3.0}),
        ("balanced", "balanced"),
        (None, None),
    ],
)
def test_class_weights_are_by_the_classes_names(project_text: Text, weight: object, expected: object) -> None:
    assert Project.parse(project_text({"model.class_weight": weight})).model.class_weight == expected


@pytest.mark.parametrize("value", [True, 1, 0.5, "yes", "01"])
def test_the_positive_class_keeps_its_type(project_text: Text, value: object) -> None:
    positive = Project.parse(project_text({"positive": value})).positive
    assert (positive, type(positive)) == (value, type(value))


@pytest.mark.parametrize(
    ("split", "rule", "text"),
    [
        ({}, 1, "by row, rule 1"),
        ({"rule": 1}, 1, "by row, rule 1"),
        ({"equal_rows": "apart"}, 2, "by row, rule 2, equal rows apart"),
        ({"rule": 2, "equal_rows": "together"}, 2, "by row, rule 2, equal rows together"),
        ({"rule": 2, "column": "id"}, None, "by row (id)"),
        ({"by": "time", "column": "day"}, None, "by time (day)"),
    ],
)
def test_which_rule_splits_rows_by_their_content(split: dict[str, Any], rule: int | None, text: str) -> None:
    assert (Split(**split).rule_in_force, str(Split(**split))) == (rule, text)


@pytest.mark.parametrize(
    ("before", "now", "tests_what_was_trained_on"),
    [
        ({}, {}, False),
        ({}, {"rule": 1}, False),
        ({}, {"seed": 1}, True),
        ({}, {"equal_rows": "apart"}, True),
        ({"equal_rows": "apart"}, {"equal_rows": "together"}, True),
        ({"column": "id"}, {"by": "group", "column": "id"}, False),
        ({"column": "id"}, {"by": "time", "column": "id"}, True),
        ({"by": "group", "column": "id"}, {"by": "group", "column": "city"}, True),
        ({"test_fraction": 0.3}, {"test_fraction": 0.2}, False),
        ({"test_fraction": 0.2}, {"test_fraction": 0.3}, True),
        ({"test_fraction": 0.2, "unseen_fraction": 0.1}, {"test_fraction": 0.3, "unseen_fraction": 0.2}, False),
        ({"by": "time", "column": "day", "seed": 1}, {"by": "time", "column": "day"}, False),
        ({"by": "time", "column": "day"}, {"by": "time", "column": "day", "unseen_fraction": 0.1}, True),
    ],
)
def test_another_split_tests_what_was_trained_on(
    before: dict[str, Any], now: dict[str, Any], tests_what_was_trained_on: bool
) -> None:
    assert Split(**now).tests_what_was_trained_on(Split(**before)) is tests_what_was_trained_on
    dice = np.random.default_rng(0)
    table = pl.DataFrame({name: dice.integers(0, 300, 4_000) for name in ("id", "city", "day")})
    table = table.with_columns(row=pl.int_range(4_000))
    trained, tested = (split_table(table, Split(**split)) for split in (before, now))
    assert bool(set(trained.train["row"]) & set(tested.test["row"])) is tests_what_was_trained_on


def test_a_project_without_the_keys_of_the_second_rule_keeps_its_hash(project_text: Text) -> None:
    split = json.loads(Project.parse(project_text({"data.split": {"seed": 1}})).canonical())["data"]["split"]
    assert set(split) == {"by", "test_fraction", "unseen_fraction", "seed"}
