"""How much `modelway run` costs over one plain Python script that calls the same functions.

Runs both in turn, each as a whole process on a fresh home, and prints medians and the ratio pair by pair:

    uv run python benchmarks/release_overhead.py --pairs 5
    uv run python benchmarks/release_overhead.py --pairs 3 --rows 100000 --columns 20
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import typer

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parent / "examples" / "insurance"


def timed(command: list[str]) -> float:
    """Seconds of a whole process that must succeed."""
    start = time.perf_counter()
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive"}  # for both alike
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return seconds


def synthetic(folder: Path, rows: int, columns: int) -> Path:
    """A binary project of random numbers with a label that some of them explain, proposed by `modelway init`."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(rows, columns))
    label = (values[:, :3].sum(axis=1) + generator.normal(size=rows) > 0).astype(int)
    table = pl.DataFrame({f"x{number}": values[:, number] for number in range(columns)})
    table.with_columns(label=pl.Series(label)).write_parquet(folder / "data.parquet")
    command = [sys.executable, "-m", "modelway.pipelines.cli", "init", str(folder / "synthetic")]
    timed([*command, "--data", str(folder / "data.parquet"), "--label", "label"])
    return folder / "synthetic"


def main(
    pairs: Annotated[int, typer.Option(help="How many times each is run.")] = 5,
    rows: Annotated[int, typer.Option(help="Rows of synthetic data; 0: the insurance example.")] = 0,
    columns: Annotated[int, typer.Option(help="Columns of synthetic data.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measures both, in turn, after one warm-up of each."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        project = synthetic(folder, rows, columns) if rows else EXAMPLE
        plain, ours = [], []
        for number in range(pairs + 1):
            home = folder / f"home-{number}"
            plain_seconds = timed([sys.executable, str(HERE / "plain_release.py"), str(project), str(home / "plain")])
            command = [sys.executable, "-m", "modelway.pipelines.cli", "run", str(project), "--json"]
            run_seconds = timed([*command, "--home", str(home / "ours")])
            again = timed([*command, "--home", str(home / "ours")])
            shutil.rmtree(home)
            if number:
                plain.append(plain_seconds)
                ours.append((run_seconds, again))
    ratios = [first / baseline for (first, _), baseline in zip(ours, plain, strict=True)]
    result = {
        "data": f"{rows} x {columns}" if rows else "insurance",
        "plain_seconds": statistics.median(plain),
        "run_seconds": statistics.median(first for first, _ in ours),
        "cached_run_seconds": statistics.median(again for _, again in ours),
        "ratio": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
    }
    if as_json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:<20} {value if isinstance(value, str) else np.round(value, 2)}")


if __name__ == "__main__":
    typer.run(main)
