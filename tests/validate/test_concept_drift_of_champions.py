"""The champion's skill on new labels, through the whole data gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
from light_models import describe_model, write_light_model
from registered_versions import release_version
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC
from user_files import minimal_policy, minimal_project_text

from modelway.components.core.checks import Check, Gate, Verdict, passed_or_failed
from modelway.components.core.errors import DamagedError
from modelway.components.core.evidence.blessing import GATES, Hashes
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.validate.stage import validate

POLICY = """
model: {metrics: {METRIC: {min: 0.1}}}
data: {drift: {multivariate: null}, leakage: {identifiers: false, duplicates: false, single_feature: null}}
"""
LABELS = {"binary": "integer", "multiclass": "string", "regression": "number"}


def rows(task: str, seed: int, count: int = 800) -> pl.DataFrame:
    """Two numbers, and a label that the first one tells in part."""
    dice = np.random.default_rng(seed)
    income, age = dice.normal(size=(2, count))
    signal = income + dice.normal(size=count)
    late: Any = signal
    if task == "binary":
        late = (signal > 0).astype(int)
    elif task == "multiclass":
        late = np.array(["early", "in time", "late"])[np.digitize(signal, [-0.6, 0.6])]
    return pl.DataFrame({"income": income, "age": age, "late": late})


def inverted(task: str) -> pl.Expr:
    label = pl.col("late")
    return {
        "binary": 1 - label,
        "multiclass": label.replace({"early": "late", "late": "early"}),
        "regression": -label,
    }[task].alias("late")


def write_model(folder: Path, task: str, estimator: Any = None) -> Path:
    """A champion in skops, trained on rows of the same kind."""
    train = rows(task, 99, 2_000).to_pandas()
    model = estimator or (LinearRegression() if task == "regression" else LogisticRegression())
    model.fit(train[["income", "age"]], train["late"])
    folder.mkdir()
    skops.io.dump(model, folder / "model.skops")
    return describe_model(folder, "model.skops", "skops", {"income": "double", "age": "double"})


def gates(metric: str, value: float, interval: tuple[float, float] | None) -> tuple[Gate, ...]:
    check = passed_or_failed(f"metric[{metric}]", True, message="", observed=value, interval=interval)
    return tuple(Gate(name=gate, checks=(check,)) for gate in GATES)


@dataclass(frozen=True)
class Champions:
    """Registers champions, and judges new data against them."""

    tracking: Tracking
    folder: Path

    def register(self, task: str, metric: str, *, model: Path, value: float, reach: float = 0.02) -> str:
        """Registers a model with a score, and an interval of so much to either side; 0: without one."""
        interval = (value - reach, value + reach) if reach else None
        blessing = {"gates": gates(metric, value, interval)}
        return release_version(self.tracking, f"loans-{task}", model=model, blessing=blessing)

    def gate(self, test: pl.DataFrame, task: str, champion: str, *, metric: str = "roc_auc") -> Gate:
        """The data gate of a test split, whose training split is of the same kind."""
        train = rows(task, 3) if "income" in test.columns else test
        for name, table in (("train", train), ("test", test)):
            table.write_parquet(self.folder / name)
        features = {"numeric": [name for name in test.columns if name != "late"]}
        types = {**dict.fromkeys(test.columns, "number"), "late": LABELS[task]}
        columns = "".join(f"  {name}: {{type: {kind}}}\n" for name, kind in types.items())
        return validate(
            str(self.folder / "train"),
            str(self.folder / "test"),
            project_text=minimal_project_text(name=f"loans-{task}", task=task, features=features),
            contract_text=f"columns:\n{columns}",
            policy_text=POLICY.replace("METRIC", metric),
            data_hash="new",
            champion=champion,
            baseline_path=str(self.folder / "baseline"),
            report_path=str(self.folder / "report.html"),
        )

    def check(self, test: pl.DataFrame, task: str, champion: str, *, metric: str = "roc_auc") -> Check:
        """The gate's check of the champion; the report and the gate's reasons have it too."""
        gate = self.gate(test, task, champion, metric=metric)
        (check,) = (check for check in gate.checks if check.name == "concept_drift")
        assert "Concept drift" in (self.folder / "report.html").read_text(encoding="utf-8")
        assert any(reason.startswith("concept_drift:") for reason in gate.reasons) is check.blocks
        return check


@pytest.fixture
def champions(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Champions:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    return Champions(tracking, tmp_path)


CASES = {
    "binary": ("roc_auc", 0.83),
    "multiclass": ("accuracy", 0.57),
    "regression": ("r2", 0.5),
}


@pytest.fixture(scope="module")
def registered(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A champion's version of each task."""
    folder = tmp_path_factory.mktemp("champions")
    own = Champions(tracking, folder)
    return {
        task: own.register(task, metric, model=write_model(folder / task, task), value=value)
        for task, (metric, value) in CASES.items()
    }


@pytest.mark.parametrize("task", CASES)
def test_the_same_distribution_passes_and_inverted_labels_fail(
    champions: Champions, registered: dict[str, str], task: str
) -> None:
    metric, version = CASES[task][0], registered[task]
    kept = champions.check(rows(task, 5), task, version, metric=metric)
    assert kept.verdict is Verdict.PASSED
    assert kept.observed == pytest.approx(1, abs=0.25)
    assert f"champion version {version} has {metric}" in kept.message
    lost = champions.check(rows(task, 5).with_columns(inverted(task)), task, version, metric=metric)
    assert (lost.verdict, lost.blocks) == (Verdict.FAILED, True)
    assert isinstance(lost.observed, float)
    assert lost.observed < 0
    assert "classes were exchanged" in lost.message


