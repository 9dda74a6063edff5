"""Evidently's report of new data against old, for people who know it; asked for by hand, on no gate's path.

Evidently takes many seconds to import and its page is some megabytes whatever the data, so it is an extra
(``modelway[evidently]``), works on a sample, and decides nothing. By itself it would bin numbers in its own way and
leave out missing values and times, so it is handed the columns as the gate bins them, and measures them as it does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.components.core.config.data_policy import Distances, Drift
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.stability import population_stability_index
from modelway.components.core.report.html import format_number
from modelway.components.core.tables.parquet import as_numbers, as_text, to_model_input
from modelway.components.validate.distances import (
    cramers_v,
    jensen_shannon,
    kolmogorov_smirnov,
)
from modelway.components.validate.distributions import Distribution, measure

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 10_000
_BINS = " (the gate's bins)"
_MISSING = "missing"
_DRAWS = 200
_Distance = Callable[[Sequence[float], Sequence[float]], float]
_DISTANCES: dict[str, tuple[str, _Distance, set[str]]] = {
    "psi": ("PSI, with what chance adds", population_stability_index, {"numeric", "discrete", "categorical"}),
    "jensen_shannon": ("Jensen-Shannon distance", jensen_shannon, {"numeric", "discrete", "categorical"}),
    "kolmogorov_smirnov": ("Kolmogorov-Smirnov distance", kolmogorov_smirnov, {"numeric", "discrete"}),
    "cramers_v": ("Cramér's V", cramers_v, {"discrete", "categorical"}),
}


@dataclass(frozen=True)
class Comparison:
    """What the page shows.

    Attributes:
        rows: How many rows the data in question has.
        reference_rows: How many rows it is compared with.
        sample_rows: How many of its rows the page is made on.
        reference_sample_rows: How many of the rows that it is compared with.
        distances: For each distance that the policy has a threshold for, that of each column as the page shows it.
        sampling_errors: How far each of them is from that of all rows, at most, with 95 % confidence.
    """

    rows: int
    reference_rows: int
    sample_rows: int
    reference_sample_rows: int
    distances: dict[str, dict[str, float]]
    sampling_errors: dict[str, dict[str, float]]


def write_evidently(
    current: pl.DataFrame,
    reference: pl.DataFrame,
    *,
    columns: Sequence[str],
    asked: Drift,
    path: Path,
    label: str = "",
) -> Comparison:
    """Writes the page on samples of both tables, in bins of all of the reference.

    Evidently calls a column drifted where a distance exceeds its threshold; the gate asks besides that the difference
    be statistically certain.

    Args:
        current: The data in question.
        reference: What it is compared with.
        columns: The columns to compare; those that either table lacks are left out.
        asked: The distances to show, which are those with a threshold, and the thresholds.
        path: Where the HTML page goes.
        label: The column for which the policy may have thresholds of its own.

    Raises:
        ModelwayError: Evidently is not installed, or a table has no rows.
    """
    try:
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import ValueDrift
        from evidently.presets import DataDriftPreset, DataSummaryPreset
    except ImportError as error:
        raise ModelwayError(
            "Evidently is not installed", remedy="install it with: pip install 'modelway[evidently]'"
        ) from error
    if not len(current) or not len(reference):
        raise ModelwayError("a table to compare has no rows", remedy="bring data that has rows")
    here, there = set(current.columns), set(reference.columns)
    both = [name for name in dict.fromkeys(columns) if name in here and name in there]
    shapes = measure(reference, both, data_hash="").columns
    judged = {
        (one, name): most for name in both for one, most in _asked(name, label, asked=asked, shape=shapes[name]).items()
    }
    samples = [_sample(table) for table in (current, reference)]
    tables = [_handed_over(table, shapes) for table in samples]
    kinds = {name: tables[1][name].dtype.kind for name in both}
    definition = DataDefinition(
        numerical_columns=[name for name in both if kinds[name] == "f"],
        categorical_columns=[name for name in both if kinds[name] == "O"] + [f"{name}{_BINS}" for name in both],
        datetime_columns=[name for name in both if kinds[name] == "M"],
    )
    _register_distances()
    first = {name: one for one, name in reversed(list(judged))}
    drift = DataDriftPreset(
        columns=[f"{name}{_BINS}" for name in first],
        per_column_method={f"{name}{_BINS}": _method(one) for name, one in first.items()},
        per_column_threshold={f"{name}{_BINS}": judged[one, name] for name, one in first.items()},
    )
    others = [
        ValueDrift(column=f"{name}{_BINS}", method=_method(one), threshold=most)
        for (one, name), most in judged.items()
        if first[name] != one
    ]
    summarized = [name for name in both if kinds[name] != "M"]  # Evidently's summary breaks on times
    summary = [DataSummaryPreset(columns=summarized)] if summarized else []
    made = Report([*([drift] if first else []), *others, *summary], include_tests=True).run(
        *(Dataset.from_pandas(table, data_definition=definition) for table in tables)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_html(str(path))
    distances = _shown(made.dict()["metrics"])
    return Comparison(
        rows=len(current),
        reference_rows=len(reference),
        sample_rows=len(samples[0]),
        reference_sample_rows=len(samples[1]),
        distances=distances,
        sampling_errors={
            one: {name: _error(name, one, tables=tables, rows=(len(current), len(reference))) for name in found}
            for one, found in distances.items()
        },
    )


def _asked(name: str, label: str, *, asked: Drift, shape: Distribution) -> dict[str, float]:
    """The thresholds of one column, by distance."""
    thresholds: Distances = asked.columns.get(name, asked)
    if name == label and name not in asked.columns:
        thresholds = asked.label or asked
    found = {one: getattr(thresholds, one) for one, (_, _, kinds) in _DISTANCES.items() if shape.kind in kinds}
    return {one: most for one, most in found.items() if most is not None}


def _shown(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What Evidently measured, by distance and column."""
    names = {_method(one): one for one in _DISTANCES}
    found: dict[str, dict[str, float]] = {}
    for metric in metrics:
        one = names.get(metric["config"].get("method", ""))
        if one is not None and "column" in metric["config"]:
            column = str(metric["config"]["column"]).removesuffix(_BINS)
            found.setdefault(one, {})[column] = float(metric["value"])
    return found


