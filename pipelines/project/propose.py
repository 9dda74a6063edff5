"""Proposes a project's three files from its data, for people to review."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import yaml

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Data, Project, Split
from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage.uri import fetch, is_uri
from modelway.components.core.tables.placement import MOSTLY_DISTINCT
from modelway.components.ingest.source import read_source
from modelway.components.ingest.split import split_table
from modelway.pipelines.project.column_types import MOST_CATEGORIES, TypedTable, column_type, typed_table
from modelway.pipelines.project.contract_text import YAML_STYLE, contract_body, contract_head
from modelway.pipelines.project.contract_trial import HALVES, ContractTrial, try_contract
from modelway.pipelines.project.keys import is_key
from modelway.pipelines.project.propose_contract import is_category, typed_columns
from modelway.pipelines.project.schemas import DOCUMENTS

MOST_CLASSES = 20
FEW_ROWS = 1000  # of which a split may leave a side, or training a class, without rows
SEEDS = 100  # that are tried for a split of them
ROWS_FOR_REGRESSION = 20_000  # with fewer, the test split seldom suffices to tell a loss of 0.01 from none
_ESTIMATORS = {"regression": "sklearn.ensemble.HistGradientBoostingRegressor"}
_CLASSIFIER = "sklearn.ensemble.HistGradientBoostingClassifier"


@dataclass(frozen=True)
class Proposal:
    """The proposed files.

    Attributes:
        files: Each file's text, by its name.
        task: What kind of prediction it is.
        features: The columns that the model would see.
        unused: Why each other column is not used.
        notes: What the data does not suffice for, and what to do about it.
        trial: How often the contract blocked halves of the data; None: it was not tried.
    """

    files: dict[str, str]
    task: str
    features: tuple[str, ...]
    unused: dict[str, str]
    notes: tuple[str, ...] = ()
    trial: ContractTrial | None = None


def propose(
    folder: Path,
    name: str,
    *,
    source: str,
    label: str,
    halves: int = HALVES,
    progress: Callable[[int, int], None] | None = None,
) -> Proposal:
    """Reads the data, proposes the three files of a project, and tries the contract on halves of the data.

    Args:
        folder: Where the project will be; a local source is named relative to it.
        name: The project's name.
        source: A CSV or Parquet file, a folder of them, or an s3:// URI.
        label: The column to predict.
        halves: How many halves the contract is tried on; 0: none.
        progress: Told how many of them have been tried, of how many.

    Raises:
        ModelwayError: the data cannot be read, or has no such label.
    """
    with TemporaryDirectory() as work:
        local = fetch(source, Path(work))
        relative = source if is_uri(source) else os.path.relpath(Path(source).resolve(), folder.resolve())
        data = _data_settings(local, relative)
        table = read_source(local, data, contract=None, work=Path(work))
    if label not in table.columns:
        close = difflib.get_close_matches(label, table.columns, n=3)
        raise ModelwayError(
            f"{source} has no column {label!r} to predict",
            file=source,
            column=label,
            remedy=f"did you mean {' or '.join(close)}?" if close else f"choose among {', '.join(table.columns[:12])}",
        )
    typed = typed_table(table, strict=(label,))
    table = typed.rows
    task = _task(table[label])
    uses = {series.name: _use(series) for series in table.iter_columns() if series.name != label}
    features: dict[str, list[str]] = {"numeric": [], "categorical": [], "datetime": []}
    for column, use in uses.items():
        if use in features:
            features[use].append(column)
    unused = {column: use for column, use in uses.items() if use not in features}
    equal_rows, why = _equal_rows(table.drop(label))
    settings = {key: value for key, value in data.model_dump(exclude_defaults=True).items() if key != "split"}
    split, notes = _split(table, label, equal_rows=equal_rows, is_classification=task != "regression")
    project = {
        "name": name,
        "task": task,
        "label": label,
        "data": {**settings, "split": split},
        "features": {kind: columns for kind, columns in features.items() if columns},
        "model": {"estimator": _ESTIMATORS.get(task, _CLASSIFIER), "parameters": {"max_iter": 200}, "seed": 0},
    }
    if not any(features.values()):
        raise ModelwayError(
            f"{source} has no column to predict {label!r} from",
            file=source,
            column=label,
            remedy="add columns that are neither constant nor identifiers",
        )
    comments = "".join(f"# not used: {column} ({reason})\n" for column, reason in list(unused.items())[:50])
    body = yaml.safe_dump(project, **YAML_STYLE).replace("\n  split:", f"\n  # {why}\n  split:", 1)
    texts = {"project": _text("project", f"# What is trained and from what data.\n{comments}", body)}
    columns = typed_columns(typed, label=label, task=task, unused=unused)
    contract = Contract.model_validate({"columns": columns})
    parsed = Project.parse(texts["project"], "project.yaml")
    trial = try_contract(typed, contract, project=parsed, halves=halves, progress=progress)
    texts["contract"] = _text("contract", contract_head(trial), contract_body(columns))
    policy = _policy(task, table[label].n_unique(), rows=len(table))
    head = "# When a model may ship. The threshold only asks for better than guessing: set yours.\n"
    texts["policy"] = _text("policy", head, yaml.safe_dump(policy, **YAML_STYLE))
    files = {f"{kind}.yaml": text for kind, text in texts.items()}
    notes = (*notes, *_value_notes(typed, label=label))
    return Proposal(files, task, tuple(chain.from_iterable(features.values())), unused, notes, trial)


def _value_notes(typed: TypedTable, *, label: str) -> list[str]:
    """What of the values a person should know before the first run."""
    notes = []
    for name, mask in typed.unparsed.items():
        examples = ", ".join(map(repr, typed.examples[name]))
        notes.append(
            f"{int(mask.sum()):,} of {len(mask):,} values of {name!r} are no {column_type(typed.rows.schema[name])}, "
            f"such as {examples}: they count as missing; if they are more, set another `type`"
        )
    missing = typed.rows[label].null_count()
    if missing:
        notes.append(f"{missing:,} of {len(typed.rows):,} rows have no {label!r}: leave them out, or a run is rejected")
    return notes


def _split(
    table: pl.DataFrame, label: str, *, equal_rows: str, is_classification: bool
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A split that leaves rows on both sides and each class to train on, and notes where few rows needed care.

    Args:
        table: The rows, of which two differ.
        label: The column to predict.
        equal_rows: What equal rows are taken for.
        is_classification: Whether the label's values are classes, each of which training needs.
    """
    proposal: dict[str, Any] = {"by": "row", "test_fraction": 0.2, "rule": 2, "equal_rows": equal_rows}
    expected = table[label].drop_nulls().n_unique() if is_classification else 1
    if len(table) > FEW_ROWS:
        return proposal, ()
    classes_by_seed = {}
    for seed in range(SEEDS):
        try:
            train = split_table(table, Split(**proposal, seed=seed), label=label).train
        except ModelwayError:
            continue
        classes_by_seed[seed] = train[label].drop_nulls().n_unique() if is_classification else 1
        if classes_by_seed[seed] == expected:
            break
    best = max(classes_by_seed, key=classes_by_seed.__getitem__, default=0)
    notes = []
    if best:
        proposal["seed"] = best
        notes.append(
            f"the data has {len(table):,} rows, so few that most splits leave none to test or train with: "
            f"`data.split.seed: {best}` leaves some; bring more rows"
        )
    if classes_by_seed.get(best, 0) < expected:
        notes.append(
            f"the data has {len(table):,} rows, too few to train on each class and to test: a run will be rejected or "
            "fail; bring more rows of each class"
        )
    return proposal, tuple(notes)


