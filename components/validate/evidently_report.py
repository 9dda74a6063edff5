"""Evidently's report of new data against old, requested by hand; no gate uses it.

Evidently takes many seconds to import and its page is some megabytes whatever the data, so it is an extra
(``modelway[evidently]``), works on a sample, and decides nothing. It would bin numbers in its own way and leave out
missing values, so it is given the columns in the gate's bins, and measures the same distances. Of dates and times it is
given the parts that the gate compares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from modelway.components.core.config.data_policy import Drift
from modelway.components.core.errors import ModelwayError
from modelway.components.core.report.html import format_number
from modelway.components.core.storage.uri import make_folder
from modelway.components.core.tables.parquet import as_numbers, as_text, to_model_input
from modelway.components.validate.checks.drift import limits_of
from modelway.components.validate.distances import DISTANCES, fits
from modelway.components.validate.distributions import Distribution, measure
from modelway.components.validate.sample import at_most
from modelway.components.validate.time_parts import days_of, time_parts

if TYPE_CHECKING:
    import pandas as pd

SAMPLE_ROWS = 10_000
_BINS = " (the gate's bins)"
_MISSING = "missing"
_DRAWS = 200
_TITLES = {
    "psi": "PSI, with what chance adds",
    "jensen_shannon": "Jensen-Shannon distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
    "cramers_v": "Cramér's V",
}


@dataclass(frozen=True)
class EvidentlySummary:
    """The distances that the page shows, and their errors.

    Attributes:
        rows: How many rows the data in question has.
        reference_rows: How many rows it is compared with.
        sample_rows: How many rows of the data in question are on the page.
        reference_sample_rows: How many rows of the reference are on the page.
        distances: For each distance that the policy has a threshold for, that of each column as the page shows it.
        sampling_errors: The greatest difference of each from that of all rows, with 95 % confidence.
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
    policy: Drift,
    path: Path,
    label: str = "",
) -> EvidentlySummary:
    """Writes the page on samples of both tables, in the bins of the whole reference.

    Evidently calls a column drifted where a distance exceeds its threshold; the gate also requires the difference to be
    statistically significant.

    Args:
        current: The data in question.
        reference: The data that it is compared with.
        columns: The columns to compare; those that either table lacks are left out. Of dates and times the weekday and
            the hour are compared where the gate compares them, and the times themselves where `policy.columns` has
            thresholds for them.
        policy: The policy's `data.drift`; distances with a threshold are shown.
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
    parts = time_parts(current.schema, columns)
    days = days_of(current.lazy(), columns), days_of(reference.lazy(), columns)
    current, reference = (table.with_columns(**time_parts(table.schema, columns)) for table in (current, reference))
    here, there = set(current.columns), set(reference.columns)
    names = [name for name in dict.fromkeys([*columns, *parts]) if name in here and name in there]
    distributions = measure(reference, names, data_hash="").columns
    limits = {name: limits_of(name, distributions[name], policy=policy, label=label, days=days) for name in names}
    names = [name for name in names if limits[name] is not None or distributions[name].of_times]
    distributions = {name: distributions[name] for name in names}
    thresholds: dict[tuple[str, str], float] = {
        (distance, f"{name}{_BINS}"): threshold
        for name in names
        for distance in DISTANCES
        if fits(distance, distributions[name].kind) and (threshold := getattr(limits[name], distance, None)) is not None
    }
    samples = [at_most(table, SAMPLE_ROWS) for table in (current, reference)]
    tables = [_evidently_table(table, distributions) for table in samples]
    kinds = {name: tables[1][name].dtype.kind for name in names}
    definition = DataDefinition(
        numerical_columns=[name for name in names if kinds[name] == "f"],
        categorical_columns=[name for name in names if kinds[name] == "O"] + [f"{name}{_BINS}" for name in names],
        datetime_columns=[name for name in names if kinds[name] == "M"],
    )
    _register_distances()
    first = {column: distance for distance, column in reversed(list(thresholds))}
    drift = DataDriftPreset(
        columns=list(first),
        per_column_method={column: _method(distance) for column, distance in first.items()},
        per_column_threshold={column: thresholds[distance, column] for column, distance in first.items()},
    )
    further = [
        ValueDrift(column=column, method=_method(distance), threshold=threshold)
        for (distance, column), threshold in thresholds.items()
        if first[column] != distance
    ]
    summarized = [name for name in names if kinds[name] != "M"]  # Evidently's summary fails on times
    summary = [DataSummaryPreset(columns=summarized)] if summarized else []
    report = Report([*([drift] if first else []), *further, *summary], include_tests=True).run(
        *(Dataset.from_pandas(table, data_definition=definition) for table in tables)
    )
    make_folder(path.parent)
    report.save_html(str(path))
    distances, rows = _shown_distances(report.dict()["metrics"]), (len(current), len(reference))
    return EvidentlySummary(
        rows=len(current),
        reference_rows=len(reference),
        sample_rows=len(samples[0]),
        reference_sample_rows=len(samples[1]),
        distances=distances,
        sampling_errors={
            distance: {name: _error(name, distance, tables=tables, rows=rows) for name in values}
            for distance, values in distances.items()
        },
    )


def _shown_distances(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The distances that Evidently measured, by distance and column."""
    names = {_method(distance): distance for distance in DISTANCES}
    distances: dict[str, dict[str, float]] = {}
    for metric in metrics:
        distance = names.get(metric["config"].get("method", ""))
        if distance is not None and "column" in metric["config"]:
            column = str(metric["config"]["column"]).removesuffix(_BINS)
            distances.setdefault(distance, {})[column] = float(metric["value"])
    return distances


