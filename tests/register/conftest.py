"""A trained model and requests to register it, in the session's MLflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from registrations import NAME, POLICY, Request, TrainedModel, trained_in

from modelway.components.core.storage.mlflow import Tracking


@pytest.fixture(scope="session")
def trained_model(tmp_path_factory: pytest.TempPathFactory, tracking: Tracking) -> TrainedModel:
    model = {"estimator": "sklearn.tree.DecisionTreeClassifier", "parameters": {"max_depth": 2}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        return trained_in(tmp_path_factory.mktemp("trained"), model)


@pytest.fixture(autouse=True)
def _empty_registry(tracking: Tracking, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    yield
    for model in tracking.client.search_registered_models(filter_string=f"name = '{NAME}'"):
        tracking.client.delete_registered_model(model.name)


@pytest.fixture
def request_(trained_model: TrainedModel, tmp_path: Path) -> Request:
    return trained_model.request_under(tmp_path / "evidence", POLICY)


@pytest.fixture
def challenger(trained_model: TrainedModel, tmp_path: Path, request_: Request) -> Request:
    """The same model judged another policy, against version 1."""
    assert request_.policy
    policy = {**POLICY, "model": {"metrics": {"accuracy": {"min": 0.55}}, "minimum_rows": 20}}
    return trained_model.request_under(tmp_path / "other", policy)
