"""A small trained model, and the request to register it: everything that `register` takes."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from modelway.components.core.audit.log import AuditLog, Entry
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.evidence.runs import DECISION, Outcome, RunContext
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.models import folder_sha256
from modelway.components.evaluate.stage import evaluate
from modelway.components.ingest.stage import ingest
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import probe
from modelway.components.register.stage import Evidence, Training, register
from modelway.components.train.stage import train
from modelway.components.validate.stage import validate

NAME = "loans-register"

CONTRACT: dict[str, Any] = {
    "columns": {"income": {"type": "number"}, "debt": {"type": "number"}, "default": {"type": "integer"}}
}
POLICY: dict[str, Any] = {
    "model": {"metrics": {"roc_auc": {"min": 0.6}}, "minimum_rows": 20},
    "data": {"on_inconclusive": "warn"},
    "serving": {"mode": "disabled"},  # a server started for each of these tests would tell nothing more
}
NAMES = ("data", "model", "serving")


@dataclasses.dataclass(frozen=True)
class Request:
    """Everything that `register` takes."""

    model: Path
    evidence: Evidence
    training: Training
    context: RunContext
    project: str
    contract: str
    policy: str

    @property
    def store(self) -> Path:
        """The root of the project's store."""
        return Path(self.context.store)

    def register(self) -> str:
        """Registers; returns the version."""
        files = UserFiles.load(project=self.project, contract=self.contract, policy=self.policy)
        registration = register(
            str(self.model), self.evidence, training=self.training, files=files, context=self.context
        )
        return registration.model.version

    def decision(self) -> Outcome | None:
        """What was recorded."""
        return Outcome.read(self.context.store, self.context.run, file=DECISION)

    def log(self) -> list[Entry]:
        """What the audit log says."""
        return AuditLog(str(self.store)).entries()

    def but(self, **changes: Any) -> Request:
        """The same request but for some fields."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A real model with its splits, to be judged under one policy or another."""

    folder: Path
    project: str
    contract: str
    training: Training

    def request_under(self, folder: Path, policy: dict[str, Any], champion: str = "") -> Request:
        """The request to register it, with a copy of all files of its own."""
        folder.mkdir()
        shutil.copytree(self.folder / "model", folder / "model")
        evidence = Evidence(
            {name: str(folder / f"{name}.json") for name in NAMES},
            {name: str(folder / f"{name}.html") for name in NAMES},
            str(folder / "baseline"),
        )
        text, test = yaml.safe_dump(policy), str(self.folder / "test.parquet")
        model, model_hash = str(folder / "model"), folder_sha256(folder / "model")
        data = validate(
            str(self.folder / "train.parquet"),
            test,
            project_text=self.project,
            contract_text=self.contract,
            policy_text=text,
            data_hash="d" * 64,
            champion=champion,
            baseline_path=evidence.baseline,
            report_path=evidence.reports["data"],
        )
        texts = {"project_text": self.project, "policy_text": text, "model_hash": model_hash}
        model_gate = evaluate(
            model,
            test,
            unseen_path=str(self.folder / "unseen.parquet"),
            champion=champion,
            run_id=self.training.run_id,
            report_path=evidence.reports["model"],
            **texts,
        ).gate
        serving_gate = probe(model, test, report_path=evidence.reports["serving"], **texts)
        for name, gate in zip(NAMES, (data, model_gate, serving_gate), strict=True):
            gate.write(evidence.gates[name])
        context = RunContext(run="run-1", store=str(folder.parent / "store"), git_commit="commit", champion=champion)
        return Request(folder / "model", evidence, self.training, context, self.project, self.contract, text)


def trained_in(folder: Path, model: dict[str, Any]) -> TrainedModel:
    """Trains a model of the loans in a folder, by the stages of a release."""
    rng = np.random.default_rng(5)
    income, debt = rng.normal(40, 10, 400).round(3), rng.normal(20, 8, 400).round(3)
    default = (debt - income / 2 + rng.normal(0, 4, 400) > 0).astype(int)
    pl.DataFrame({"income": income, "debt": debt, "default": default}).write_parquet(folder / "loans.parquet")
    project = yaml.safe_dump(
        {
            "name": NAME,
            "task": "binary",
            "label": "default",
            "data": {"source": str(folder / "loans.parquet"), "split": {"test_fraction": 0.3}},
            "features": {"numeric": ["income", "debt"]},
            "model": model,
        }
    )
    contract = yaml.safe_dump(CONTRACT)
    paths = {
        name: str(folder / name) for name in ("train.parquet", "test.parquet", "steps", "prepared.parquet", "model")
    }
    parts = {f"{name}_path": str(folder / f"{name}.parquet") for name in ("train", "test", "unseen", "serving")}
    ingest(project, contract, **parts)
    prepare(paths["train.parquet"], project, steps_path=paths["steps"], prepared_path=paths["prepared.parquet"])
    trained_model = train(
        paths["prepared.parquet"],
        paths["train.parquet"],
        steps_path=paths["steps"],
        project_text=project,
        data_hash="d" * 64,
        model_path=paths["model"],
    )
    training = Training(
        run_id=trained_model.run_id, model_id=trained_model.model_id, source_version="sha256:data", code_version="code"
    )
    return TrainedModel(folder, project, contract, training)


def numbers(tracking: Tracking) -> list[str]:
    """The registered versions, newest first."""
    return [str(entry.version) for entry in tracking.versions(NAME)]
