"""The stage's function: fits the feature preparation, and writes it with the prepared training split."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.storage.models import STEPS_FILE
from modelway.components.core.tables.parquet import label_of, read_table, to_model_input
from modelway.components.features.steps import build


def prepare(train_path: str, project_text: str, *, steps_path: str, prepared_path: str, proceed: bool = True) -> int:
    """Fits the feature preparation on the training split, and applies it.

    Data that its gate rejects may lack what the preparation needs; then nothing is prepared.

    Args:
        train_path: The training split, as Parquet.
        project_text: The project file: its text, path or URI.
        steps_path: The folder to write the fitted preparation to, in skops format.
        prepared_path: Where to write the prepared training split, as Parquet: numbers, and the label as last column.
        proceed: Whether the data gate lets the run proceed; if not, both outputs are empty.

    Returns:
        The number of prepared features.
    """
    import skops.io

    Path(steps_path).mkdir(parents=True, exist_ok=True)
    if not proceed:
        pl.DataFrame().write_parquet(prepared_path)
        return 0
    project = Project.load(project_text)
    frame = read_table(train_path, [*project.features.columns, project.label])
    steps = build(project.features)
    try:
        features = steps.fit_transform(to_model_input(frame, project.features.columns))
    except ValueError as error:
        raise _preparation_error(first_line(error), frame, project=project) from error
    if project.label in features.columns:
        raise ModelwayError(
            f"a prepared feature has the name of the label, {project.label!r}",
            key="features",
            column=project.label,
            remedy="rename the label or the feature's column in the data",
        )
    skops.io.dump(steps, Path(steps_path) / STEPS_FILE)
    columns = {str(name): features[name].to_numpy() for name in features.columns}
    label = label_of(frame, project)
    table = pl.DataFrame(columns).with_columns(pl.Series(project.label, label, strict=False))
    table.write_parquet(prepared_path)
    return len(columns)


def _preparation_error(reason: str, frame: pl.DataFrame, *, project: Project) -> ModelwayError:
    """Builds the error of a preparation that failed, naming the first numeric column that cannot be prepared."""
    numeric = [frame[name] for name in project.features.numeric]
    bad = [series for series in numeric if not (series.dtype.is_numeric() or series.dtype in {pl.Boolean, pl.Null})]
    bad += [series for series in numeric if series.dtype.is_float() and series.is_infinite().any()]
    return ModelwayError(
        f"the features cannot be prepared: {reason}",
        key="features.numeric" if bad else "features",
        column=bad[0].name if bad else None,
        value=bad[0].dtype if bad else None,
        remedy="numeric columns must hold finite numbers, and the names of prepared features must be unique",
    )
