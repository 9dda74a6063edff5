"""Predictions as the rows that absolute metrics are judged from."""

from __future__ import annotations

import polars as pl

from modelway.components.core.measures.metrics import Predictions
from modelway.components.evaluate.sample import Sample
from modelway.components.evaluate.statistics.resampling import Resampling


def sample_of_rows(*repeats: Predictions, confidence: float | None = 0.95, out_of_fold_rows: int = 0) -> Sample:
    """Test rows alone, or, with several repeats, after so many that were predicted out of fold."""
    rows = len(repeats[0].truth)
    table = pl.DataFrame({"row": range(rows)})
    return Sample(table, repeats, Resampling(rows, confidence=confidence), out_of_fold_rows)
