"""What a contract is proposed to say of each kind of column."""

from __future__ import annotations

import polars as pl

from modelway.components.core.config.contract import Contract
from modelway.pipelines.project.propose_contract import proposed_columns


def test_every_column_is_described() -> None:
    table = pl.DataFrame({"age": [index % 50 for index in range(100)], "label": [index % 2 for index in range(100)]})
    columns = proposed_columns(table, label="label", task="binary")
    assert list(Contract.model_validate({"columns": columns}).columns) == table.columns
