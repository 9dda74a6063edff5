"""Later weeks of the insurance claims: whole people drawn again, with drift and faults on demand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer
from numpy.typing import NDArray

from modelway.examples.insurance.build import CLAIMS, HIGH_USE_VISITS

MAX_ROWS = 1_000_000
MAX_NUMBER = 1_000_000
CONCEPT_SUBGROUP = pl.col("physical_limitation") == "full"
NEW_HEALTH = "very good"
RENAMED = {"log_incentive": "participation_incentive"}

_CONTINUOUS = ("log_incentive", "log_max_expenditure", "chronic_diseases")
_JITTER = 0.005  # standard deviation, as a share of the ranks
_NEW_HEALTH_SHARE = 0.1
_TILT_CHRONIC = 0.8  # at full drift, per standard deviation above the mean
_TILT_HEALTH = 1.0
_TILT_LIMIT = 2.5  # keeps the few sickest people from filling a week

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def week(
    number: int,
    *,
    rows: int = 2000,
    drift: float = 0.0,
    concept: float = 0.0,
    schema_break: bool = False,
    label_noise: float = 0.0,
    leakage: bool = False,
    nulls: float = 0.0,
) -> pl.DataFrame:
    """Draws one later week of claims. The same arguments always give the same week.

    Each option has its own random stream: switching one on leaves the rest of the week as it was. Drift alone draws
    other people.

    Args:
        number: Which week, from 1. It seeds the draw and is part of the person ids.
        rows: How many rows. The last person is cut short to meet it.
        drift: From 0 to 1. Draws sicker people more often: more chronic diseases, more fair and poor health. Labels
            come along with their people, so what the features say about the label stays true.
        concept: The share of the people with a full physical limitation whose labels are inverted.
        schema_break: Renames a column, turns `chronic_diseases` to text, and brings an unknown health category.
        label_noise: The share of the labels that are flipped at random.
        leakage: Adds a column `visits`, which gives the label away.
        nulls: The share of `chronic_diseases` that goes missing.

    Returns:
        The week, with the columns of `claims.parquet` unless an option says otherwise.

    Raises:
        ValueError: An argument is out of its range.
    """
    _check("number", number, 1, MAX_NUMBER)
    _check("rows", rows, 1, MAX_ROWS)
    shares = {"drift": drift, "concept": concept, "label_noise": label_noise, "nulls": nulls}
    for name, share in shares.items():
        _check(name, share, 0, 1)

    streams = np.random.SeedSequence(number).spawn(7)
    drawing, jittering, inverting, flipping, emptying, breaking, visiting = map(np.random.default_rng, streams)
    base = pl.read_parquet(CLAIMS)
    table = _draw(base, number, rows, drift, drawing)
    table = _jitter(table, base, jittering)
    table = _invert(table, concept, inverting)
    table = _flip_labels(table, label_noise, flipping)
    if leakage:
        table = _leak(table, visiting)
    table = _empty(table, nulls, emptying)
    return _break_schema(table, breaking) if schema_break else table


def _check(name: str, value: float, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, but must be from {low:,} to {high:,}")


def _draw(base: pl.DataFrame, number: int, rows: int, drift: float, rng: np.random.Generator) -> pl.DataFrame:
    """Draws whole people with replacement; each draw is a new person."""
    starts = np.flatnonzero(np.diff(base["person"].to_numpy(), prepend=0))
    years = np.diff(starts, append=base.height)
    weights = np.exp(drift * _sickness(base[starts]))
    people = rng.choice(len(starts), size=rows, p=weights / weights.sum())
    place = np.repeat(np.arange(rows), years[people])[:rows]
    first_year = np.cumsum(years[people]) - years[people]
    within = np.arange(rows) - first_year[place]
    table: pl.DataFrame = base[starts[people[place]] + within]
    return table.with_columns(person=pl.Series(number * MAX_ROWS + place + 1))


def _sickness(people: pl.DataFrame) -> NDArray[np.float64]:
    chronic = people["chronic_diseases"].to_numpy()
    spread = np.clip((chronic - chronic.mean()) / chronic.std(), -_TILT_LIMIT, _TILT_LIMIT)
    unwell = people["health"].is_in(["fair", "poor"]).to_numpy()
    return np.asarray(_TILT_CHRONIC * spread + _TILT_HEALTH * unwell)


def _jitter(table: pl.DataFrame, base: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Moves each person's continuous values a little along their ranks in the base.

    The values pile up at a few points (plan terms, group averages). Added noise would smear those piles across
    histogram edges and look like drift in a clean week; a step in rank keeps the distribution. Zero means "none" in
    these columns, so it stays zero.
    """
    person = table["person"].rle_id().to_numpy()
    return table.with_columns(
        pl.Series(name, _stepped(table[name].to_numpy(), base[name].to_numpy(), person, rng)) for name in _CONTINUOUS
    )


