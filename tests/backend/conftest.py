"""Releases of a small project on the backend without a cluster, one after the other, with the same arguments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from backend import Backend, Run, compiled
from small_projects import edit_yaml, visits, write_small_project

from modelway.components.core.evidence.runs import OUTCOME, Outcome
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.release import release_pipeline

KILLED = "import os, signal\n\n\ndef fit(features, label, **_):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
STOPPED = KILLED.replace("SIGKILL", "SIGTERM") + "    signal.pause()\n"


class Releases:
    """What a schedule does to a project in the course of time: only what is at its files' addresses changes.

    Each release is run once, when a test first asks for it, and after those that it builds on.

    Args:
        backend: The backend.
        project: The project's folder.
        store: The root of the project's store.
        tracking: The MLflow that the backend's tasks are given.
    """

    def __init__(self, backend: Backend, project: Path, *, store: Path, tracking: Tracking) -> None:
        self.backend, self.tracking, self.store = backend, tracking, store
        self.project, self.data = project, project / "visits.csv"
        self.package = compiled(release_pipeline())
        files = {name: str(project / f"{name}.yaml") for name in ("project", "contract", "policy")}
        self.arguments = {**files, "store": str(store), "git_commit": "abc", "requested_by": "ada@example.org"}
        serving = {"rows": 8, "warm_up": 2}
        edit_yaml(project / "project.yaml", {"data.source": str(self.data)})
        edit_yaml(
            project / "policy.yaml",
            {"model.no_regression": {"metric": "roc_auc", "margin": 0.02}, "serving": serving},
        )

    @contextmanager
    def edited(self, file: str, keys: dict[str, Any]) -> Iterator[None]:
        """One of the project's files with other values of some keys, for a while."""
        path = self.project / file
        before = path.read_bytes()
        edit_yaml(path, keys)
        try:
            yield
        finally:
            path.write_bytes(before)

    def outcome(self, run: Run) -> Outcome:
        """What the exit task recorded."""
        outcome = Outcome.read(str(self.store), run.identifier, file=OUTCOME)
        assert outcome is not None
        return outcome

    def versions(self) -> dict[str, list[str]]:
        """The registered versions, each with the aliases that it holds."""
        aliases = self.tracking.client.get_registered_model("visits").aliases
        return {
            str(version.version): sorted(alias for alias, holder in aliases.items() if holder == version.version)
            for version in self.tracking.versions("visits")
        }

    def training_runs(self) -> dict[str, str]:
        """The status of each of MLflow's runs, by the run's id."""
        experiment = self.tracking.client.get_experiment_by_name("visits")
        return {
            run.info.run_id: run.info.status for run in self.tracking.client.search_runs([experiment.experiment_id])
        }

    def _scheduled(self, name: str) -> Run:
        return self.backend.submit(self.package, self.arguments, name=name, scheduled=True)

    @cached_property
    def first(self) -> Run:
        """The first of all, started by hand."""
        return self.backend.submit(self.package, self.arguments, name="Monday")

    @cached_property
    def unchanged(self) -> Run:
        """Nothing has changed since."""
        assert self.first.state == "SUCCEEDED"
        return self._scheduled("Tuesday")

    @cached_property
    def bad_data(self) -> Run:
        """There are rows in the data that break the contract."""
        assert self.unchanged
        content = self.data.read_bytes()
        pl.read_csv(self.data).with_columns(city=pl.lit("Bonn")).write_csv(self.data)
        run = self._scheduled("Wednesday")
        self.data.write_bytes(content)
        return run

    @cached_property
    def bad_model(self) -> Run:
        """The model is worse than the champion, and the policy is laxer."""
        assert self.unchanged
        worse = {"features.numeric": ["paid"], "features.datetime": []}
        laxer = {"model.metrics": {"roc_auc": {"min": 0.4}}}
        with self.edited("project.yaml", worse), self.edited("policy.yaml", laxer):
            return self._scheduled("Thursday")

    @cached_property
    def bad_serving(self) -> Run:
        """The policy asks for what no server can do."""
        assert self.unchanged
        with self.edited("policy.yaml", {"serving.sla": {"p50_ms": 0.000001}}):
            return self._scheduled("Friday")

    @cached_property
    def killed(self) -> Run:
        """The process that trains is killed, as where the memory is not enough."""
        assert self.unchanged
        (self.project / "killed.py").write_text(KILLED, encoding="utf-8")
        with self.edited("project.yaml", {"model.estimator": None, "model.entrypoint": "killed:fit"}):
            return self._scheduled("Saturday")

    @cached_property
    def stopped(self) -> Run:
        """The process that trains is told to end, as where somebody stops the run."""
        assert self.unchanged
        (self.project / "stopped.py").write_text(STOPPED, encoding="utf-8")
        with self.edited("project.yaml", {"model.estimator": None, "model.entrypoint": "stopped:fit"}):
            return self._scheduled("Saturday evening")

    @cached_property
    def no_data(self) -> Run:
        """The data is not there."""
        assert self.unchanged
        content = self.data.read_bytes()
        self.data.unlink()
        run = self._scheduled("Sunday")
        self.data.write_bytes(content)
        return run

    @cached_property
    def retried(self) -> Run:
        """The run without data is retried once the data is back."""
        return self.backend.retry(self.no_data)

    @cached_property
    def nameless(self) -> Run:
        """The pipeline was compiled by someone who passes no id of the run."""
        package = self.package.replace("'{{$.pipeline_job_uuid}}'", "''")
        assert package != self.package
        return self.backend.submit(package, self.arguments)

    @cached_property
    def new_data(self) -> Run:
        """There is more data; the last of all, for there is another champion after it."""
        assert all(
            (self.bad_data, self.bad_model, self.bad_serving, self.killed, self.stopped, self.retried, self.nameless)
        )
        visits(900).write_csv(self.data)
        return self._scheduled("another Monday")


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory, tracking: Tracking) -> Iterator[Releases]:
    folder = tmp_path_factory.mktemp("releases")
    project = write_small_project(folder)
    backend = Backend(
        folder / "backend",
        preloaded={"MLFLOW_TRACKING_URI": tracking.uri, "PYTHONPATH": str(project)},
        config_maps={"modelway": {"mlflow-tracking-uri": tracking.uri}},
    )
    yield Releases(backend, project, store=folder / "store", tracking=tracking)
    backend.close()