def test_without_a_champion_there_is_no_check(champions: Champions) -> None:
    gate = champions.gate(rows("binary", 5), "binary", "")
    assert "concept_drift" not in {check.name for check in gate.checks}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.head(99), "99 test rows have a label; 100 are needed"),
        (
            lambda table: table.with_columns(late=pl.when(pl.row_index() < 90).then("late")),
            "90 test rows have a label; 100 are needed",
        ),
        (lambda table: table.with_columns(late=pl.lit(1)), "all labels of 800 new test rows are of '1'"),
        (
            lambda table: table.drop("income").with_columns(other="age"),
            "cannot be judged on these rows: the model needs the column 'income', which the data does not have; bring",
        ),
    ],
)
def test_what_cannot_be_judged_is_said(
    champions: Champions, registered: dict[str, str], change: Callable[[pl.DataFrame], pl.DataFrame], says: str
) -> None:
    check = champions.check(change(rows("binary", 5)), "binary", registered["binary"])
    assert check.verdict is Verdict.INCONCLUSIVE
    assert says in check.message


def test_rows_of_a_new_class_are_left_out_and_named(champions: Champions, registered: dict[str, str]) -> None:
    table = rows("multiclass", 5).with_columns(
        late=pl.when(pl.row_index() % 10 == 0).then(pl.lit("never")).otherwise("late")
    )
    check = champions.check(table, "multiclass", registered["multiclass"], metric="accuracy")
    assert check.verdict is Verdict.PASSED
    assert "it knows no 'never', whose 80 rows are left out" in check.message
    mostly = table.with_columns(late=pl.when(pl.row_index() >= 90).then(pl.lit("never")).otherwise("late"))
    check = champions.check(mostly, "multiclass", registered["multiclass"], metric="accuracy")
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "rows are left; 100 are needed" in check.message


def test_renamed_classes_are_said(champions: Champions, registered: dict[str, str]) -> None:
    renamed = rows("multiclass", 5).with_columns(late=pl.col("late").str.to_uppercase())
    check = champions.check(renamed, "multiclass", registered["multiclass"], metric="accuracy")
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "it knows no 'EARLY', 'IN TIME', 'LATE', whose 800 rows are left out; 0 rows are left" in check.message


def test_a_class_that_is_gone_is_named_where_the_score_needs_it(champions: Champions) -> None:
    model = write_model(champions.folder / "model", "multiclass")
    version = champions.register("multiclass", "roc_auc_ovr", model=model, value=0.74)
    gone = rows("multiclass", 5).with_columns(late=pl.col("late").replace({"in time": "late"}))
    check = champions.check(gone, "multiclass", version, metric="roc_auc_ovr")
    assert check.verdict is Verdict.INCONCLUSIVE
    assert (
        "roc_auc_ovr 0.7400, which is not defined on 800 new test rows: none of them is of 'in time'" in check.message
    )


def test_a_champion_with_a_decision_function_alone_is_judged_by_its_scores(champions: Champions) -> None:
    model = write_model(champions.folder / "model", "binary", LinearSVC())
    version = champions.register("binary", "roc_auc", model=model, value=0.83)
    check = champions.check(rows("binary", 5), "binary", version)
    assert check.verdict is Verdict.PASSED


def test_a_score_without_an_interval_is_as_uncertain_as_the_new_one(
    champions: Champions, registered: dict[str, str]
) -> None:
    model = write_model(champions.folder / "model", "binary")
    version = champions.register("binary", "roc_auc", model=model, value=0.83, reach=0)
    bare, certain = (champions.check(rows("binary", 5), "binary", number) for number in (version, registered["binary"]))
    assert bare.interval is not None
    assert certain.interval is not None
    assert np.ptp(bare.interval) > 1.1 * np.ptp(certain.interval)


def test_a_champion_that_cannot_be_loaded_is_said_with_the_remedy(champions: Champions) -> None:
    folder = champions.folder / "model"
    write_light_model(folder, pd.DataFrame, {"income": "double"})
    (folder / "model.pkl").write_bytes(b"cno_such_module\nModel\n.")
    version = champions.register("binary", "roc_auc", model=folder, value=0.83)
    check = champions.check(rows("binary", 5), "binary", version)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "the model cannot be loaded: No module named 'no_such_module'; train it again" in check.message


def test_a_champion_of_an_untrusted_type_is_not_loaded(champions: Champions) -> None:
    """Against who writes a model that runs code where it is loaded."""
    folder = write_model(champions.folder / "model", "binary")
    skops.io.dump(Untrusted(), folder / "model.skops")
    version = champions.register("binary", "roc_auc", model=folder, value=0.83)
    check = champions.check(rows("binary", 5), "binary", version)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert "Untrusted: not among the types" in check.message
    assert "`model.trusted_types`" in check.message


class Untrusted:
    """A type that no policy trusts."""

    def predict(self, _: pd.DataFrame) -> Any:
        raise AssertionError


def test_a_champion_that_is_not_the_blessed_one_ends_the_stage(champions: Champions) -> None:
    """Against who changes the champion's model in MLflow."""
    model = write_model(champions.folder / "model", "binary")
    hashes = Hashes(model="other", project="p", contract="c", policy=minimal_policy().sha256())
    blessing = {"gates": gates("roc_auc", 0.83, (0.8, 0.86)), "hashes": hashes}
    version = release_version(champions.tracking, "loans-binary", model=model, blessing=blessing)
    with pytest.raises(DamagedError, match="not the one that was blessed"):
        champions.check(rows("binary", 5), "binary", version)
