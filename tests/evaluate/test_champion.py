from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from registered_versions import release_version
from user_files import minimal_policy, minimal_project

from modelway.components.core.audit.opened_version import OpenedVersion, open_champion
from modelway.components.core.checks import Verdict
from modelway.components.core.config.policy import Policy
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.evaluate.champion import champion_predictions, champion_rules, policy_checks

PROJECT = minimal_project(name="loans-policy")


def policy(least: float = 0.7, **more: Any) -> Policy:
    return minimal_policy(model={"metrics": {"roc_auc": {"min": least}}}, **more)


@pytest.fixture(scope="module")
def versions(tracking: Tracking, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OpenedVersion | None]]:
    """Versions registered with a policy, and with one that cannot be read; and none."""
    texts = {"policy": policy().canonical(), "odd": "{model: {metrics: {f1: 3}}}"}
    opened: dict[str, OpenedVersion | None] = {"": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
        for name, text in texts.items():
            model = tmp_path_factory.mktemp(name) / "model"
            model.mkdir()
            (model / "MLmodel").write_text("flavors: {}", encoding="utf-8")
            number = release_version(tracking, PROJECT.name, model=model, bound={"policy.json": text.encode()})
            opened[name] = open_champion(PROJECT.name, number, blessing_sha256="")
        yield opened


@pytest.mark.parametrize(("least", "verdict"), [(0.7, Verdict.PASSED), (0.8, Verdict.PASSED), (0.6, Verdict.FAILED)])
def test_a_policy_that_asks_less_than_the_champions_is_found(
    versions: dict[str, OpenedVersion], least: float, verdict: Verdict
) -> None:
    (check,) = policy_checks(policy(least), versions["policy"])
    assert check.verdict is verdict
    assert check.name == ("policy" if verdict is Verdict.PASSED else "policy[model.metrics.roc_auc.min]")


def test_without_a_champion_there_is_nothing_to_compare(versions: dict[str, OpenedVersion | None]) -> None:
    assert open_champion(PROJECT.name, "", blessing_sha256="") is None
    assert policy_checks(policy(), versions[""]) == []
    none = champion_predictions(pl.DataFrame({"x": [1.0]}), PROJECT, champion=versions[""])
    assert (none.version, none.predictions, none.error) == ("", None, "")


@pytest.mark.parametrize(("rule", "blocks"), [("block", True), ("warn", False)])
def test_a_policy_that_cannot_be_read_is_open(versions: dict[str, OpenedVersion], rule: str, blocks: bool) -> None:
    (check,) = policy_checks(policy(on_policy_weakened=rule), versions["odd"])
    assert (check.name, check.verdict, check.blocks) == ("policy", Verdict.INCONCLUSIVE, blocks)
    assert f"champion version {versions['odd'].version.number}" in check.message


def test_a_champion_that_cannot_be_loaded_here_is_nothing_to_compare_with(versions: dict[str, OpenedVersion]) -> None:
    champion = versions["policy"]
    rival = champion_predictions(pl.DataFrame({"x": [1.0], "late": [1]}), PROJECT, champion=champion)
    assert (rival.version, rival.predictions) == (champion.version.number, None)
    assert "holds no scikit-learn model" in rival.error


def test_a_champion_whose_blessing_names_no_rules_was_judged_by_the_first(versions: dict[str, OpenedVersion]) -> None:
    assert champion_rules(versions["policy"]) == 1
