"""The baseline: that of the latest approved version, read from its evidence, and the one for the next version."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl
from pydantic import ValidationError

from modelway.components.core.audit.opened_version import OpenedVersion
from modelway.components.core.errors import DamagedError
from modelway.components.core.evidence.files import BASELINE_FILE, SAMPLE_FILE
from modelway.components.validate.distributions import TableStatistics


@dataclass(frozen=True)
class ApprovedBaseline:
    """The baseline that was registered with a version.

    Attributes:
        baseline: The distributions.
        content: The same as the bytes that were registered.
        sample: Rows of the training split as Parquet, if they were registered.
    """

    baseline: TableStatistics
    content: bytes
    sample: bytes | None

    def rows(self) -> pl.DataFrame | None:
        """The sample's rows."""
        return None if self.sample is None else pl.read_parquet(BytesIO(self.sample))


def approved_baseline(champion: OpenedVersion | None) -> ApprovedBaseline | None:
    """The baseline that a version was registered with; None without a version, or if it has no baseline.

    Raises:
        DamagedError: it cannot be read.
    """
    if champion is None or BASELINE_FILE not in champion.files:
        return None
    content = champion.files[BASELINE_FILE]
    try:
        statistics = TableStatistics.model_validate_json(content)
    except ValidationError as error:
        raise DamagedError(
            f"{champion.version} has a baseline that cannot be read",
            file=BASELINE_FILE,
            remedy="find out who changed it in MLflow, or which version of Modelway wrote it; register a version anew",
        ) from error
    return ApprovedBaseline(statistics, content, champion.files.get(SAMPLE_FILE))


def write_baseline(folder: Path, statistics: TableStatistics, *, sample: pl.DataFrame | None) -> None:
    """Writes this data's own baseline.

    Args:
        folder: The folder to write to.
        statistics: The distributions.
        sample: Rows of the training split, if any are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    statistics.write(folder / BASELINE_FILE)
    if sample is not None:
        sample.write_parquet(folder / SAMPLE_FILE)


def keep_baseline(folder: Path, approved: ApprovedBaseline) -> None:
    """Writes the approved baseline unchanged, so that later data is measured against it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BASELINE_FILE).write_bytes(approved.content)
    if approved.sample is not None:
        (folder / SAMPLE_FILE).write_bytes(approved.sample)
