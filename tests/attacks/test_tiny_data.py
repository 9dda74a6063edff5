"""Tables of few or few distinct rows against a champion: the data gate ends in a verdict or in an error of ours."""

from __future__ import annotations

import datetime as dt
import warnings
import zoneinfo
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from light_models import describe_model
from properties import bounded
from registered_versions import release_version
from sklearn.linear_model import LinearRegression, LogisticRegression
from user_files import minimal_project

from modelway.components.core.audit.opened_version import OpenedVersion, open_champion
from modelway.components.core.checks import Gate, Verdict, passed_or_failed
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.blessing import GATES
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.validate import stage
from modelway.components.validate.baseline import write_baseline
from modelway.components.validate.profile import profile_splits
from modelway.components.validate.stage import validate

FEATURES = {"numeric": ["size", "flag"], "categorical": ["code", "odd"], "datetime": ["day"]}
TASKS = ("binary", "multiclass", "regression")
SPLITS: list[dict[str, Any]] = [
    {},
    {"equal_rows": "apart"},
    {"equal_rows": "together"},
    {"by": "group", "column": "code"},
    {"by": "time", "column": "day"},
]
POLICY = """
model: {metrics: {accuracy: {min: 0.5}}}
data: {drift: {minimum_rows: 2, jensen_shannon: 0.2, kolmogorov_smirnov: 0.2, cramers_v: 0.2}, skew: {minimum_rows: 2}}
"""
TOKYO = zoneinfo.ZoneInfo("Asia/Tokyo")
TOKYO_TIMES = pl.Datetime("us", "Asia/Tokyo")
DAYS = st.dates(dt.date(1969, 12, 20), dt.date(2030, 1, 1))
TIMES = st.datetimes(dt.datetime(1969, 12, 20), dt.datetime(2030, 1, 1))
KINDS: dict[str, list[tuple[Any, Any]]] = {
    "size": [(st.floats(width=32), pl.Float64), (st.integers(-3, 3), pl.Int64), (st.floats(-9, 9), pl.Float32)],
    "flag": [(st.booleans(), pl.Boolean), (st.integers(0, 1), pl.Int8), (st.none(), pl.Null)],
    "code": [(st.sampled_from(["a", "b", "", "ü"]), pl.String), (st.integers(0, 40), pl.Int64)],
    "odd": [
        (st.text(max_size=3), pl.String),
        (st.lists(st.integers(0, 1), max_size=2), pl.List(pl.Int64)),
        (st.decimals(-1, 1, places=2), pl.Decimal(9, 2)),
        (st.binary(max_size=2), pl.Binary),
    ],
    "day": [
        (DAYS, pl.Date),
        (TIMES, pl.Datetime("ms")),
        (st.datetimes(dt.datetime(1969, 12, 20), dt.datetime(2030, 1, 1), timezones=st.just(TOKYO)), TOKYO_TIMES),
        (st.sampled_from(["2024-01-01", "?"]), pl.String),
    ],
    "late": [
        (st.integers(0, 1), pl.Int64),
        (st.sampled_from(["0", "1", "2"]), pl.String),
        (st.floats(width=32), pl.Float64),
        (st.booleans(), pl.Boolean),
        (st.integers(0, 3), pl.Int32),
    ],
}


SHAPES = ("any", "any", "gaps", "constant", "missing", "gone")


@st.composite
def splits(draw: Any) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A training and a test split, each of one to thirty rows that stand once or forty times.

    Columns are of any values, with gaps, constant, missing throughout or not there, mostly alike on both sides.
    """
    sizes = [draw(st.integers(1, 30)), draw(st.integers(1, 30))]
    columns: list[list[pl.Series]] = [[], []]
    for name, kinds in KINDS.items():
        alike = draw(st.sampled_from(kinds)), draw(st.sampled_from(SHAPES))
        other = draw(st.sampled_from(kinds)), draw(st.sampled_from(SHAPES))
        for side, rows in zip(columns, sizes, strict=True):
            (values, dtype), shape = other if draw(st.integers(0, 9)) == 0 else alike
            if shape != "gone":
                side.append(pl.Series(name, draw(contents(values, shape, rows)), dtype, strict=False))
            elif name == "size":
                side.append(pl.Series(name, [0.0] * rows))
    train, test = (pl.concat([pl.DataFrame(side)] * draw(st.sampled_from([1, 1, 40]))) for side in columns)
    return train, test


def contents(values: Any, shape: str, rows: int) -> Any:
    if shape == "constant":
        return values.map(lambda value: [value] * rows)
    if shape == "missing":
        return st.just([None] * rows)
    return st.lists(st.one_of(st.none(), values) if shape == "gaps" else values, min_size=rows, max_size=rows)


def plain_table(rows: int, kinds: int) -> pl.DataFrame:
    """Rows of so many kinds, as a champion's release had them."""
    dice = np.random.default_rng(kinds)
    kind = dice.integers(0, kinds, rows)
    return pl.DataFrame(
        {
            "size": kind / kinds,
            "flag": kind % 2 == 0,
            "code": [f"c{value % 40}" for value in kind],
            "odd": [f"o{value % 3}" for value in kind],
            "day": [dt.date(2024, 1, 1) + dt.timedelta(days=int(value % 90)) for value in kind],
            "late": (kind / kinds + dice.normal(size=rows) > 0.5).astype(int),
        }
    )


