from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import sklearn.metrics
import skops.io
import yaml
from registered_versions import release_version
from sklearn.base import BaseEstimator
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from user_files import minimal_project_text

from modelway.components.core.checks import RULES, Verdict
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.measures.out_of_fold import METADATA_KEY, OutOfFold
from modelway.components.core.measures.predicting import predict_table
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256, load_model
from modelway.components.core.storage.uri import sha256_of
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.evaluate.stage import Evaluation, evaluate

FEATURES = ("income", "age")
THRESHOLDS: dict[str, Any] = {"model": {"metrics": {"roc_auc": {"min": 0.7}}, "minimum_rows": 50}}


def rows(count: int = 300, seed: int = 0) -> pl.DataFrame:
    dice = np.random.default_rng(seed)
    income, age = dice.normal(size=count), dice.normal(size=count)
    signal = income + 0.4 * dice.normal(size=count)
    return pl.DataFrame(
        {
            "income": income,
            "age": age,
            "region": np.where(dice.random(count) < 0.5, "north", "south"),
            "late": np.where(signal > 0, "yes", "no"),
            "grade": np.select([signal > 0.5, signal > -0.5], ["a", "b"], "c"),
            "amount": signal,
            "cents": signal * 100,
        }
    )


def project(task: str = "binary", label: str = "late", name: str = "loans", **more: Any) -> str:
    return minimal_project_text(name=name, task=task, label=label, features={"numeric": list(FEATURES)}, **more)


def save(estimator: BaseEstimator, folder: Path, label: str = "late", columns: tuple[str, ...] = FEATURES) -> None:
    """Fits a model and writes it as MLflow lays it out."""
    data = rows(seed=1).with_columns(gone=pl.col("income"))
    pipeline = Pipeline([("scale", StandardScaler()), ("model", estimator)])
    pipeline.fit(to_model_input(data, columns), data[label].to_numpy())
    folder.mkdir(parents=True)
    skops.io.dump(pipeline, folder / "model.skops")
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops"}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")