def _data_settings(path: Path, source: str) -> Data:
    """How to read a file: the delimiter that its header holds most of, and an encoding that it decodes in."""
    first = next(iter(sorted(path.rglob("*.csv"))), None) if path.is_dir() else path
    if first is None or first.suffix not in {".csv", ".txt", ".tsv"}:
        return Data(source=source)
    raw = first.read_bytes()
    encoding = "utf-8"
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        encoding = "utf-16"
    else:
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            encoding = "cp1252"
    header = raw.decode(encoding, errors="replace").splitlines()[:1] or [""]
    delimiter = max(",;\t|", key=header[0].count)
    return Data(source=source, delimiter=delimiter, encoding=encoding)


def _task(label: pl.Series) -> str:
    values = label.drop_nulls()
    classes = values.n_unique()
    if classes < 2:
        raise ModelwayError(
            f"the label {label.name!r} has {classes} distinct value{'s' * (classes != 1)}; there is nothing to predict",
            column=label.name,
            remedy="choose another label, or add rows of every class",
        )
    if classes == 2:
        return "binary"
    whole = not values.dtype.is_float() or bool((values == values.round()).all())
    if classes <= MOST_CLASSES and (values.dtype in {pl.String, pl.Boolean} or whole):
        return "multiclass"
    if values.dtype.is_numeric():
        return "regression"
    raise ModelwayError(
        f"the label {label.name!r} is text with {classes} distinct values",
        column=label.name,
        remedy=f"choose a number, or a column with at most {MOST_CLASSES} classes",
    )