class Champions(list[OpenedVersion | None]):
    """Opened champions, which a failing example does not print."""

    def __repr__(self) -> str:
        return "champions"


@pytest.fixture(scope="module")
def champions(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Champions:
    """None, and those of a table of many rows, of a survey of eight distinct rows, and of a table of three rows."""
    opened = Champions([None])
    for number, (task, table) in enumerate(
        zip(TASKS, (plain_table(700, 10**6), plain_table(700, 8), plain_table(3, 3)), strict=True)
    ):
        folder = tmp_path_factory.mktemp("champion")
        name = f"tiny-{number}"
        estimator = LinearRegression() if task == "regression" else LogisticRegression()
        train = plain_table(700, 10**6)
        late = train["late"].to_numpy() + (np.arange(700) % 3 == 0) * (task == "multiclass")
        estimator.fit(train.select("size").to_pandas(), late)
        model = folder / "model"
        model.mkdir()
        skops.io.dump(estimator, model / "model.skops")
        describe_model(model, "model.skops", "skops", {"size": "double"})
        profile = profile_splits(
            table.lazy(),
            table.lazy(),
            contract=None,
            project=minimal_project(features=FEATURES),
            reference=None,
            data_hash="old",
        )
        write_baseline(folder / "evidence", profile.new_baseline, sample=profile.sample)
        metric = "r2" if task == "regression" else "accuracy"
        check = passed_or_failed(f"metric[{metric}]", True, message="", observed=0.6, interval=(0.59, 0.61))
        version = release_version(
            tracking,
            name,
            model=model,
            bound={file.name: file.read_bytes() for file in (folder / "evidence").iterdir()},
            blessing={"gates": tuple(Gate(name=gate, checks=(check,)) for gate in GATES)},
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
            opened.append(open_champion(name, version, blessing_sha256=""))
    return opened


@cache
def project_text(task: str, split: int) -> str:
    return Project.model_validate(
        minimal_project().model_dump()
        | {"task": task, "features": FEATURES, "data": {"source": "x", "split": SPLITS[split]}}
    ).canonical()


CONTRACTS = {
    "typed": "size: {type: number}, flag: {type: boolean}, code: {type: string}, late: {type: integer}",
    "bare": "other: {type: number, required: false}",
}


def judge(
    folder: Path, tables: tuple[pl.DataFrame, pl.DataFrame], *, project: str, contract: str, is_served: bool
) -> Gate | None:
    """The gate; None if it ends in an error of ours."""
    for name, table in zip(("train", "test"), tables, strict=True):
        table.write_parquet(folder / name)
    try:
        return validate(
            str(folder / "train"),
            str(folder / "test"),
            project_text=project,
            contract_text=f"columns: {{{contract}}}",
            policy_text=POLICY,
            data_hash="d",
            champion="opened already",
            serving_path=str(folder / "test") if is_served else "",
            baseline_path=str(folder / "baseline"),
            report_path=str(folder / "report.html"),
        )
    except ModelwayError:
        return None


@bounded(40)
@given(
    tables=splits(),
    task=st.sampled_from(TASKS),
    split=st.integers(0, len(SPLITS) - 1),
    champion=st.integers(0, len(TASKS)),
    contract=st.sampled_from(sorted(CONTRACTS)),
    is_served=st.booleans(),
)
def test_any_table_ends_in_a_verdict_or_an_error_of_ours(
    champions: Champions,
    tables: tuple[pl.DataFrame, pl.DataFrame],
    task: str,
    split: int,
    champion: int,
    contract: str,
    is_served: bool,
) -> None:
    """Opening a champion reads a whole version from MLflow, so it is done once for all tables."""
    with (
        TemporaryDirectory() as work,
        warnings.catch_warnings(action="ignore"),
        pytest.MonkeyPatch.context() as patch,
    ):
        folder = Path(work)
        patch.setattr(stage, "open_champion", lambda *_, **__: champions[champion])
        project, columns = project_text(task, split), CONTRACTS[contract]
        gate = judge(folder, tables, project=project, contract=columns, is_served=is_served)
        if gate is not None:
            assert gate.verdict in Verdict
            assert len({check.name for check in gate.checks}) == len(gate.checks)
            assert (folder / "report.html").stat().st_size > 0
