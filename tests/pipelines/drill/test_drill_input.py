"""What the drill's faults change, and what they have in common."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from small_projects import write_small_project

from modelway.pipelines.drill.drill import drill_input
from modelway.pipelines.drill.drill_input import CONSENT, DrillInput, random_rows, rarest, with_other_labels
from modelway.pipelines.project.workspace import Workspace


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> DrillInput:
    """The small project as the drill takes it."""
    return drill_input(Workspace.load(write_small_project(tmp_path_factory.mktemp("project"))))


def test_faults_go_into_the_feature_of_most_values_and_the_first_of_categories(inputs: DrillInput) -> None:
    assert (inputs.numeric, inputs.categorical) == ("paid", "city")
    assert inputs.table[CONSENT].all()


def test_another_table_is_split_anew_and_another_training_split_stays_beside_the_old_test_split(
    inputs: DrillInput,
) -> None:
    half = inputs.with_table(inputs.table.head(300))
    assert len(half.splits.train) + len(half.splits.test) == 300
    trained = inputs.with_training(inputs.splits.train.head(5))
    assert len(trained.splits.train) == 5
    assert trained.splits.test.equals(inputs.splits.test)


@pytest.mark.parametrize("rows", [0, 1, 20, 100_000])
def test_rows_are_chosen_with_their_share_and_at_least_one_is(rows: int) -> None:
    chosen = random_rows(pl.DataFrame({"x": np.zeros(rows)}), 0.001, rng=np.random.default_rng(0))
    assert len(chosen) == rows
    assert chosen.sum() == (min(rows, 1) if rows <= 20 else pytest.approx(100, abs=40))


def test_the_rarest_value_is_no_missing_one() -> None:
    assert rarest(pl.Series("x", ["a", "a", "b", None])) == "b"


def test_classes_are_exchanged_and_numbers_are_mirrored(inputs: DrillInput) -> None:
    everywhere = pl.repeat(value=True, n=len(inputs.table), eager=True)
    other = with_other_labels(inputs.table, inputs, rows=everywhere)
    assert (other["ill"] == 1 - inputs.table["ill"]).all()
    features = inputs.project.features.model_copy(update={"numeric": ("age",)})
    changes = {"task": "regression", "label": "paid", "features": features}
    regression = DrillInput(
        inputs.project.model_copy(update=changes), inputs.contract, inputs.policy, inputs.table, inputs.splits
    )
    mirrored = with_other_labels(inputs.table, regression, rows=everywhere)
    assert mirrored["paid"].mean() == pytest.approx(inputs.table["paid"].mean())
    assert (mirrored["paid"].arg_max(), mirrored["paid"].arg_min()) == (
        inputs.table["paid"].arg_min(),
        inputs.table["paid"].arg_max(),
    )