def _method(distance: str) -> str:
    return f"modelway_{distance}"


def _register_distances() -> None:
    """Makes our distances known to Evidently, as its documentation says to."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    for one, (title, _, _) in _DISTANCES.items():
        kind = StatTest(name=_method(one), display_name=title, allowed_feature_types=[ColumnType.Categorical])
        register_stattest(kind, default_impl=_measured_by(one))


def _measured_by(distance: str) -> Callable[[pd.Series, pd.Series, Any, float], tuple[float, bool]]:
    def measured(before: pd.Series, now: pd.Series, _: Any, threshold: float) -> tuple[float, bool]:
        found = _DISTANCES[distance][1](*_shares(before, now))
        return found, found > threshold

    return measured


def _shares(before: pd.Series, now: pd.Series) -> tuple[list[float], list[float]]:
    """The share of rows in each bin that is not empty on both sides, in the bins' order, missing values last."""
    bins = [*sorted((set(before) | set(now)) - {_MISSING}), _MISSING]
    first, second = (side.value_counts(normalize=True).reindex(bins, fill_value=0.0).tolist() for side in (before, now))
    return first, second


def _handed_over(table: pl.DataFrame, shapes: Mapping[str, Distribution]) -> pd.DataFrame:
    """The columns as models see them, for the summary, and each one's bins as text, to be compared.

    Infinite numbers, on which Evidently's summary breaks, are missing in both, as they are to the gate.
    """
    import pandas as pd

    binned = {f"{name}{_BINS}": pd.Series(_binned(table[name], shape), dtype=object) for name, shape in shapes.items()}
    return pd.concat(
        [to_model_input(table, list(shapes)).replace([np.inf, -np.inf], np.nan), pd.DataFrame(binned)], axis=1
    )


def _binned(series: pl.Series, shape: Distribution) -> list[str]:
    """The name of the bin that each row falls into; names sort as their bins do."""
    names = [*(f"{place:03}: {name}" for place, name in enumerate(_names(shape, series.dtype))), _MISSING]
    if shape.kind == "categorical":
        text = as_text(series)
        places = text.replace_strict(shape.values, np.arange(len(shape.values)), default=len(shape.values))
        return [names[place] for place in places.set(text.is_null(), -1).to_list()]
    if not (series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean):
        return [_MISSING] * len(series)
    numbers, edges = as_numbers(series), np.asarray(shape.edges, dtype=np.float64)
    found = np.searchsorted(edges, numbers, side="left")
    if shape.kind == "discrete":
        known = np.isin(numbers, edges)
        found = np.where(known, found, len(edges))
    return [names[place] for place in np.where(np.isfinite(numbers), found, -1)]


def _names(shape: Distribution, dtype: pl.DataType) -> list[str]:
    if shape.kind == "categorical":
        return [*shape.values, "other"]
    if isinstance(dtype, pl.Date | pl.Datetime):
        edges = pl.Series(shape.edges).cast(pl.Int64).cast(pl.Datetime("us")).cast(pl.String).to_list()
    else:
        edges = [format_number(edge) for edge in shape.edges]
    if shape.kind == "discrete":
        return [*edges, "other"]
    return [f"up to {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges)), f"over {edges[-1]}"]


def _error(name: str, distance: str, *, tables: Sequence[pd.DataFrame], rows: tuple[int, int]) -> float:
    """How far a sample's distance is from that of all rows, at most, with 95 % confidence.

    By the parametric bootstrap (Efron, 1979): samples drawn from the sample's own shares, and corrected for how much
    of the table was drawn; zero where all of it was.
    """
    now, before = (table[f"{name}{_BINS}"] for table in tables)
    shares = _shares(before, now)
    measured = _DISTANCES[distance][1]
    found, dice = measured(*shares), np.random.default_rng(0)
    drawn = [
        dice.multinomial(rows_that_tell, share, _DRAWS) / rows_that_tell
        if (rows_that_tell := _effective(len(side), total))
        else np.tile(share, (_DRAWS, 1))
        for side, share, total in zip((before, now), shares, rows[::-1], strict=True)
    ]
    return float(np.quantile([abs(measured(*pair) - found) for pair in zip(*drawn, strict=True)], 0.95))


def _effective(sampled: int, total: int) -> int:
    """How many independent rows vary as much as some drawn from a table without replacement; 0: they do not vary."""
    return 0 if sampled == total else round(sampled / (1 - sampled / total))


def _sample(table: pl.DataFrame) -> pl.DataFrame:
    return table.sample(SAMPLE_ROWS, seed=0) if len(table) > SAMPLE_ROWS else table
