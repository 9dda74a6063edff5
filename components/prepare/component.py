"""The `prepare_features` component."""

from kfp.dsl import Dataset, Input, Output

from modelway.components.core.artifacts import FeatureSteps
from modelway.components.core.decorator import component


@component
def prepare_features(
    train_data: Input[Dataset],
    project: str,
    steps: Output[FeatureSteps],
    prepared_data: Output[Dataset],
    proceed: bool = True,
) -> int:
    """Fits the feature preparation on the training split, and applies it.

    Args:
        train_data: The training split.
        project: The project file: text or URI.
        proceed: Whether the data gate lets the run proceed. False: nothing is prepared.

    Returns:
        steps: The fitted preparation, in skops format.
        prepared_data: The prepared training split: numbers and the label.
        Output: The number of prepared features.
    """
    from modelway.components.prepare.stage import prepare

    paths = {"steps_path": steps.path, "prepared_path": prepared_data.path}
    features = prepare(train_data.path, project, **paths, proceed=proceed)
    prepared_data.metadata["features"] = features
    return features
