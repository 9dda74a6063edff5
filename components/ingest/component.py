"""The `ingest_data` component."""

from typing import NamedTuple

from kfp.dsl import Dataset, Output

from modelway.components.core.image import component


@component
def ingest_data(
    project: str,
    contract: str,
    train_data: Output[Dataset],
    test_data: Output[Dataset],
    data_version: str = "",
) -> NamedTuple("Outputs", [("data_hash", str), ("rows", int)]):  # type: ignore[valid-type]
    """Reads CSV or Parquet from a path or S3 and splits it into training and test rows.

    Args:
        project: The project file: its text, or a URI.
        contract: The contract file: its text, or a URI.
        data_version: What the source was when the run was asked for; a change since ends the run. Empty: not checked.

    Returns:
        train_data: The training split, as Parquet.
        test_data: The test split, as Parquet.
        data_hash: The SHA-256 of the source's content.
        rows: The number of rows in both splits.
    """
    from modelway.components.ingest.table import ingest

    made = ingest(project, contract, data_version, train_data.path, test_data.path)
    train_data.metadata.update({"rows": made.train_rows, "columns": made.columns, "data_hash": made.data_hash})
    test_data.metadata.update({"rows": made.test_rows, "columns": made.columns, "data_hash": made.data_hash})
    return (made.data_hash, made.train_rows + made.test_rows)
