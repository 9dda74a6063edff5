"""What is told before a run starts: what is wrong, and what the run has to know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage import sha256_of
from modelway.pipelines.preflight import preflight
from modelway.pipelines.workspace import Workspace

Edit = Callable[..., None]


@pytest.fixture(autouse=True)
def _empty_registry(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = tmp_path_factory.getbasetemp() / "preflight.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{shared}")


def _asked(folder: Path, *, first: bool = False) -> dict[str, str]:
    workspace = Workspace.load(folder)
    texts = {name: document.canonical() for name, document in workspace.documents.items()}
    return preflight(**texts, names=workspace.names(), folder=str(folder), first=first)


@pytest.mark.parametrize(
    ("file", "keys", "says", "where"),
    [
        (
            "project.yaml",
            {"model.estimator": "nowhere.to.be.Found"},
            "nowhere.to.be.Found cannot be imported",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"model": {"estimator": "sklearn.tree.DecisionTreeRegressor"}},
            "does not fit the task binary",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"model": {"estimator": "pathlib.Path"}},
            "is no scikit-learn-compatible estimator",
            {"key": "model.estimator", "file": "project.yaml"},
        ),
        (
            "project.yaml",
            {"features": {"numeric": ["age", "city"]}},
            "'city' is of type string, which does not fit `features.numeric`",
            {"column": "city", "file": "contract.yaml"},
        ),
        (
            "project.yaml",
            {"data.split": {"by": "group", "column": "household", "test_fraction": 0.2}},
            "uses the column 'household'",
            {"column": "household", "key": "data.split.column"},
        ),
        (
            "project.yaml",
            {"model": {"entrypoint": "absent.module:fit"}},
            "the module 'absent.module' cannot be found",
            {"key": "model.entrypoint", "remedy": "absent/module.py"},
        ),
        (
            "project.yaml",
            {"data.source": "gone.csv"},
            "gone.csv cannot be read",
            {"file": "gone.csv"},
        ),
        (
            "contract.yaml",
            {"rules": [{"name": "cheap", "rule": "paid <"}]},
            "the rule 'cheap' is not a SQL expression",
            {"key": "rules.cheap"},
        ),
        (
            "policy.yaml",
            {"model.no_regression": {"metric": "roc_auk"}},
            "scikit-learn has no metric 'roc_auk'",
            {"file": "policy.yaml", "remedy": "roc_auc"},
        ),
        (
            "policy.yaml",
            {"model.slices": {"columns": ["region"], "metrics": {"roc_auc": {"min": 0.5}}}},
            "the policy names 'region' at model.slices.columns",
            {"column": "region", "file": "policy.yaml"},
        ),
    ],
)
def test_what_would_fail_later_is_refused(
    file: str, keys: dict[str, Any], says: str, where: dict[str, str], small: Path, edit: Edit
) -> None:
    edit(small / file, keys)
    with pytest.raises(ModelwayError) as refused:
        _asked(small)
    assert says in refused.value.message
    fields = refused.value.fields()
    assert {name: held for name, held in where.items() if held not in fields.get(name, "")} == {}
    assert len(fields["remedy"]) > 10


def test_the_run_is_told_what_the_data_is_now(small: Path) -> None:
    told = _asked(small)
    assert told["data_version"] == f"sha256:{sha256_of(small / 'visits.csv')}"
    assert told["champion"] == ""
    assert told["code_version"]
    (small / "visits.csv").write_text(
        (small / "visits.csv").read_text(encoding="utf-8") + "601,40.0,1.0,Ulm,2025-05-05,0\n"
    )
    assert _asked(small)["data_version"] != told["data_version"]


def test_where_the_database_is_new_the_registry_is_not_asked(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert _asked(small, first=True)["champion"] == ""
    with pytest.raises(ModelwayError, match="cannot be reached"):
        _asked(small)


def test_other_code_of_ones_own_is_another_version_and_is_not_run(small: Path, edit: Edit) -> None:
    seen = [_asked(small)["code_version"]]
    edit(small / "project.yaml", {"model": {"entrypoint": "preflight_own:fit"}})
    for text in ("raise SystemExit('imported')\n", "raise SystemExit('imported again')\n"):
        (small / "preflight_own.py").write_text(text, encoding="utf-8")
        seen.append(_asked(small)["code_version"])
    assert len(set(seen)) == 3
    assert all(version.startswith(seen[0]) for version in seen)
