"""The `ingest_data` component."""

from typing import NamedTuple

from kfp.dsl import Dataset, Output

from modelway.components.core.decorator import component


@component
def ingest_data(
    project: str,
    contract: str,
    train_data: Output[Dataset],
    test_data: Output[Dataset],
    unseen_data: Output[Dataset],
    serving_data: Output[Dataset],
    source_version: str = "",
    data_version: str = "",
) -> NamedTuple("Outputs", [("data_hash", str), ("rows", int)]):  # type: ignore[valid-type]
    """Reads CSV or Parquet from a path or S3, and splits it into training, test and unseen rows, written as Parquet.

    Args:
        project: The project file: text or URI.
        contract: The contract file: text or URI.
        source_version: The sources' version when the run began; another fails the run.
        data_version: The user's name for the data's version.

    Returns:
        train_data: The training split.
        test_data: The test split.
        unseen_data: The unseen rows; empty without an unseen split.
        serving_data: The serving data; empty without a source of it.
        data_hash: The SHA-256 of the source's content.
        rows: The number of rows in all splits.
    """
    from modelway.components.ingest.stage import ingest

    ingestion = ingest(
        project,
        contract,
        expected_version=source_version,
        train_path=train_data.path,
        test_path=test_data.path,
        unseen_path=unseen_data.path,
        serving_path=serving_data.path,
    )
    facts = {"columns": ingestion.columns, "data_hash": ingestion.data_hash, "data_version": data_version}
    parts = (train_data, test_data, unseen_data, serving_data)
    for part, rows, unparsed in zip(parts, ingestion.rows, ingestion.unparsed, strict=True):
        part.metadata.update({"rows": rows, **facts, **({"taken_as_missing": unparsed} if unparsed else {})})
    return (ingestion.data_hash, sum(ingestion.rows[:3]))
