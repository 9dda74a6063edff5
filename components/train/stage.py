"""The stage's function: trains, saves and logs the model."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from modelway.components.core.code.loaded_files import recording_files
from modelway.components.core.code.version import check_code
from modelway.components.core.config.project import Project
from modelway.components.core.measures.out_of_fold import METADATA_KEY
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import STEPS_FILE, folder_sha256
from modelway.components.core.storage.uri import sha256_of
from modelway.components.core.tables.parquet import read_table, to_model_input
from modelway.components.train.fit import fit_pipeline
from modelway.components.train.out_of_fold import out_of_fold
from modelway.components.train.saving import save

EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Trained:
    """A trained model: its run and id in MLflow, its folder's SHA-256, its rows, and how long fitting took."""

    run_id: str
    model_id: str
    model_hash: str
    rows: int
    fit_seconds: float


def train(
    prepared_path: str,
    train_path: str,
    *,
    steps_path: str,
    project_text: str,
    data_hash: str,
    code_version: str = "",
    trusted_types: str = "",
    model_path: str,
    out_of_fold_path: str = "",
) -> Trained:
    """Fits the project's model, and saves it locally and in MLflow, byte for byte the same.

    Args:
        prepared_path: The prepared training split, as Parquet.
        train_path: The raw training split, for the input examples.
        steps_path: The folder of the fitted preparation.
        project_text: The project file: its text, path or URI.
        data_hash: The SHA-256 of the source's content, to log.
        code_version: The version of the code that the run was started with; empty: not compared.
        trusted_types: Types that the policy trusts a model to be made of, by their full names, with spaces between.
        model_path: The folder to write the model to, in MLflow's format.
        out_of_fold_path: Where to write the out-of-fold predictions, as Parquet; without columns where the test split
            is large enough by itself. Empty: they are not made.

    Raises:
        ModelwayError: the code here has another version, training loads a module that its version does not hold, or the
            model cannot be fitted.
    """
    project = Project.load(project_text)
    code = check_code(project, code_version)
    prepared_table = read_table(prepared_path)
    columns = project.features.columns
    examples = to_model_input(read_table(train_path, columns, rows=EXAMPLE_ROWS), columns)
    tracking = Tracking.from_environment()
    with tracking.run(project.name, "train", tags={"data_hash": data_hash, "project_hash": project.sha256()}) as run_id:
        params = _parameters(project, len(prepared_table), features=prepared_table.width - 1)
        tracking.log(run_id, params=params)
        out_of_fold_sha256 = ""
        with recording_files() as loaded:
            start = time.perf_counter()
            pipeline = fit_pipeline(project, prepared_table, steps=Path(steps_path) / STEPS_FILE)
            seconds = time.perf_counter() - start
            if out_of_fold_path:
                predictions = out_of_fold(project, read_table(train_path), pipeline=pipeline, fit_seconds=seconds)
                predictions.write(out_of_fold_path)
                out_of_fold_sha256 = sha256_of(Path(out_of_fold_path))
        if code is not None and code_version:
            code.check_loaded(loaded)
        with tracking.logged_model(run_id, project.name, params=params) as (model_id, location):
            serialization = save(
                pipeline,
                model_path,
                examples=examples,
                model_id=model_id,
                run_id=run_id,
                location=location,
                trusted_types=trusted_types.split(),
                code=code,
                data_files=loaded.data(code.folder) if code is not None else (),
                metadata={METADATA_KEY: out_of_fold_sha256} if out_of_fold_sha256 else {},
            )
            tracking.upload_model(model_id, model_path)
        tracking.log(run_id, metrics={"fit_seconds": seconds, "train_rows": len(prepared_table)})
        tracking.tag_run(run_id, "serialization", value=serialization)
    return Trained(run_id, model_id, folder_sha256(model_path), len(prepared_table), seconds)


def _parameters(project: Project, rows: int, *, features: int) -> dict[str, object]:
    model = project.model
    return {
        "model": model.estimator or model.entrypoint,
        "task": project.task,
        "label": project.label,
        "seed": model.seed,
        "class_weight": model.class_weight,
        "train_rows": rows,
        "prepared_features": features,
        **{f"model.{name}": value for name, value in model.parameters.items()},
    }