def _stepped(
    values: NDArray[np.float64],
    observed: NDArray[np.float64],
    person: NDArray[np.uint32],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    ladder = np.sort(observed[observed > 0])
    # As many random numbers as rows, however many people: one column's draw then never shifts the next one's.
    tie, step = rng.random(len(values))[person], rng.normal(0, _JITTER, len(values))[person]
    low, high = np.searchsorted(ladder, values, "left"), np.searchsorted(ladder, values, "right")
    rank = low + tie * (high - low) + step * len(ladder)
    stepped = ladder[np.clip(rank, 0, len(ladder) - 1).astype(np.int64)]
    return np.where(values > 0, stepped, 0.0)


def _invert(table: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    people = table.filter(CONCEPT_SUBGROUP)["person"].unique(maintain_order=True)
    subgroup = _sample(people, share, rng)
    return table.with_columns(_flip(pl.col("person").is_in(subgroup.implode())))


def _flip_labels(table: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    return table.with_columns(_flip(_mask(table.height, share, rng)))


def _flip(condition: pl.Expr | pl.Series) -> pl.Expr:
    return pl.when(condition).then(1 - pl.col("high_use")).otherwise("high_use").alias("high_use")


def _leak(table: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    low_counts = pl.Series(rng.integers(0, HIGH_USE_VISITS, table.height))
    high_counts = pl.Series(HIGH_USE_VISITS + rng.poisson(4, table.height))
    return table.with_columns(visits=pl.when(pl.col("high_use") == 1).then(high_counts).otherwise(low_counts))


def _empty(table: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    missing = _mask(table.height, share, rng)
    return table.with_columns(chronic_diseases=pl.when(~missing).then("chronic_diseases"))


def _break_schema(table: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    people = table["person"].unique(maintain_order=True)
    affected = _sample(people, _NEW_HEALTH_SHARE, rng, at_least=1)
    newly = pl.col("person").is_in(affected.implode())
    return table.with_columns(
        pl.format("{} conditions", pl.col("chronic_diseases").round(1)).alias("chronic_diseases"),
        health=pl.when(newly).then(pl.lit(NEW_HEALTH)).otherwise("health"),
    ).rename(RENAMED)


def _sample(people: pl.Series, share: float, rng: np.random.Generator, *, at_least: int = 0) -> pl.Series:
    count = max(round(share * len(people)), at_least)
    return people[rng.permutation(len(people))[:count]]


def _mask(rows: int, share: float, rng: np.random.Generator) -> pl.Series:
    """Marks exactly that share of the rows, rounded."""
    return pl.Series(rng.permutation(rows) < round(share * rows))


def _write(table: pl.DataFrame, output: Path) -> None:
    if output.suffix == ".csv":
        table.write_csv(output)
    else:
        table.write_parquet(output, compression="zstd")


@app.command()
def main(
    number: Annotated[int, typer.Argument(help="Which week, from 1.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write: .parquet or .csv.")],
    *,
    rows: Annotated[int, typer.Option(help="How many rows.")] = 2000,
    drift: Annotated[float, typer.Option(help="How strongly sicker people come in, from 0 to 1.")] = 0.0,
    concept: Annotated[
        float, typer.Option(help="Share of the people with a full physical limitation whose labels are inverted.")
    ] = 0.0,
    schema_break: Annotated[
        bool, typer.Option("--schema-break", help="Rename a column, change a type, bring a new category.")
    ] = False,
    label_noise: Annotated[float, typer.Option(help="Share of the labels flipped at random.")] = 0.0,
    leakage: Annotated[bool, typer.Option("--leakage", help="Add a column that gives the label away.")] = False,
    nulls: Annotated[float, typer.Option(help="Share of chronic_diseases that goes missing.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write one later week of the insurance claims."""
    if output.suffix not in {".parquet", ".csv"}:
        raise typer.BadParameter(f"output is {output}, but must end in .parquet or .csv")
    try:
        table = week(
            number,
            rows=rows,
            drift=drift,
            concept=concept,
            schema_break=schema_break,
            label_noise=label_noise,
            leakage=leakage,
            nulls=nulls,
        )
        _write(table, output)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error

    people, high_use = table["person"].n_unique(), float(table["high_use"].to_numpy().mean())
    if as_json:
        facts = {"output": str(output), "week": number, "rows": rows, "people": people, "high_use": round(high_use, 4)}
        typer.echo(json.dumps(facts))
    else:
        typer.echo(f"{output}: week {number}, {rows:,} rows of {people:,} people, high use {high_use:.1%}")


if __name__ == "__main__":
    app()
