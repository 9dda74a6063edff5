"""What it costs to check every row of a large table, beside a bare read of its columns.

Makes a Parquet file of 20 mixed columns, then runs each of these in a process of its own, in turn, and prints the
median seconds and CPU seconds (which other work on the machine changes less), their ratios to the bare read, and the
greatest memory of the process:

    bare read       all columns, as Polars reads them
    by hand         the least Polars expressions that count missing values, bounds, categories and one column rule
    our pass        contract, row rules, a sample for bins, and drift in those and in the baseline's bins, of every row
    with keys       the same with a unique column, a rule per group and a rule per table, which hash the rows

    uv run python benchmarks/validate_speed.py --rows 5000000
    uv run python benchmarks/validate_speed.py --rows 50000000 --repeats 1
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import typer
from polars.io.plugins import register_io_source

ROWS_AT_ONCE = 250_000
CATEGORIES = {"s0": 2, "s1": 5, "s2": 20, "s3": 200, "s4": 5000}
KINDS = ("bare read", "by hand", "our pass", "with keys")


def some_rows(start: int, rows: int, shift: float = 0.0) -> pl.DataFrame:
    """Ten floats, three whole numbers, five texts, a boolean and a time; the first three floats have gaps."""
    dice = np.random.default_rng(start)
    columns: dict[str, Any] = {}
    for number in range(10):
        values = dice.normal(shift, size=rows) if number % 2 else dice.gamma(2, size=rows) * 100
        columns[f"f{number}"] = np.where(dice.random(rows) < 0.02, np.nan, values) if number < 3 else values
    columns["i0"] = dice.integers(0, 100, rows)
    columns["i1"] = np.arange(start, start + rows)
    columns["i2"] = dice.poisson(3, rows)
    for name, kinds in CATEGORIES.items():
        words = pl.Series([f"word{number:05}" for number in range(kinds)])
        columns[name] = words.gather((dice.random(rows) ** (2 if kinds > 20 else 1) * kinds).astype(int))
    columns["b"] = dice.random(rows) < 0.3
    columns["t"] = pl.Series(1_500_000_000_000_000 + dice.integers(0, 10**14, rows)).cast(pl.Datetime("us"))
    return pl.DataFrame(columns, nan_to_null=True)


def write_table(path: Path, rows: int) -> None:
    """Writes the table batch by batch, so that no more than one is in memory."""

    def batches(_columns: object, _predicate: object, _rows: object, _size: object) -> Iterator[pl.DataFrame]:
        for start in range(0, rows, ROWS_AT_ONCE):
            yield some_rows(start, min(ROWS_AT_ONCE, rows - start))

    table = register_io_source(batches, schema=some_rows(0, 1).schema)
    table.sink_parquet(path, row_group_size=ROWS_AT_ONCE, compression="snappy")


def documents(keys: bool) -> tuple[Any, Any]:
    """The contract and the project of that table."""
    import yaml

    from modelway.components.core.config.contract import Contract
    from modelway.components.core.config.project import Project

    floats = [f"f{number}" for number in range(10)]
    columns: dict[str, Any] = {name: {"type": "number", "max_nulls": 0.1, "maximum": 10_000} for name in floats}
    columns |= {name: {"type": "integer", "minimum": 0} for name in ("i0", "i1", "i2")}
    columns |= {name: {"type": "string"} for name in CATEGORIES}
    for name in ("s0", "s1", "s2"):
        columns[name]["categories"] = [f"word{number:05}" for number in range(CATEGORIES[name])]
    columns["s3"]["pattern"] = "word[0-9]+"
    columns |= {"b": {"type": "boolean"}, "t": {"type": "datetime"}}
    rules = [
        {"name": "not_in_the_future", "rule": "t <= CURRENT_TIMESTAMP"},
        {"name": "first_is_positive", "rule": "f4 >= 0 OR b"},
        {"name": "in_order", "rule": "i2 < i0 + 100"},
    ]
    if keys:
        columns["i1"]["unique"] = True
        rules += [
            {"name": "by_group", "rule": "AVG(f4) < 1000", "per": "group", "by": ["s4"]},  # type: ignore[dict-item]
            {"name": "of_all", "rule": "AVG(b) BETWEEN 0.1 AND 0.9", "per": "table"},
        ]
    features = {"numeric": [*floats, "i0", "i2"], "categorical": list(CATEGORIES), "datetime": ["t"]}
    project = {"name": "speed", "task": "binary", "label": "b", "data": {"source": "x"}, "features": features}
    project["model"] = {"estimator": "sklearn.linear_model.LogisticRegression"}
    return Contract.parse(yaml.safe_dump({"columns": columns, "rules": rules})), Project.parse(yaml.safe_dump(project))


def by_hand(path: Path) -> None:
    """One hand-written query: missing values, a bound, categories, a rule, and ten bins of each float."""
    floats = [f"f{number}" for number in range(10)]
    edges = {name: np.linspace(-2, 2, 9) if int(name[1]) % 2 else np.linspace(50, 450, 9) for name in floats}
    expressions = [
        pl.all().null_count().name.suffix("_nulls"),
        *((pl.col(name) > 10_000).sum().alias(f"{name}_maximum") for name in floats),
        *(
            (~pl.col(name).is_in([f"word{number:05}" for number in range(CATEGORIES[name])])).sum().alias(f"{name}_bad")
            for name in ("s0", "s1", "s2")
        ),
        (~((pl.col("f4") >= 0) | pl.col("b"))).sum().alias("rule"),
        *(
            (pl.col(name) <= edge).sum().alias(f"{name}_{place}")
            for name in floats
            for place, edge in enumerate(edges[name])
        ),
    ]
    pl.scan_parquet(path, glob=False).select(expressions).collect(engine="streaming")


def ours(path: Path, keys: bool) -> None:
    """Everything that the gate reads every row for."""
    import scipy.special  # noqa: F401 - imported where p-values are computed

    from modelway.components.core.config.data_policy import DataPolicy
    from modelway.components.validate.checks.drift import drift_checks
    from modelway.components.validate.distributions import measure
    from modelway.components.validate.profile import profile_splits

    contract, project = documents(keys)
    before = measure(some_rows(10**9, 20_000), [*project.features.columns, project.label], data_hash="")
    table = pl.scan_parquet(path, glob=False)
    start, cpu_start = time.perf_counter(), time.process_time()
    profile = profile_splits(table, table.head(0), contract=contract, project=project, reference=before, data_hash="")
    checks = profile.checks + drift_checks(profile.current, before, policy=DataPolicy(), label=project.label)
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    failed = [check.name for check in checks if check.verdict == "failed"]
    sys.stdout.write(json.dumps({**spent, "checks": len(checks), "failed": failed}))


def once(kind: str, path: Path) -> None:
    """Runs one kind in this process, and prints what it took as JSON; imports are not counted."""
    if kind in {"our pass", "with keys"}:
        ours(path, keys=kind == "with keys")
        return
    start, cpu_start = time.perf_counter(), time.process_time()
    if kind == "bare read":
        pl.read_parquet(path, glob=False)
    else:
        by_hand(path)
    spent = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu_start}
    sys.stdout.write(json.dumps(spent))


def measure_in_process(kind: str, path: Path) -> dict[str, Any]:
    """One run in a process of its own, with the greatest memory that it had."""
    command = [sys.executable, __file__, "--kind", kind, "--path", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.stderr)
    parts = result.stdout.replace("}{", "}\n{").splitlines()
    return {**json.loads(parts[0]), **json.loads(parts[1])}


def main(
    rows: Annotated[int, typer.Option(help="Rows of the table.")] = 5_000_000,
    repeats: Annotated[int, typer.Option(help="How many times each is run, in turn.")] = 3,
    bare: Annotated[bool, typer.Option(help="Also read all columns at once, which takes memory for all rows.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    kind: Annotated[str, typer.Option(hidden=True)] = "",
    path: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Makes the table and measures each kind."""
    if kind and path is not None:
        once(kind, path)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        sys.stdout.write(json.dumps({"peak_mib": peak}))
        return
    with tempfile.TemporaryDirectory() as work:
        table = Path(work) / "table.parquet"
        write_table(table, rows)
        mib = table.stat().st_size / 2**20
        kinds = KINDS if bare else KINDS[1:]
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in kinds}
        for _ in range(repeats):
            for name in kinds:
                runs[name].append(measure_in_process(name, table))
    medians = {
        unit: {name: statistics.median(run[unit] for run in result) for name, result in runs.items()}
        for unit in ("seconds", "cpu_seconds")
    }
    peaks = {name: max(run["peak_mib"] for run in result) for name, result in runs.items()}
    ratios = {
        unit: {name: value / values["bare read"] if bare else None for name, value in values.items()}
        for unit, values in medians.items()
    }
    if as_json:
        checks = {name: result[0].get("checks") for name, result in runs.items()}
        print(
            json.dumps(
                {"rows": rows, "mib": round(mib), **medians, "ratios": ratios, "peak_mib": peaks, "checks": checks}
            )
        )
        return
    print(f"{rows:,} rows x 20 columns, {mib:,.0f} MiB of Parquet, median of {repeats}")
    print(f"{'':<12}{'seconds':>9}{'ratio':>8}{'CPU seconds':>13}{'ratio':>8}{'peak MiB':>10}")
    for name, peak in peaks.items():
        cells = [(f"{medians[unit][name]:.2f}", ratios[unit][name]) for unit in ("seconds", "cpu_seconds")]
        (wall, of_wall), (cpu, of_cpu) = ((value, f"{ratio:.2f}" if ratio else "-") for value, ratio in cells)
        print(f"{name:<12}{wall:>9}{of_wall:>8}{cpu:>13}{of_cpu:>8}{peak:>10,}")


if __name__ == "__main__":
    typer.run(main)
