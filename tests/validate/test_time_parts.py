from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from drift_tables import policy
from user_files import minimal_project

from modelway.components.core.checks import Check, Verdict
from modelway.components.core.measures.time_parts import Days
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.validate.checks.drift import drift_checks
from modelway.components.validate.profile import Profile, profile_splits
from modelway.components.validate.time_parts import days_of, time_parts

PROJECT = minimal_project(features={"datetime": ["sold"]})


def month(number: int, rows: int = 2_000, *, hours: tuple[int, int] = (8, 20), days: int = 28) -> pl.DataFrame:
    """Sales at random times of some days of a month of 2026."""
    dice = np.random.default_rng(number)
    seconds = dice.integers(0, days, rows) * 86_400 + dice.integers(hours[0] * 3_600, hours[1] * 3_600, rows)
    first = dt.datetime(2026, number, 1)
    return pl.DataFrame({"sold": first, "late": dice.integers(0, 2, rows)}).with_columns(
        pl.col("sold") + pl.duration(seconds=pl.Series(seconds))
    )


def profile(rows: pl.DataFrame, reference: Profile | None = None) -> Profile:
    baseline = reference.new_baseline if reference is not None else None
    return profile_splits(rows.lazy(), rows.lazy(), contract=None, project=PROJECT, reference=baseline, data_hash="")


def drift(before: pl.DataFrame, now: pl.DataFrame, **sections: object) -> dict[str, Check]:
    earlier = profile(before)
    later = profile(now, earlier)
    columns = (*later.columns, *later.parts)
    checks = drift_checks(
        later.current,
        earlier.new_baseline,
        policy=policy(**sections),
        label="late",
        columns=columns,  # type: ignore[arg-type]
    )
    return {check.name: check for check in checks}


def test_the_next_month_is_no_drift() -> None:
    checks = drift(month(1), month(2))
    assert {name: check.verdict for name, check in checks.items()} == {
        "label_drift[late]": Verdict.PASSED,
        "drift[sold.weekday]": Verdict.PASSED,
        "drift[sold.hour]": Verdict.PASSED,
    }


def test_other_hours_and_weekdays_are_drift() -> None:
    assert drift(month(1), month(2, hours=(14, 23)))["drift[sold.hour]"].verdict is Verdict.FAILED
    weekend = month(2).filter(pl.col("sold").dt.weekday() > 5)
    assert drift(month(1), weekend)["drift[sold.weekday]"].verdict is Verdict.FAILED


def test_the_times_themselves_are_compared_where_the_policy_has_thresholds_for_them() -> None:
    checks = drift(month(1), month(2), columns={"sold": {"psi": 0.2}})
    assert checks["drift[sold]"].verdict is Verdict.FAILED
    assert checks["drift[sold.hour]"].verdict is Verdict.PASSED


def test_single_days_are_not_compared_by_what_day_it_is() -> None:
    assert set(drift(month(1, days=1), month(2, days=1))) == {"label_drift[late]"}
    assert set(drift(month(1, days=3), month(2, days=3))) == {"label_drift[late]", "drift[sold.hour]"}


def test_a_baseline_without_parts_is_said() -> None:
    earlier = profile(month(1))
    bare = {name: column for name, column in earlier.new_baseline.columns.items() if name not in earlier.parts}
    old = earlier.new_baseline.model_copy(update={"columns": bare, "days": {}})
    later = profile_splits(
        month(2).lazy(), month(2).lazy(), contract=None, project=PROJECT, reference=old, data_hash=""
    )
    checks = drift_checks(later.current, old, policy=policy(), label="late", columns=(*later.columns, *later.parts))
    assert {check.name: check.verdict for check in checks if check.name != "label_drift[late]"} == {
        "drift[sold.weekday]": Verdict.INCONCLUSIVE,
        "drift[sold.hour]": Verdict.INCONCLUSIVE,
    }
    assert set(later.parts) <= set(later.new_baseline.columns)


def test_parts_are_those_of_dates_and_times_and_replace_no_column() -> None:
    table = month(1, 10).with_columns(pl.col("sold").dt.date().alias("day"), pl.lit(1).alias("day.weekday"))
    assert list(time_parts(table.schema, ["sold", "day", "late", "gone"])) == ["sold.weekday", "sold.hour"]
    assert days_of(table.lazy(), ["late"]) == {}
    assert days_of(table.head(1).lazy(), ["sold", "day"]) == {"sold": Days(1, 1), "day": Days(1, 1)}
    assert days_of(table.clear().lazy(), ["sold"]) == {"sold": Days()}


def test_times_of_a_zone_have_the_parts_that_models_get() -> None:
    """In summer New York is four hours behind UTC."""
    table = pl.DataFrame({"sold": [dt.datetime(2026, 7, 5, 22)]}).with_columns(
        pl.col("sold").dt.replace_time_zone("America/New_York")
    )
    assert table.select(**time_parts(table.schema, ["sold"])).row(0) == (1, 2)
    model_input = to_model_input(table, ["sold"])["sold"].dt
    assert (model_input.weekday[0] + 1, model_input.hour[0]) == (1, 2)
    assert days_of(table.lazy(), ["sold"]) == {"sold": Days(1, 1)}


def snapshots(months: range, rows: int = 400) -> pl.DataFrame:
    """All rows of a table at the first of some months."""
    days = [dt.datetime(2024 + (month - 1) // 12, (month - 1) % 12 + 1, 1) for month in months for _ in range(rows)]
    return pl.DataFrame({"sold": days, "late": np.random.default_rng(len(days)).integers(0, 2, len(days))})


def test_the_weekdays_of_monthly_snapshots_are_left_to_chance() -> None:
    assert set(drift(snapshots(range(1, 5)), snapshots(range(2, 6)))) == {"label_drift[late]", "drift[sold.hour]"}
    assert set(drift(snapshots(range(1, 16)), snapshots(range(2, 17)))) == {"label_drift[late]", "drift[sold.hour]"}
