from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from registered_versions import register_version
from user_files import minimal_policy, minimal_project

from modelway.components.core.checks import Verdict
from modelway.components.core.config.policy import Policy
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.evaluate.champion import champion_predictions, policy_checks

PROJECT = minimal_project(name="loans-policy")


def policy(least: float = 0.7, **more: Any) -> Policy:
    return minimal_policy(model={"metrics": {"roc_auc": {"min": least}}}, **more)


@pytest.fixture(scope="module")
def versions(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Versions registered with a policy, without one, and with one that cannot be read."""
    texts: dict[str, str | None] = {"policy": policy().canonical(), "none": None, "odd": "{model: {metrics: {f1: 3}}}"}
    version_of: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
        for name, text in texts.items():
            folder = tmp_path_factory.mktemp(name)
            (folder / "blessing.json").write_text("{}", encoding="utf-8")
            if text is not None:
                (folder / "policy.json").write_text(text, encoding="utf-8")
            model = _model(folder.parent / f"model-{name}")
            version_of[name] = register_version(tracking, PROJECT.name, model=model, evidence=folder, alias="champion")
        yield version_of


def _model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}", encoding="utf-8")
    return folder


@pytest.mark.parametrize(("least", "verdict"), [(0.7, Verdict.PASSED), (0.8, Verdict.PASSED), (0.6, Verdict.FAILED)])
def test_a_policy_that_asks_less_than_the_champions_is_found(
    versions: dict[str, str], least: float, verdict: Verdict
) -> None:
    (check,) = policy_checks(policy(least), PROJECT, version=versions["policy"])
    assert check.verdict is verdict
    assert check.name == ("policy" if verdict is Verdict.PASSED else "policy[model.metrics.roc_auc.min]")


def test_without_a_champion_or_its_policy_there_is_nothing_to_compare(versions: dict[str, str]) -> None:
    assert policy_checks(policy(), PROJECT, version="") == []
    assert policy_checks(policy(), PROJECT, version=versions["none"]) == []


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_a_policy_that_cannot_be_read_is_open(versions: dict[str, str], rule: str, blocks: bool) -> None:
    (check,) = policy_checks(policy(on_policy_weakened=rule), PROJECT, version=versions["odd"])
    assert (check.name, check.verdict, check.blocks) == ("policy", Verdict.INCONCLUSIVE, blocks)
    assert f"champion version {versions['odd']}" in check.message


def test_a_champion_that_cannot_be_loaded_here_is_nothing_to_compare_with(versions: dict[str, str]) -> None:
    rival = champion_predictions(pl.DataFrame({"x": [1.0], "late": [1]}), PROJECT, version=versions["none"])
    assert (rival.version, rival.predictions) == (versions["none"], None)
    assert "holds no scikit-learn model" in rival.error
