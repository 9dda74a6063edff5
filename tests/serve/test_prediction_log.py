from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.prediction_log import LogSettings, PredictionLog

ReadLog = Callable[[], pl.DataFrame]


def block(rows: int, **more: Any) -> dict[str, Any]:
    texts = np.array([None, *["n"] * (rows - 1)], dtype=object)
    return {"_at": np.arange(rows).astype("datetime64[us]"), "income": np.full(rows, np.nan), "region": texts, **more}


def wait_for(log: PredictionLog, rows: int) -> None:
    stop_at = time.monotonic() + 20
    while log.counts()["written"] < rows:
        assert time.monotonic() < stop_at
        time.sleep(0.02)


def test_blocks_become_one_file_with_missing_values_as_such(tmp_path: Path, read_log: ReadLog) -> None:
    log = PredictionLog(LogSettings(str(tmp_path)), "loans", version="3")
    log.offer(block(3, _predict=np.array([1, 0, 1])))
    log.offer(block(2))
    log.close()
    (file,) = tmp_path.rglob("*.parquet")
    assert file.parent.parent == tmp_path / "loans" / "3"
    assert file.parent.name.startswith("date=")
    table = read_log()
    assert table["_predict"].to_list() == [1, 0, 1, None, None]
    assert table["income"].null_count() == 5
    assert table["region"].to_list() == [None, "n", "n", None, "n"]
    assert table["_at"].dtype == pl.Datetime("us")
    assert log.counts() == {"written": 5, "dropped": 0}


def test_a_destination_with_keys_in_it_is_refused_at_once() -> None:
    with pytest.raises(ModelwayError, match="has no keys in it") as error:
        PredictionLog(LogSettings("s3://key:planted@bucket/log"), "loans", version="3")
    assert "planted" not in str(error.value)


def test_a_file_is_written_as_soon_as_it_is_full_or_old(tmp_path: Path) -> None:
    for settings in (LogSettings(str(tmp_path), file_rows=4), LogSettings(str(tmp_path), file_seconds=0.1)):
        log = PredictionLog(settings, "loans", version="3")
        log.offer(block(4))
        wait_for(log, 4)
        log.close()


def test_what_cannot_be_written_waits_and_then_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    log = PredictionLog(
        LogSettings(str(tmp_path / "log"), file_seconds=0.1, maximum_pending_rows=10), "loans", version="3"
    )
    for _ in range(3):
        log.offer(block(4))
    assert log.counts() == {"written": 0, "dropped": 4}
    time.sleep(0.8)
    (tmp_path / "log").unlink()
    wait_for(log, 8)
    log.close()
    assert log.counts() == {"written": 8, "dropped": 4}


def test_rows_that_no_file_can_hold_are_dropped_and_hold_up_no_others(
    tmp_path: Path, read_log: ReadLog, caplog: pytest.LogCaptureFixture
) -> None:
    log = PredictionLog(LogSettings(str(tmp_path), file_seconds=0.1), "loans", version="3")
    log.offer(block(2, _request=np.array(["\ud800", "b"], dtype=object)))
    stop_at = time.monotonic() + 20
    while log.counts()["dropped"] < 2:
        assert time.monotonic() < stop_at
        time.sleep(0.02)
    log.offer(block(3))
    log.close()
    assert log.counts() == {"written": 3, "dropped": 2}
    assert len(read_log()) == 3
    assert "2 rows of the prediction log cannot be written as Parquet, and are dropped" in caplog.text


def test_large_texts_fill_a_file_and_the_room_for_what_waits(tmp_path: Path) -> None:
    settings = LogSettings(str(tmp_path), file_bytes=10_000, maximum_pending_bytes=25_000)
    log = PredictionLog(settings, "loans", version="3")
    large = np.array(["x" * 10_000], dtype=object)
    for _ in range(3):
        log.offer({"region": large})
    assert log.counts()["dropped"] == 1
    wait_for(log, 2)
    log.close()
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_what_has_piled_up_is_written_in_files_of_the_same_size(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a file where the folder should be")
    log = PredictionLog(LogSettings(str(tmp_path / "log"), file_rows=10, file_seconds=0.1), "loans", version="3")
    for _ in range(9):
        log.offer(block(4))
    time.sleep(0.8)
    (tmp_path / "log").unlink()
    wait_for(log, 36)
    log.close()
    files = (tmp_path / "log").rglob("*.parquet")
    assert sorted(len(pl.read_parquet(file)) for file in files) == [12, 12, 12]
