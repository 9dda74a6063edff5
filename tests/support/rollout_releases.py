"""Real versions of a small model, and images of them, whole ones and such as break."""

from __future__ import annotations

from pathlib import Path

from registered_versions import release_version
from rollout_traffic import MODEL, rows
from user_files import minimal_project

from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Features
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.tables.parquet import to_model_input
from modelway.components.features.steps import build
from modelway.components.train.saving import save
from modelway.components.validate.distributions import measure

ADA = "ada@example.org"
FEATURES = Features(numeric=("income", "age"), categorical=("region",))
PROJECT = minimal_project(name=MODEL, features=FEATURES.model_dump(mode="json"))
SITE = "opt/modelway/lib/python3.11/site-packages"
# What breaks a server from its base on, whatever model lies on top: its release is signed and whole.
FAULTS = {
    "fails": """
import random
from modelway.components.serve.app import App
answer = App._predict_v2
def failing(self, body):
    if random.random() < 0.4:
        raise RuntimeError("the feature store does not answer")
    return answer(self, body)
App._predict_v2 = failing
""",
    "errs": """
from modelway.components.serve.app import App
def failing(self, body):
    raise RuntimeError("the feature store does not answer")
App._predict_v2 = failing
""",
    "slow": """
import asyncio
from modelway.components.serve.app import App
answer = App._predict
async def slow(self, scope, receive, work):
    await asyncio.sleep(0.5)
    return await answer(self, scope, receive, work=work)
App._predict = slow
""",
    "crashes": """
import os, sys
sys.stderr.write("Illegal instruction: this model was built for another processor\\n")
sys.stderr.flush()
os._exit(132)
""",
}


def register(tracking: Tracking, store: str, *, policy: Policy, work: Path, seed: int) -> str:
    """Fits a model, and registers it with its evidence as a release does, from an empty folder; returns the version."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline

    frame = rows(2000, seed)
    steps = build(FEATURES)
    features = steps.fit_transform(to_model_input(frame, FEATURES.columns))
    estimator = LogisticRegression(C=1 + seed, solver="newton-cholesky").fit(features, frame["late"].to_numpy())
    pipeline = Pipeline([("features", steps), ("model", estimator)])
    examples = to_model_input(frame.head(5), FEATURES.columns)
    save(pipeline, str(work / "model"), examples=examples, model_id="m-1", run_id="r-1", location="models/m-1")
    evidence = work / "evidence"
    evidence.mkdir()
    frame.write_parquet(evidence / "sample.parquet")
    measure(frame, FEATURES.columns, data_hash="d").write(evidence / "baseline.json")
    (evidence / "policy.json").write_text(policy.canonical(), encoding="utf-8")
    (evidence / "project.json").write_text(PROJECT.canonical(), encoding="utf-8")
    return release_version(
        tracking,
        MODEL,
        store=store,
        model=work / "model",
        bound={file.name: file.read_bytes() for file in evidence.iterdir()},
        blessing={"run": f"release-{seed}", "git_commit": "abc", "requested_by": ADA},
    )
