"""Registered versions, as `register_model` leaves them in MLflow, of models that nothing had to train."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from modelway.components.core.storage.mlflow import Tracking

EVIDENCE = "evidence/1"


def register_version(
    tracking: Tracking,
    name: str,
    *,
    model: Path | None = None,
    evidence: Path | None = None,
    tags: Mapping[str, str] | None = None,
    alias: str = "",
) -> str:
    """Registers a version of a model.

    Args:
        tracking: Where it is registered.
        name: The registered model's name.
        model: The model's folder, in MLflow's format; None: it has no files.
        evidence: A folder of what it was released on; None: there is none.
        tags: Tags of the version, without our prefix.
        alias: An alias that it gets; empty: none.

    Returns:
        The version.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", tracking.uri)  # where MLflow looks a model up that is registered
        patch.delenv("MLFLOW_RUN_ID", raising=False)
        with tracking.run(name, "train", tags={}) as run_id:
            with tracking.logged_model(run_id, name, params={}) as (model_id, _):
                if model is not None:
                    tracking.upload_model(model_id, str(model))
            if evidence is not None:
                tracking.log_evidence(run_id, evidence, path=EVIDENCE)
        evidence_tag = {"evidence": EVIDENCE} if evidence is not None else {}
        with tracking.new_version(name, model_id, run_id=run_id, tags=evidence_tag | dict(tags or {})) as version:
            if alias:
                tracking.set_alias(name, version, alias=alias)
        return version
