from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LogisticRegression
from user_files import minimal_project

from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.predicting import predict_table

INCOMES = np.linspace(-1.0, 1.0, 40)
MODEL = LogisticRegression().fit(pd.DataFrame({"income": INCOMES}), (INCOMES > 0).astype(int))


def test_a_table_is_predicted_by_the_columns_that_the_model_names() -> None:
    table = pl.DataFrame({"age": range(40), "income": INCOMES, "late": (INCOMES > 0).astype(int)})
    predictions = predict_table(MODEL, table, project=minimal_project(features={"numeric": ["age"]}))
    expected = MODEL.predict_proba(pd.DataFrame({"income": INCOMES}))
    assert predictions.probabilities == pytest.approx(expected)
    assert predictions.truth.tolist() == table["late"].to_list()


def test_a_column_that_the_model_needs_and_the_table_lacks_is_named() -> None:
    with pytest.raises(ModelwayError, match="needs the column 'income', which the data does not have") as error:
        predict_table(MODEL, pl.DataFrame({"age": [1], "late": [0]}), project=minimal_project())
    assert error.value.column == "income"
