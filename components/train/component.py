"""The `train_model` component."""

from typing import NamedTuple

from kfp.dsl import Dataset, Input, Metrics, Model, Output

from modelway.components.core.artifacts import FeatureSteps
from modelway.components.core.decorator import component


@component
def train_model(
    train_data: Input[Dataset],
    prepared_data: Input[Dataset],
    steps: Input[FeatureSteps],
    project: str,
    model: Output[Model],
    metrics: Output[Metrics],
    out_of_fold: Output[Dataset],
    data_hash: str = "",
    code_version: str = "",
    trusted_types: str = "",
) -> NamedTuple("Outputs", [("run_id", str), ("model_id", str), ("model_hash", str)]):  # type: ignore[valid-type]
    """Fits the project's estimator, or calls its function, and logs the model with signature and input example.

    Args:
        train_data: The raw training split.
        prepared_data: The prepared training split: numbers and the label.
        steps: The fitted preparation.
        project: The project file: text or URI.
        data_hash: The SHA-256 of the source's content, to log.
        code_version: The version of all code when the run began; other code is not run.
        trusted_types: Types that the policy trusts, between spaces.

    Returns:
        model: The pipeline from raw columns to predictions, in MLflow's format.
        metrics: The number of rows, and how long fitting took.
        out_of_fold: Out-of-fold predictions; empty where the test split is large.
        run_id: The training's MLflow run.
        model_id: The model's id in MLflow.
        model_hash: The SHA-256 of the model's folder.
    """
    from modelway.components.core.artifacts import write_values
    from modelway.components.train.stage import train

    trained_model = train(
        prepared_data.path,
        train_data.path,
        steps_path=steps.path,
        project_text=project,
        data_hash=data_hash,
        code_version=code_version,
        trusted_types=trusted_types,
        model_path=model.path,
        out_of_fold_path=out_of_fold.path,
    )
    model.metadata.update({"framework": "scikit-learn", "model_hash": trained_model.model_hash, "code": code_version})
    metrics.log_metric("train_rows", trained_model.rows)
    metrics.log_metric("fit_seconds", trained_model.fit_seconds)
    write_values(metrics)
    return (trained_model.run_id, trained_model.model_id, trained_model.model_hash)
