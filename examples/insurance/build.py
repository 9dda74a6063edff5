"""Builds ``claims.parquet`` from the RAND Health Insurance Experiment data that statsmodels ships."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import polars as pl
import typer

if TYPE_CHECKING:
    import pandas as pd

CLAIMS = Path(__file__).resolve().with_name("claims.parquet")
HIGH_USE_VISITS = 4

_VISITS = "mdvis"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


def claims(raw: pd.DataFrame) -> pl.DataFrame:
    """Turns the published table into readable claims, one row per person and year.

    The published table has no person id. Its rows are ordered by person, so a run of rows with the same covariates
    is taken for one person.

    Args:
        raw: The table as statsmodels publishes it.

    Returns:
        The claims, without the visit counts that the label is derived from.
    """
    table = pl.DataFrame({str(name): raw[name].to_numpy() for name in raw.columns})
    person = pl.struct(pl.exclude(_VISITS)).rle_id().cast(pl.Int64) + 1
    return table.with_columns(person=person).select(
        "person",
        year=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over("person"),
        log_coinsurance="lncoins",
        deductible_plan=pl.col("idp") == 1,
        log_incentive="lpi",
        log_max_expenditure="fmde",
        physical_limitation=_physical_limitation(),
        chronic_diseases="disea",
        health=_health(),
        high_use=(pl.col(_VISITS) >= HIGH_USE_VISITS).cast(pl.Int64),
    )


def _physical_limitation() -> pl.Expr:
    degree = pl.col("physlm")
    return pl.when(degree == 0).then(pl.lit("none")).when(degree == 1).then(pl.lit("full")).otherwise(pl.lit("unknown"))


def _health() -> pl.Expr:
    return (
        pl.when(pl.col("hlthg") == 1)
        .then(pl.lit("good"))
        .when(pl.col("hlthf") == 1)
        .then(pl.lit("fair"))
        .when(pl.col("hlthp") == 1)
        .then(pl.lit("poor"))
        .otherwise(pl.lit("excellent"))
    )


def build(output: Path) -> pl.DataFrame:
    """Writes the claims to a Parquet file; the same data gives the same bytes.

    Args:
        output: The file to write.

    Returns:
        The claims that were written.
    """
    from statsmodels.datasets import randhie  # type: ignore[import-untyped]

    table = claims(randhie.load_pandas().data)
    table.write_parquet(output, compression="zstd")
    return table


@app.command()
def main(
    output: Annotated[Path, typer.Option("--output", "-o", help="The Parquet file to write.")] = CLAIMS,
) -> None:
    """Build the example's claims from the published data (needs statsmodels)."""
    table = build(output)
    typer.echo(
        f"{output}: {table.height:,} rows of {table['person'].n_unique():,} people, "
        f"high use {table['high_use'].to_numpy().mean():.1%}, {output.stat().st_size:,} bytes"
    )


if __name__ == "__main__":
    app()
