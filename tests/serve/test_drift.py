from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from modelway.components.core.config.data_policy import DataPolicy, Drift
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.stability import excess_stability_index
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.serve.drift import DriftWindow
from modelway.components.serve.signature import InputColumn, Signature
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.distributions import TableStatistics, measure, measure_like
from modelway.components.validate.time_parts import days_of, time_parts

SIGNATURE = Signature(
    (
        InputColumn("income", "number"),
        InputColumn("rooms", "number"),
        InputColumn("owner", "number"),
        InputColumn("region", "text"),
        InputColumn("opened", "time"),
    )
)
NAMES = [column.name for column in SIGNATURE.columns]
SCORED = ["income", "rooms", "owner", "region", "opened.weekday", "opened.hour"]


def table(rows: int, seed: int, shift: float = 0.0) -> pl.DataFrame:
    """Numbers, few numbers, booleans, texts and times, each missing at times; a shift's times are later in the day."""
    dice = np.random.default_rng(seed)
    days = dice.integers(0, 900, rows) + int(900 * shift)
    days -= ((days + 2) % 7 > 4) * round(2 * shift)  # 2020 begins on a Wednesday
    hours = dice.integers(0, 24, rows) * (1 - shift)
    frame = pl.DataFrame(
        {
            "income": dice.normal(shift, 1, rows),
            "rooms": dice.integers(1, 6, rows) + round(2 * shift),
            "owner": dice.random(rows) < 0.3 + 0.4 * shift,
            "region": dice.choice(["n", "s", "w"], rows, p=[0.6 - 0.5 * shift, 0.3, 0.1 + 0.5 * shift]),
            "opened": [
                dt.datetime(2020, 1, 1) + dt.timedelta(days=day, hours=hour)
                for day, hour in zip(days.tolist(), hours.tolist(), strict=True)
            ],
        }
    )
    missing = dice.random((rows, len(NAMES))) < 0.05
    return frame.select(
        pl.when(pl.Series(~missing[:, place])).then(pl.col(name)).alias(name) for place, name in enumerate(NAMES)
    )


def with_parts(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(**time_parts(frame.schema, ["opened"]))


def columns_of(frame: pl.DataFrame) -> dict[str, Any]:
    model_input = to_model_input(frame, NAMES)
    return {name: model_input[name].to_numpy() for name in NAMES}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("baseline") / "baseline.json"
    frame = with_parts(table(5000, 0))
    statistics = measure(frame, frame.columns, data_hash="")
    statistics.model_copy(update={"days": days_of(frame.lazy(), ["opened"])}).write(path)
    return path


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_scores_are_what_the_data_gate_measures(baseline: Path, shift: float) -> None:
    window, frame = DriftWindow.read(baseline, SIGNATURE), table(2000, 1, shift)
    for start in range(0, 2000, 250):
        window.add(columns_of(frame[start : start + 250]))
    statistics = TableStatistics.model_validate_json(baseline.read_bytes())
    current = measure_like(with_parts(frame), statistics, data_hash="")
    current = current.model_copy(update={"days": days_of(frame.lazy(), ["opened"])})
    expected = {}
    for name, reference in statistics.columns.items():
        if name == "opened":
            continue
        shares = reference.shares, current.columns[name].shares
        expected[name] = excess_stability_index(*shares, expected_rows=statistics.rows, rows=2000)
    (checks,) = [drift_checks(current, statistics, policy=DataPolicy(drift=Drift(psi=1e-9)))]
    by_gate = {check.name: check.observed for check in checks}
    assert by_gate == pytest.approx({f"drift[{name}]": index for name, index in expected.items()}, abs=1e-6)
    assert window.scores() == pytest.approx(expected, abs=1e-12)
    assert set(expected) == set(SCORED)
    assert all(score > 0.25 for score in expected.values()) == (shift > 0)


def test_rows_like_the_baselines_rarely_come_near_a_shift(baseline: Path) -> None:
    greatest = []
    for seed in range(100, 150):
        window = DriftWindow.read(baseline, SIGNATURE)
        window.add(columns_of(table(150, seed)))
        greatest.append(max(window.scores().values()))
    assert max(greatest) < 0.25


def test_a_few_rows_are_not_scored(baseline: Path) -> None:
    window = DriftWindow.read(baseline, SIGNATURE)
    window.add(columns_of(table(60, 1, 0.8)))
    assert window.scores() == {}
    window.add(columns_of(table(140, 2, 0.8)))
    assert list(window.scores()) == SCORED


def test_the_window_forgets_the_oldest_rows(baseline: Path) -> None:
    slides, whole = DriftWindow.read(baseline, SIGNATURE, rows=300), DriftWindow.read(baseline, SIGNATURE, rows=300)
    for start in range(0, 700, 70):
        slides.add(columns_of(table(70, start, 0.8)))
    latest = table(500, 3)
    for start in range(0, 500, 100):
        slides.add(columns_of(latest[start : start + 100]))
    whole.add(columns_of(latest))
    assert slides.scores() == whole.scores()


def test_a_column_of_another_type_than_the_baselines_is_left_out(baseline: Path) -> None:
    signature = Signature(
        (InputColumn("income", "text"), InputColumn("region", "text"), InputColumn("unknown", "number"))
    )
    window = DriftWindow.read(baseline, signature)
    window.add({"income": np.array(["a"] * 500, dtype=object), "region": np.array(["n"] * 500, dtype=object)})
    assert list(window.scores()) == ["region"]


def test_that_time_goes_on_is_no_drift(baseline: Path) -> None:
    """Against a server whose drift of a date rises day by day until its rollouts are undone."""
    window, later = DriftWindow.read(baseline, SIGNATURE), table(2000, 4)
    window.add(columns_of(later.with_columns(pl.col("opened") + dt.timedelta(days=3640))))  # whole weeks
    assert list(window.scores()) == SCORED
    assert max(window.scores().values()) < 0.05


def test_what_day_it_is_does_not_decide(baseline: Path) -> None:
    """A window of one day has one weekday, and one of some hours has these."""
    window, now = DriftWindow.read(baseline, SIGNATURE), dt.datetime(2026, 7, 6, 9)
    window.add(columns_of(table(2000, 5).with_columns(opened=pl.lit(now))))
    assert list(window.scores()) == SCORED[:4]
    window.add(columns_of(table(2000, 6).with_columns(opened=pl.lit(now + dt.timedelta(days=1)))))
    assert list(window.scores()) == [*SCORED[:4], "opened.hour"]
    assert window.scores()["opened.hour"] > 1


def test_times_that_are_missing_throughout_are_not_scored(baseline: Path) -> None:
    window = DriftWindow.read(baseline, SIGNATURE)
    window.add(columns_of(table(2000, 5).with_columns(opened=pl.lit(None, pl.Datetime("us")))))
    assert list(window.scores()) == SCORED[:4]


def test_a_baseline_of_an_earlier_version_has_no_parts(tmp_path: Path) -> None:
    measure(table(5000, 0), NAMES, data_hash="").write(tmp_path / "baseline.json")
    window = DriftWindow.read(tmp_path / "baseline.json", SIGNATURE)
    window.add(columns_of(table(2000, 1)))
    assert list(window.scores()) == SCORED[:4]


@pytest.mark.parametrize(
    "damaged", ['{"columns": {"income": 5}}', '{"columns": {}, "rows": 9, "days": {"opened": {"hours": 1}}}']
)
def test_a_damaged_baseline_is_refused(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "baseline.json").write_text(damaged)
    with pytest.raises(ModelwayError, match="baseline"):
        DriftWindow.read(tmp_path / "baseline.json", SIGNATURE)
