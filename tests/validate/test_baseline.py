from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from modelway.components.core.evidence.files import BASELINE_FILE
from modelway.components.validate.baseline import (
    SAMPLE_FILE,
    ApprovedBaseline,
    approved_baseline,
    keep_baseline,
    write_baseline,
)
from modelway.components.validate.distributions import measure

TABLE = pl.DataFrame({"age": range(50), "late": [0, 1] * 25})
STATISTICS = measure(TABLE, ["age"], data_hash="abc")


@pytest.mark.parametrize("sample", [None, TABLE.head(10)])
def test_an_approved_baseline_is_kept_byte_for_byte(tmp_path: Path, sample: pl.DataFrame | None) -> None:
    write_baseline(tmp_path / "first", STATISTICS, sample=sample)
    content = (tmp_path / "first" / BASELINE_FILE).read_bytes()
    rows = None if sample is None else (tmp_path / "first" / SAMPLE_FILE).read_bytes()
    approved = ApprovedBaseline(STATISTICS, content, rows)
    keep_baseline(tmp_path / "second", approved)
    names = sorted(path.name for path in (tmp_path / "second").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "first").iterdir())
    assert all((tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes() for name in names)
    table = approved.rows()
    assert table is None if sample is None else table is not None and table.equals(sample)


def test_without_a_version_there_is_no_baseline() -> None:
    assert approved_baseline(None) is None
