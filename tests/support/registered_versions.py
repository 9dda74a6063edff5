"""Registered versions, as `register_model` leaves them in MLflow, of models that nothing had to train."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from user_files import minimal_policy

from modelway.components.core.audit.opened_version import registered_blessings
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.evidence.blessing import GATES, Blessing, Hashes
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256

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


def release_version(
    tracking: Tracking,
    name: str,
    *,
    store: str = "",
    model: Path | None = None,
    bound: Mapping[str, bytes] | None = None,
    replaced: Mapping[str, bytes] | None = None,
    blessing: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    alias: str = "",
) -> str:
    """Registers a version with a blessing that binds its evidence, as a run does.

    Args:
        tracking: Where it is registered.
        name: The registered model's name.
        store: The store whose audit log says so; empty: none does.
        model: The model's folder; None: it has no files.
        bound: The evidence, by the files' names, besides a policy that asks for little.
        replaced: What lies in the place of evidence; empty: the file is not there.
        blessing: Fields of the blessing.
        tags: Tags of the version, without our prefix.
        alias: An alias that it gets; empty: none.

    Returns:
        The version.
    """
    evidence = {"policy.json": minimal_policy().canonical().encode(), **(bound or {})}
    hashes = {file: hashlib.sha256(content).hexdigest() for file, content in evidence.items()}
    check = passed_or_failed("metric[roc_auc]", True, message="0.81 on 512 rows; the policy requires at least 0.7")
    fields: dict[str, Any] = {
        "project": name,
        "run": f"release-{len(tracking.versions(name)) + 1}",
        "blessed": True,
        "verdict": check.verdict,
        "hashes": Hashes(
            model="m" if model is None else folder_sha256(model),
            data="d",
            project="p",
            contract="c",
            policy=hashes["policy.json"],
        ),
        "requested_by": "ada@example.org",
        "image": "modelway",
        "gates": tuple(Gate(name=gate, checks=(check,)) for gate in GATES),
        "evidence": hashes,
    }
    document = Blessing.model_validate(fields | dict(blessing or {}))
    files = {**evidence, "blessing.json": document.content(), **(replaced or {})}
    with TemporaryDirectory() as work:
        for file, content in files.items():
            if content:
                Path(work, file).write_bytes(content)
        about = {"blessing_sha256": document.sha256(), **(tags or {})}
        number = register_version(tracking, name, model=model, evidence=Path(work), tags=about, alias=alias)
    if store:
        log_registration(RegisteredModel(name, store, tracking).version(number))
    return number


def log_registration(version: ModelVersion) -> None:
    """Logs that a version was registered with the blessing that it has, unless the log says so already."""
    if registered_blessings(version, version.model.verified_entries()):
        return
    details = {"blessing_sha256": version.registered().tags["modelway.blessing_sha256"]}
    version.log_event("registered", "ada@example.org", environment="development", details=details)
