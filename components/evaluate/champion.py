"""The champion: its predictions of the candidate's test rows, and the policy that it shipped under."""

from __future__ import annotations

from collections.abc import Collection
from tempfile import TemporaryDirectory

import polars as pl

from modelway.components.core.audit.opened_version import OpenedVersion
from modelway.components.core.checks import Check, inconclusive
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.config.strictness import weaker_checks
from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.measures.predicting import predict_table
from modelway.components.core.storage.model_code import separate_modules
from modelway.components.core.storage.models import load_model
from modelway.components.evaluate.checks.no_regression import ChampionPredictions
from modelway.components.evaluate.predicting import sane_check


def champion_predictions(
    table: pl.DataFrame, project: Project, *, champion: OpenedVersion | None, trusted_types: Collection[str] = ()
) -> ChampionPredictions:
    """Downloads the champion and predicts the test rows with it.

    Args:
        table: The test rows.
        project: The candidate's project.
        champion: The champion; None: there is none.
        trusted_types: Types that the policy trusts, by their full names.

    Raises:
        DamagedError: the champion's model is not the one that was blessed; it was not loaded.
    """
    if champion is None:
        return ChampionPredictions()
    version = champion.version.number
    with TemporaryDirectory() as work:
        folder = champion.download(work)
        try:
            with separate_modules():  # it may have other versions of the candidate's
                predictions = predict_table(load_model(folder, trusted_types), table, project=project)
        except ModelwayError as error:
            return ChampionPredictions(version, error=error.message)
    sane = sane_check(predictions)
    if sane.blocks:
        return ChampionPredictions(version, error=sane.message)
    before, split = champion.split, ""
    if before is not None and project.data.split.tests_what_was_trained_on(before):
        split = f"{before} with seed {before.seed} and a test_fraction of {before.test_fraction:g}"
    return ChampionPredictions(version, predictions, split=split)


def policy_checks(policy: Policy, champion: OpenedVersion | None) -> list[Check]:
    """Checks whether the policy is weaker than the one that the champion shipped under; none without a champion."""
    if champion is None:
        return []
    try:
        return weaker_checks(champion.policy, policy)
    except DamagedError as error:
        version = champion.version.number
        message = f"the policy of champion version {version} cannot be read, so it was not compared: {error.message}"
        return [inconclusive("policy", message, rule=policy.on_policy_weakened)]


def champion_rules(champion: OpenedVersion) -> int:
    """The version of the rules that the champion's model gate was judged by; 1 where its blessing does not say."""
    return next((gate.rules for gate in champion.blessing.gates if gate.name == "model"), 1)