def _method(distance: str) -> str:
    return f"modelway_{distance}"


def _register_distances() -> None:
    """Registers our distances with Evidently, as its documentation says."""
    from evidently.legacy.calculations.stattests import StatTest, register_stattest
    from evidently.legacy.core import ColumnType

    for distance, title in _TITLES.items():
        kind = StatTest(name=_method(distance), display_name=title, allowed_feature_types=[ColumnType.Categorical])
        register_stattest(kind, default_impl=partial(_stat_test, distance))


def _stat_test(distance: str, reference: pd.Series, current: pd.Series, _: Any, threshold: float) -> tuple[float, bool]:
    value = DISTANCES[distance](*_shares(reference, current))
    return value, value > threshold


def _shares(reference: pd.Series, current: pd.Series) -> tuple[list[float], list[float]]:
    """The share of rows in each bin that either side fills, in the bins' order, missing values last."""
    bins = [*sorted((set(reference) | set(current)) - {_MISSING}), _MISSING]
    first, second = (
        side.value_counts(normalize=True).reindex(bins, fill_value=0.0).tolist() for side in (reference, current)
    )
    return first, second


def _evidently_table(table: pl.DataFrame, distributions: Mapping[str, Distribution]) -> pd.DataFrame:
    """The columns as models see them, for the summary, and their bins as text, for the comparison.

    Infinite numbers, on which Evidently's summary fails, are missing in both, as in the gate.
    """
    import pandas as pd

    columns = to_model_input(table, list(distributions)).replace([np.inf, -np.inf], np.nan)
    binned = {f"{name}{_BINS}": _binned(table[name], distribution) for name, distribution in distributions.items()}
    return pd.concat([columns, pd.DataFrame(binned, dtype=object)], axis=1)


def _binned(series: pl.Series, distribution: Distribution) -> list[str]:
    """The name of the bin that each row falls into; names sort as their bins do."""
    names = [*(f"{place:03}: {name}" for place, name in enumerate(_names(distribution))), _MISSING]
    if distribution.kind == "categorical":
        text, rest = as_text(series), len(distribution.values)
        places = text.replace_strict(distribution.values, np.arange(rest), default=rest)
        return [names[place] for place in places.set(text.is_null(), -1).to_list()]
    if not (series.dtype.is_numeric() or series.dtype.is_temporal() or series.dtype == pl.Boolean):
        return [_MISSING] * len(series)
    numbers, edges = as_numbers(series), np.asarray(distribution.edges, dtype=np.float64)
    bins = np.searchsorted(edges, numbers, side="left")
    if distribution.kind == "discrete":
        bins = np.where(np.isin(numbers, edges), bins, len(edges))
    return [names[place] for place in np.where(np.isfinite(numbers), bins, -1)]


def _names(distribution: Distribution) -> list[str]:
    if distribution.kind == "categorical":
        return [*distribution.values, "other"]
    if distribution.of_times:
        edges = pl.Series(distribution.edges).cast(pl.Int64).cast(pl.Datetime("us")).cast(pl.String).to_list()
    else:
        edges = [format_number(edge) for edge in distribution.edges]
    if distribution.kind == "discrete":
        return [*edges, "other"]
    return [f"up to {edges[0]}", *(f"{low} to {high}" for low, high in pairwise(edges)), f"over {edges[-1]}"]


def _error(name: str, distance: str, *, tables: Sequence[pd.DataFrame], rows: tuple[int, int]) -> float:
    """The greatest difference of a sample's distance from that of all rows, with 95 % confidence.

    By the parametric bootstrap (Efron, 1979): samples drawn from the sample's own shares, with a finite population
    correction; zero where all rows were drawn.
    """
    current, reference = (table[f"{name}{_BINS}"] for table in tables)
    shares = _shares(reference, current)
    measure = DISTANCES[distance]
    value, dice = measure(*shares), np.random.default_rng(0)
    draws = [
        dice.multinomial(effective_rows, share, _DRAWS) / effective_rows
        if (effective_rows := _effective(len(side), total))
        else np.tile(share, (_DRAWS, 1))
        for side, share, total in zip((reference, current), shares, rows[::-1], strict=True)
    ]
    return float(np.quantile([abs(measure(*pair) - value) for pair in zip(*draws, strict=True)], 0.95))


def _effective(rows: int, total: int) -> int:
    """How many independent rows vary as much as rows drawn without replacement; 0: they do not vary."""
    return 0 if rows == total else round(rows / (1 - rows / total))
