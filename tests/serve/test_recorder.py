from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from modelway.components.serve.prediction_log import LogSettings, PredictionLog
from modelway.components.serve.recorder import Recorder

ReadLog = Callable[[], pl.DataFrame]


def test_a_sample_of_requests_is_logged_with_all_their_rows(tmp_path: Path, read_log: ReadLog) -> None:
    log = PredictionLog(LogSettings(str(tmp_path), sample=0.2), "loans", version="3")
    recorder = Recorder(None, log, seed=0)
    for number in range(2000):
        outputs = {"predict": np.array(["a", "b"], dtype=object), "predict_proba": np.array([[0.1, 0.9], [1.0, 0.0]])}
        recorder.record({"income": np.array([number, number + 0.5])}, outputs, request_id=f"r{number}")
    recorder.close()
    table = read_log()
    assert 350 <= table["_request"].n_unique() <= 450
    assert len(table) == 2 * table["_request"].n_unique()
    assert table.columns == ["_at", "_request", "income", "_predict", "_predict_proba_0", "_predict_proba_1"]
    assert table["_predict_proba_1"].to_list()[:2] == [0.9, 0.0]
    assert table["_request"].to_list() == [f"r{int(income)}" for income in table["income"]]
    assert abs(table["_at"][-1].timestamp() - time.time()) < 86_400


def test_requests_that_want_other_outputs_are_logged_beside_each_other(tmp_path: Path, read_log: ReadLog) -> None:
    recorder = Recorder(None, PredictionLog(LogSettings(str(tmp_path)), "loans", version=""))
    recorder.record({"x": np.array([1.0])}, {"predict": np.array([5])})
    recorder.record({"x": np.array([2.0])}, {"other": np.array([6])})
    recorder.close()
    table = read_log().sort("x")
    assert table["_predict"].to_list() == [5, None]
    assert table["_other"].to_list() == [None, 6]