@dataclass
class Judge:
    """A folder with a model and a test split, and the call that judges the one on the other."""

    folder: Path

    def __call__(
        self,
        policy: dict[str, Any] = THRESHOLDS,
        text: str = "",
        *,
        test: pl.DataFrame | None = None,
        unseen: pl.DataFrame | None = None,
        champion: str = "",
        run_id: str = "",
        model_hash: str = "",
        as_of: str = "",
        out_of_fold: OutOfFold | None = None,
    ) -> Evaluation:
        evaluation = rows() if test is None else test
        evaluation.write_parquet(self.folder / "test")
        (evaluation.clear() if unseen is None else unseen).write_parquet(self.folder / "unseen")
        if out_of_fold is not None:
            out_of_fold.write(str(self.folder / "out_of_fold"))
            self.bind()
        return evaluate(
            str(self.folder / "model"),
            str(self.folder / "test"),
            unseen_path=str(self.folder / "unseen"),
            out_of_fold_path=str(self.folder / "out_of_fold") if (self.folder / "out_of_fold").exists() else "",
            project_text=text or project(),
            policy_text=yaml.safe_dump(policy),
            champion=champion,
            run_id=run_id,
            model_hash=model_hash,
            as_of=as_of,
            report_path=str(self.folder / "report.html"),
        )

    def bind(self) -> None:
        """Has the model name the out-of-fold predictions, as training does."""
        file = self.folder / "model" / "MLmodel"
        if "metadata" not in (content := yaml.safe_load(file.read_text(encoding="utf-8"))):
            content["metadata"] = {METADATA_KEY: sha256_of(self.folder / "out_of_fold")}
            file.write_text(yaml.safe_dump(content), encoding="utf-8")

    @property
    def page(self) -> str:
        return (self.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    save(LogisticRegression(), tmp_path / "model")
    return Judge(tmp_path)


def test_a_good_model_proceeds(judge: Judge) -> None:
    model_hash = folder_sha256(judge.folder / "model")
    evaluation = judge(model_hash=model_hash)
    assert evaluation.gate.verdict is Verdict.PASSED
    assert evaluation.gate.facts == {
        "model_hash": model_hash,
        "mlflow_run": "",
        "project_hash": Project.parse(project()).sha256(),
        "policy_hash": Policy.parse(yaml.safe_dump(THRESHOLDS)).sha256(),
        "test_rows": 300,
        "unseen_rows": 0,
        "champion": None,
        "rules": RULES,
    }
    test = rows()
    answers = load_model(judge.folder / "model").predict_proba(to_model_input(test, FEATURES))[:, 1]
    truth = (test["late"] == "yes").to_numpy()
    assert evaluation.scores["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truth, answers))
    assert set(evaluation.scores) == {"roc_auc", "average_precision", "accuracy", "f1", "log_loss"}
    assert evaluation.classes == ["no", "yes"]
    assert np.sum(evaluation.confusion) == 300
    assert len(evaluation.rocs) == 1


def test_a_bad_model_is_rejected_with_the_reason(judge: Judge) -> None:
    evaluation = judge({"model": {"metrics": {"roc_auc": {"min": 0.999}, "accuracy": {"min": 0.1}}}})
    assert evaluation.gate.verdict is Verdict.FAILED
    assert not evaluation.gate.proceed
    (reason,) = evaluation.gate.reasons
    assert reason.startswith("metric[roc_auc]: 0.9")
    assert "95% interval" in reason
    assert "the policy requires at least 0.999" in reason
    assert reason in judge.page


def test_the_positive_class_is_the_projects(judge: Judge) -> None:
    usual, swapped = judge(), judge(text=project(positive="no"))
    assert swapped.classes == ["yes", "no"]
    assert swapped.scores["f1"] != usual.scores["f1"]
    assert swapped.scores["accuracy"] == usual.scores["accuracy"]
    assert swapped.confusion == [row[::-1] for row in usual.confusion[::-1]]


@pytest.mark.parametrize("mode", ["enabled", "dry_run", "disabled"])
def test_a_model_that_is_not_the_trained_one_is_rejected_unloaded_whatever_the_mode(judge: Judge, mode: str) -> None:
    trained_hash = folder_sha256(judge.folder / "model")
    (judge.folder / "model" / "MLmodel").write_text("not even YAML: [", encoding="utf-8")
    waiver = {"gate": "model", "check": "*", "reason": "now", "by": "me", "until": "2999-01-01"}
    policy = {"model": {**THRESHOLDS["model"], "mode": mode}, "waivers": [waiver]}
    evaluation = judge(policy, model_hash=trained_hash)
    (check,) = evaluation.gate.checks
    assert (check.name, check.verdict) == ("model_hash", Verdict.FAILED)
    assert (check.observed, check.threshold) == (folder_sha256(judge.folder / "model"), trained_hash)
    assert not evaluation.gate.proceed
    assert "not those that were trained" in evaluation.gate.reasons[0]
    assert evaluation.gate.reasons[0].split(":")[0] in judge.page
    assert evaluation.scores == {}


@pytest.mark.parametrize("rule", ["block", "warn"])
def test_an_empty_test_split_is_rejected(judge: Judge, rule: str) -> None:
    evaluation = judge({"model": {**THRESHOLDS["model"], "on_inconclusive": rule}}, test=rows().clear())
    (check,) = evaluation.gate.checks
    assert (check.name, check.verdict) == ("test_rows", Verdict.FAILED)
    assert not evaluation.gate.proceed
    assert "no rows" in judge.page


def test_a_model_whose_answers_are_none_is_rejected_and_not_scored(tmp_path: Path) -> None:
    save(LinearRegression(), tmp_path / "model", "cents")
    test = rows().with_columns(income=pl.when(pl.col("income") > 2).then(1e308).otherwise("income"))
    policy = {"model": {"metrics": {"r2": {"min": 0.1}}}}
    evaluation = Judge(tmp_path)(policy, project("regression", "cents"), test=test)
    (check,) = evaluation.gate.checks
    assert (check.name, check.verdict, evaluation.gate.proceed) == ("sane_predictions", Verdict.FAILED, False)


def test_a_disabled_gate_makes_no_checks_and_still_shows_the_scores(judge: Judge) -> None:
    evaluation = judge({"model": {**THRESHOLDS["model"], "mode": "disabled", "metrics": {"roc_auc": {"min": 0.999}}}})
    assert evaluation.gate.checks == ()
    assert evaluation.gate.proceed
    assert evaluation.scores["roc_auc"] > 0.8


def test_a_dry_run_judges_and_blocks_nothing(judge: Judge) -> None:
    gate = judge({"model": {**THRESHOLDS["model"], "mode": "dry_run", "metrics": {"roc_auc": {"min": 0.999}}}}).gate
    assert (gate.verdict, gate.proceed) == (Verdict.FAILED, True)


@pytest.mark.parametrize(("day", "proceeds"), [("2026-03-01", True), ("2026-03-02", False)])
def test_a_waiver_holds_until_its_day(judge: Judge, day: str, proceeds: bool) -> None:
    waiver = {"gate": "model", "check": "metric[*]", "reason": "agreed", "by": "Ada", "until": "2026-03-01"}
    policy = {"model": {**THRESHOLDS["model"], "metrics": {"roc_auc": {"min": 0.999}}}, "waivers": [waiver]}
    gate = judge(policy, as_of=day).gate
    assert (gate.verdict, gate.proceed) == (Verdict.FAILED, proceeds)


@pytest.mark.parametrize("least", [0.5, 0.999])
def test_the_unseen_rows_are_judged_too(judge: Judge, least: float) -> None:
    policy = {"model": {**THRESHOLDS["model"], "unseen": {"roc_auc": {"min": least}}}}
    assert judge(policy).gate.verdict is Verdict.INCONCLUSIVE
    gate = judge(policy, unseen=rows(200, seed=9)).gate
    (check,) = [check for check in gate.checks if check.name == "unseen[roc_auc]"]
    assert check.verdict is (Verdict.PASSED if least == 0.5 else Verdict.FAILED)
    assert "on 200 unseen rows" in check.message
    assert gate.facts["unseen_rows"] == 200


EVERYTHING: dict[str, Any] = {
    **THRESHOLDS["model"],
    "weak_segments": {"metrics": {"accuracy": {"min": 0.2}}, "minimum_rows": 50},
    "calibration": {"expected_calibration_error": 0.3},
    "robustness": {
        "metric": "roc_auc",
        "missing_values": {"max_drop": 0.1},
        "noise": {"max_drop": 0.2},
        "unseen_categories": {"max_drop": 0.1},
    },
    "rules": [{"name": "income", "monotone": "income"}, {"name": "bounded", "within": {"min": 0, "max": 1}}],
    "fairness": {"columns": ["region"], "metrics": {"demographic_parity_difference": {"max": 0.9}}},
    "slices": {"columns": ["region"], "metrics": {"roc_auc": {"min": 0.5}}, "max_gap": {"roc_auc": 0.3}},
}


def test_everything_that_can_be_asked_is_judged_once_and_shown(judge: Judge) -> None:
    evaluation = judge({"model": EVERYTHING})
    names = [check.name for check in evaluation.gate.checks]
    assert len(names) == len(set(names))
    kinds = {name.partition("[")[0] for name in names}
    assert kinds >= {
        "sane_predictions", "deterministic", "metric", "slice", "slice_gap", "calibration", "robustness",
        "prediction_rule", "fairness",
    }  # fmt: skip
    assert any(name.startswith("weak_segment") for name in names)
    assert "robustness[unseen_categories]" not in names  # there is no categorical feature
    verdicts = {check.name: check.verdict for check in evaluation.gate.checks}
    assert verdicts["robustness[missing_values]"] is Verdict.FAILED  # the model does not bear them
    assert verdicts["prediction_rule[income]"] is Verdict.PASSED
    for title in ("Slices", "Fairness", "Robustness", "Rules on predictions", "Reliability"):
        assert title in judge.page
    assert judge({"model": EVERYTHING}).gate == evaluation.gate


def test_slices_that_are_to_be_compared_must_be_named(judge: Judge) -> None:
    with pytest.raises(ModelwayError, match="names no slices") as error:
        judge({"model": {**THRESHOLDS["model"], "no_regression": {"metric": "roc_auc", "slices": True}}})
    assert error.value.key == "model.no_regression.slices"


def test_rows_of_a_group_make_intervals_wider(judge: Judge) -> None:
    test = pl.concat([rows(60)] * 5).with_columns(person=pl.Series(list(range(60)) * 5))
    by_group = project(data={"source": "x.csv", "split": {"by": "group", "column": "person"}})
    widths = []
    for text in (project(), by_group):
        (check,) = [
            candidate_check
            for candidate_check in judge(text=text, test=test).gate.checks
            if candidate_check.name == "metric[roc_auc]"
        ]
        assert check.interval is not None
        widths.append(check.interval[1] - check.interval[0])
    assert widths[1] > 1.8 * widths[0]


@pytest.mark.parametrize(("rule", "proceeds"), [("block", False), ("warn", True)])
def test_a_small_test_split_is_inconclusive(judge: Judge, rule: str, proceeds: bool) -> None:
    policy = {"model": {**THRESHOLDS["model"], "on_inconclusive": rule}}
    gate = judge(policy, test=rows(49)).gate
    assert (gate.verdict, gate.proceed) == (Verdict.INCONCLUSIVE, proceeds)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning", "ignore:No positive class")
def test_a_test_split_with_one_class_is_inconclusive(judge: Judge) -> None:
    evaluation = judge(test=rows().with_columns(late=pl.lit("no")))
    assert evaluation.gate.verdict is Verdict.INCONCLUSIVE
    assert not evaluation.gate.proceed
    assert "roc_auc" not in evaluation.scores
    assert np.isfinite(list(evaluation.scores.values())).all()
    assert evaluation.rocs == []


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_a_class_that_the_test_split_lacks_does_not_matter_to_other_metrics(tmp_path: Path) -> None:
    save(LogisticRegression(), tmp_path / "model", "grade")
    test = rows().filter(pl.col("grade") != "b")
    policy = {"model": {"metrics": {"accuracy": {"min": 0.3}}, "minimum_rows": 50}}
    evaluation = Judge(tmp_path)(policy, project("multiclass", "grade"), test=test)
    assert evaluation.gate.verdict is Verdict.PASSED
    assert [roc.name for roc in evaluation.rocs] == ["a", "c"]


@pytest.mark.parametrize(
    ("estimator", "task", "label", "metric", "customary"),
    [
        (GaussianNB(), "multiclass", "grade", "f1_macro", {"accuracy", "balanced_accuracy", "f1_macro", "log_loss"}),
        (LinearRegression(), "regression", "amount", "r2", {"r2", "mean_absolute_error", "root_mean_squared_error"}),
        (LinearSVC(), "binary", "late", "accuracy", {"roc_auc", "average_precision", "accuracy", "f1"}),
        (
            HistGradientBoostingClassifier(max_iter=5),
            "binary",
            "late",
            "recall",
            {"recall", "roc_auc", "average_precision", "accuracy", "f1", "log_loss"},
        ),
    ],
)
def test_every_kind_of_model_has_its_customary_scores(
    tmp_path: Path, estimator: BaseEstimator, task: str, label: str, metric: str, customary: set[str]
) -> None:
    save(estimator, tmp_path / "model", label)
    judge = Judge(tmp_path)
    evaluation = judge({"model": {"metrics": {metric: {"min": 0.3}}}}, project(task, label))
    assert evaluation.gate.verdict is Verdict.PASSED
    assert set(evaluation.scores) == customary
    assert bool(evaluation.confusion) is (task != "regression")
    assert "<svg" in judge.page or estimator.__class__ is LinearSVC
    assert "http://" not in judge.page
    assert "<script" not in judge.page
    assert len(judge.page) < 100_000


def test_slices_are_judged_and_shown(judge: Judge) -> None:
    test = rows().with_columns(
        region=pl.when(pl.col("region") == "south").then(pl.lit("<b>x</b>")).otherwise("region"),
        late=pl.when(pl.col("region") == "south")
        .then(pl.col("late").replace_strict(["no", "yes"], ["yes", "no"]))
        .otherwise("late"),
    )
    slices = {"columns": ["region", "age"], "metrics": {"roc_auc": {"min": 0.8}}, "minimum_rows": 30, "bins": 2}
    evaluation = judge(
        {"model": {**THRESHOLDS["model"], "metrics": {"accuracy": {"min": 0.01}}, "slices": slices}}, test=test
    )
    verdicts = {check.name: check.verdict for check in evaluation.gate.checks}
    assert verdicts["slice[region=north].roc_auc"] is Verdict.PASSED
    assert verdicts["slice[region=<b>x</b>].roc_auc"] is Verdict.FAILED
    assert sum(name.startswith("slice[") for name in verdicts) == 2 + 2
    assert "<b>x</b>" not in judge.page
    assert "slice[region=&lt;b&gt;x&lt;/b&gt;].roc_auc" in judge.page


def test_a_column_that_the_model_needs_is_named(judge: Judge) -> None:
    with pytest.raises(ModelwayError, match="the model needs the column 'age'") as error:
        judge(test=rows().drop("age"))
    assert error.value.column == "age"


def test_a_metric_that_cannot_be_computed_is_an_error_where_the_policy_asks(tmp_path: Path) -> None:
    save(LinearSVC(), tmp_path / "model")
    with pytest.raises(ModelwayError, match="the metric log_loss cannot be computed"):
        Judge(tmp_path)({"model": {"metrics": {"log_loss": {"max": 1}}}})


@pytest.fixture(scope="module")
def champions(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Registered versions: a weak model, a good one, and one that needs a column that is gone."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    work, versions = tmp_path_factory.mktemp("champions"), {}
    for name, columns in {"weak": ("age",), "good": FEATURES, "other": ("income", "gone")}.items():
        save(LogisticRegression(), work / name, columns=columns)
        bound = {"policy.json": Policy.model_validate(THRESHOLDS).canonical().encode()}
        versions[name] = release_version(tracking, "loans-evaluate", model=work / name, bound=bound, alias="champion")
    yield versions
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("champion", "verdict", "says"),
    [
        ("weak", Verdict.PASSED, "better (the difference is +"),
        ("good", Verdict.PASSED, "equal, since both give the same predictions on every row"),
        ("other", Verdict.INCONCLUSIVE, "the model needs the column 'gone'"),
    ],
)
def test_the_model_is_compared_with_the_champion_on_the_same_rows(
    judge: Judge, champions: dict[str, str], champion: str, verdict: Verdict, says: str
) -> None:
    policy = {"model": {**THRESHOLDS["model"], "no_regression": {"metric": "roc_auc", "margin": 0.01}}}
    version = champions[champion]
    gate = judge(policy, project(name="loans-evaluate"), champion=version).gate
    (check,) = [candidate_check for candidate_check in gate.checks if candidate_check.name.startswith("no_regression")]
    assert (check.name, check.verdict) == ("no_regression[roc_auc]", verdict)
    assert says in check.message
    assert gate.facts["champion"] == f"loans-evaluate version {version}"
    assert gate.proceed is (verdict is Verdict.PASSED)


def test_a_model_worse_than_the_champion_is_rejected(tmp_path: Path, champions: dict[str, str]) -> None:
    save(LogisticRegression(), tmp_path / "model", columns=("age",))
    policy = {"model": {"metrics": {"roc_auc": {"min": 0.1}}, "no_regression": {"metric": "log_loss"}}}
    evaluation = Judge(tmp_path)(policy, project(name="loans-evaluate"), champion=champions["good"])
    assert evaluation.gate.verdict is Verdict.FAILED
    assert "worse (the difference is -" in evaluation.gate.reasons[0]
    assert "margin 0.01" in evaluation.gate.reasons[0]


def test_the_scores_are_logged_in_the_models_run(judge: Judge, tracking: Tracking, champions: dict[str, str]) -> None:
    assert champions
    with tracking.run("loans-evaluate", "train", tags={}) as run_id:
        evaluation = judge(run_id=run_id)
    metrics = tracking.client.get_run(run_id).data.metrics
    assert metrics == pytest.approx({f"test_{name}": value for name, value in evaluation.scores.items()})
    assert evaluation.gate.facts["mlflow_run"] == run_id


def predicted_out_of_fold(judge: Judge, table: pl.DataFrame, repeats: int = 2) -> OutOfFold:
    """Predictions of rows that the model was not fitted on."""
    model = load_model(judge.folder / "model")
    return OutOfFold(table, (predict_table(model, table, project=Project.parse(project())),) * repeats)


SMALL = {
    "model": {
        "metrics": {"roc_auc": {"min": 0.7}},
        "minimum_rows": 100,
        "slices": {"columns": ["region"], "metrics": {"accuracy": {"min": 0.2}}, "minimum_rows": 50},
        "calibration": {"expected_calibration_error": 0.9},
        "no_regression": {"metric": "roc_auc", "slices": True},
    }
}


def test_a_small_table_is_judged_from_all_its_rows_and_compared_on_the_test_rows(
    judge: Judge, tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    champion = release_version(tracking, "loans-small", model=judge.folder / "model")
    text, training, test = project(name="loans-small"), rows(172, seed=7), rows(43, seed=8)
    evaluation = judge(SMALL, text, test=test, champion=champion, out_of_fold=predicted_out_of_fold(judge, training))
    checks = {check.name: check for check in evaluation.gate.checks}
    assert "test_rows" not in checks  # 43 are fewer than the policy's 100
    assert "on 215 rows, 172 of them out of fold" in checks["metric[roc_auc]"].message
    assert "on 215 rows, 172 of them out of fold" in checks["calibration"].message
    together = pl.concat([training, test])
    for region in ("north", "south"):
        count, out_of_fold = ((table["region"] == region).sum() for table in (together, training))
        expected = f"on {count} rows, {out_of_fold} of them out of fold"
        assert expected in checks[f"slice[region={region}].accuracy"].message
    assert "on 43 rows" in checks["no_regression[roc_auc]"].message
    north = checks["no_regression[region=north].roc_auc"].message
    assert north.startswith(f"{(test['region'] == 'north').sum()} rows")
    assert evaluation.gate.facts["out_of_fold_hash"] == sha256_of(judge.folder / "out_of_fold")
    assert "172 training rows, 5 folds, 2 times" in str(evaluation.gate.facts["out_of_fold"])
    truth = (together["late"] == "yes").to_numpy()
    answers = load_model(judge.folder / "model").predict_proba(to_model_input(together, FEATURES))[:, 1]
    assert evaluation.scores["roc_auc"] == pytest.approx(sklearn.metrics.roc_auc_score(truth, answers))
    assert "Nadeau and Bengio" in judge.page
    assert "Scores on 215 rows, 172 of them out of fold" in judge.page
    assert "The model predicted the 43 test rows. Models of the same recipe predicted the 172" in judge.page


def test_where_there_are_no_out_of_fold_predictions_the_test_rows_judge_and_the_report_says_why(judge: Judge) -> None:
    evaluation = judge(out_of_fold=OutOfFold(rows(), reason="the split is by time"))
    assert evaluation.gate.verdict is Verdict.PASSED
    assert evaluation.gate.facts["out_of_fold"] == "none: the split is by time"
    assert "Models of the same recipe" not in judge.page
    assert (
        "on 300 test rows" in next(check for check in evaluation.gate.checks if check.name == "metric[roc_auc]").message
    )


@pytest.mark.parametrize("region", [None, "north"])
def test_labels_that_are_wrong_in_the_training_rows_alone_leave_the_judgement_to_the_test_rows(
    judge: Judge, region: str | None
) -> None:
    """Models out of fold learnt the wrong labels, and agree with them."""
    training, test = rows(172, seed=7), rows(90, seed=8)
    good = predicted_out_of_fold(judge, training, repeats=1)
    wrong = pl.lit(region is None) | (pl.col("region") == (region or ""))
    test = test.with_columns(
        late=pl.when(wrong).then(pl.col("late").replace({"yes": "no", "no": "yes"})).otherwise("late")
    )
    policy = {"model": {**SMALL["model"], "minimum_rows": 20, "no_regression": None}}
    policy["model"]["slices"] = {**policy["model"]["slices"], "metrics": {"accuracy": {"min": 0.6}}, "minimum_rows": 20}
    gate = judge(policy, test=test, out_of_fold=good).gate
    assert str(gate.facts["out_of_fold"]).startswith("not used: ")
    failed = {check.name for check in gate.checks if check.verdict is Verdict.FAILED}
    assert failed >= ({"metric[roc_auc]"} if region is None else {"slice[region=north].accuracy"})


@pytest.mark.parametrize("mode", ["enabled", "dry_run", "disabled"])
def test_out_of_fold_predictions_that_are_not_the_trainings_are_rejected_whatever_the_mode(
    judge: Judge, mode: str
) -> None:
    """Against whoever can write to the store between training and judging."""
    good = predicted_out_of_fold(judge, rows(172, seed=7))
    assert judge(test=rows(43), out_of_fold=good).gate.verdict is Verdict.PASSED
    policy = {"model": {**THRESHOLDS["model"], "mode": mode}}
    gate = judge(policy, test=rows(43), out_of_fold=OutOfFold(good.table, good.repeats[:1])).gate
    (check,) = gate.checks
    assert (check.name, check.verdict, gate.proceed) == ("out_of_fold_hash", Verdict.FAILED, False)


def test_out_of_fold_predictions_that_are_no_numbers_are_rejected(judge: Judge) -> None:
    good = predicted_out_of_fold(judge, rows(172, seed=7), repeats=1)
    (repeat,) = good.repeats
    assert repeat.probabilities is not None
    repeat.probabilities[3] = np.nan
    (check,) = judge(test=rows(43), out_of_fold=good).gate.checks
    assert (check.name, check.verdict) == ("sane_predictions", Verdict.FAILED)
