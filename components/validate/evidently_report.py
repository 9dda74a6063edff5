"""Evidently's report of new data against old, for people who know it; asked for by hand, on no gate's path.

Evidently takes many seconds to import and its page is some megabytes whatever the data, so it is an extra
(``modelway[evidently]``), works on a sample, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from modelway.components.core.errors import ModelwayError
from modelway.components.core.tables import to_model_input

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 10_000


def write_evidently(
    current: pl.DataFrame, reference: pl.DataFrame, columns: Sequence[str], psi: float, path: Path
) -> dict[str, float]:
    """Writes the page on samples of both tables.

    Args:
        current: The data in question.
        reference: What it is compared with.
        columns: The columns to compare; those that either table lacks are left out.
        psi: The population stability index from which a column counts as drifted.
        path: Where the HTML page goes.

    Returns:
        Evidently's index of each column, which it counts in bins of its own.

    Raises:
        ModelwayError: Evidently is not installed.
    """
    try:
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset, DataSummaryPreset
    except ImportError as error:
        raise ModelwayError(
            "Evidently is not installed", remedy="install it with: pip install 'modelway[evidently]'"
        ) from error
    both = [name for name in columns if name in current.columns and name in reference.columns]
    tables = [to_model_input(_sample(table), both) for table in (current, reference)]
    kinds = {name: tables[1][name].dtype.kind for name in both}
    definition = DataDefinition(
        numerical_columns=[name for name in both if kinds[name] == "f"],
        categorical_columns=[name for name in both if kinds[name] == "O"],
        datetime_columns=[name for name in both if kinds[name] == "M"],
    )
    compared = [name for name in both if kinds[name] != "M"]  # Evidently measures no drift of times
    drift = DataDriftPreset(columns=compared, method="psi", threshold=psi)
    made = Report([drift, DataSummaryPreset()], include_tests=True).run(
        *(_dataset(Dataset, table, definition) for table in tables)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_html(str(path))
    measured = (
        one for one in made.dict()["metrics"] if "column" in one["config"] and one["config"].get("method") == "psi"
    )
    return {str(one["config"]["column"]): float(one["value"]) for one in measured}


def _dataset(kind: type, table: pd.DataFrame, definition: object) -> object:
    return kind.from_pandas(table, data_definition=definition)  # type: ignore[attr-defined]


def _sample(table: pl.DataFrame) -> pl.DataFrame:
    return table.sample(SAMPLE_ROWS, seed=0) if len(table) > SAMPLE_ROWS else table
