"""The stage's one function: fits the preparation and writes it with the prepared training split."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from modelway.components.core.models import STEPS_FILE
from modelway.components.core.project import Project
from modelway.components.core.tables import label_of, read_table, to_model_input
from modelway.components.features.steps import build


def prepare(train_path: str, project: str, *, steps_path: str, prepared_path: str) -> int:
    """Fits the feature preparation on the training split, and applies it.

    Args:
        train_path: The training split, as Parquet.
        project: The project file: its text, path or URI.
        steps_path: The folder that the fitted preparation goes to, in skops format.
        prepared_path: Where the prepared training split goes, as Parquet: numbers, and the label as the last column.

    Returns:
        The number of prepared features.
    """
    import skops.io

    described = Project.load(project)
    frame = read_table(train_path, [*described.features.columns, described.label])
    steps = build(described.features)
    prepared = steps.fit_transform(to_model_input(frame, described.features.columns))
    Path(steps_path).mkdir(parents=True, exist_ok=True)
    skops.io.dump(steps, Path(steps_path) / STEPS_FILE)
    columns = {str(name): prepared[name].to_numpy() for name in prepared.columns}
    label = label_of(frame, described)
    table = pl.DataFrame(columns).with_columns(pl.Series(described.label, label, strict=False))
    table.write_parquet(prepared_path)
    return len(columns)