def _use(series: pl.Series) -> str:
    """The key of `features` that a column belongs under, or why it is not used."""
    distinct, kind = series.n_unique(), column_type(series.dtype)
    if series.null_count() == len(series):
        return "is all missing"
    if distinct == 1:
        return "is constant"
    if is_key(series):
        return "identifies the row"
    if kind == "string" and not is_category(series) and distinct > max(MOST_CATEGORIES, len(series) // 50):
        return f"is text with {distinct:,} distinct values"
    return _KEYS[kind]


_KEYS = {
    "integer": "numeric",
    "number": "numeric",
    "boolean": "numeric",
    "date": "datetime",
    "datetime": "datetime",
    "string": "categorical",
}


def _equal_rows(contents: pl.DataFrame) -> tuple[str, str]:
    """What rows are that are equal in all columns but the label, by how many there are, and why."""
    rows, distinct = len(contents), contents.n_unique()
    figure = f"all {rows:,} rows" if distinct == rows else f"{distinct:,} of {rows:,} rows ({distinct / rows:.2%})"
    figure += " are distinct without the label"
    if distinct == rows:
        return "together", f"{figure}: an equal one would be a copy"
    if distinct >= MOSTLY_DISTINCT * rows:
        return "together", f"{figure}: equal ones are taken for copies"
    return "apart", f"{figure}: equal ones are taken for coincidences"


def _policy(task: str, classes: int, *, rows: int) -> dict[str, Any]:
    """Thresholds for a model that is certainly better than guessing; the first run shows what it reaches."""
    metric, least = {
        "binary": ("roc_auc", 0.5),
        "multiclass": ("balanced_accuracy", round(1 / classes, 4)),
        "regression": ("r2", 0.0),
    }[task]
    return {
        "data": {"drift": {"psi": 0.2, "minimum_rows": 500}, "on_inconclusive": "warn"},
        "model": {
            "metrics": {metric: {"min": least}},
            "no_regression": {
                "metric": metric,
                "margin": 0.01,
                "first_model": "allow",
                **({"on_inconclusive": "warn"} if rows < ROWS_FOR_REGRESSION else {}),
            },
            "minimum_rows": max(2, min(200, rows // 10)),  # half of what a fifth of the rows is
            "on_inconclusive": "block",
        },
        "registration": {"alias": "champion"},
    }


def _text(kind: str, head: str, body: str) -> str:
    """A file's text, read back once by its model."""
    text = f"# yaml-language-server: $schema=.schemas/{kind}.schema.json\n{head}{body}"
    DOCUMENTS[kind].parse(text, f"{kind}.yaml")
    return text
