"""`modelway drill`: injects faults into a copy of a project, one at a time, and tells which gate caught each.

The stages' own functions are called in the pipeline's order, on files, as the components call them; what a fault leaves
as it was is not made again. A run ends at the data gate if that blocks, as the pipeline does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from modelway.components.core.checks import Gate
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError, RejectedError
from modelway.components.core.evidence.blessing import GATES
from modelway.components.core.evidence.runs import RunContext
from modelway.components.core.storage.uri import fetch
from modelway.components.evaluate.stage import evaluate
from modelway.components.ingest.source import read_source
from modelway.components.ingest.split import split_table
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import probe
from modelway.components.register.stage import Evidence, Training, register
from modelway.components.train.stage import Trained, train
from modelway.components.validate.stage import validate
from modelway.pipelines.drill.faults import CONSENT, DAY, FAULTS, Fault, Scene
from modelway.pipelines.project.workspace import Workspace

CLEAN = "clean run"
_DATA_HASH = "0" * 64


@dataclass(frozen=True)
class Caught:
    """What became of one fault.

    Attributes:
        fault: The fault's name.
        expected_gate: The gate meant for it; empty for the clean run, which none must catch.
        caught_by: The gate that blocked: the one meant for it if it did, else the first; empty: none.
        checks: The names of that gate's checks that block.
        caught: Whether a check meant for the fault blocked, in the gate meant for it; of the clean run: whether it
            passed.
    """

    fault: str
    expected_gate: str
    caught_by: str
    checks: tuple[str, ...]
    caught: bool


def drill(workspace: Workspace, faults: tuple[Fault, ...], *, on_result: Callable[[Caught], None]) -> list[Caught]:
    """Runs the clean project and then each fault.

    Args:
        workspace: The project; it is left as it is.
        faults: The faults to inject.
        on_result: Called as each is done.

    Raises:
        ModelwayError: the project's own clean run does not pass, so that nothing could be told.
    """
    with TemporaryDirectory() as work, _tracked(Path(work)):
        road = _Road(Path(work), _scene(workspace))
        results = [road.clean()]
        on_result(results[0])
        for number, fault in enumerate(faults):
            results.append(road.run(fault, number))
            on_result(results[-1])
    return results


@contextmanager
def _tracked(folder: Path) -> Iterator[None]:
    """A registry of the drill's own, whatever the environment names."""
    before = {name: os.environ.pop(name, None) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")}
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _scene(workspace: Workspace) -> Scene:
    """A copy of the project with a date and a consent in it, where it has none, for faults to go into."""
    project, contract = workspace.project, workspace.contract
    with TemporaryDirectory() as work:
        table = read_source(fetch(project.data.source, Path(work)), project.data, contract=contract, work=Path(work))
    if not project.features.numeric or not project.features.categorical:
        raise ModelwayError(
            "the drill needs a numeric and a categorical feature to inject faults into",
            key="features",
            remedy="name at least one of each, or drill the example: run it in a folder without a project",
        )
    rng = np.random.default_rng(0)
    content, features = contract.model_dump(exclude_none=True), project.features.model_dump()
    if not features["datetime"]:
        days = pl.Series(rng.integers(18_262, 18_962, len(table)))  # since 1970: 2020 and 2021
        table = table.with_columns(days.cast(pl.Int32).cast(pl.Date).alias(DAY))
        content["columns"][DAY] = {"type": "date"}
        features["datetime"] = (DAY,)
    table = table.with_columns(pl.lit(value=True).alias(CONSENT))
    content["columns"][CONSENT] = {"type": "boolean"}
    content["rules"] = (*content["rules"], {"name": CONSENT, "rule": CONSENT, "description": "consent is true"})
    changed = Project.model_validate({**project.model_dump(), "features": features})
    return Scene(changed, Contract.model_validate(content), workspace.policy, table)


class _Road:
    """The stages in a folder, with the clean run's files to start from."""

    def __init__(self, folder: Path, scene: Scene) -> None:
        self.folder = folder
        self.scene = replace(scene, splits=split_table(scene.table, scene.project.data.split))
        self.champion = ""
        self.data_gate: Gate | None = None

    def clean(self) -> Caught:
        """Registers a champion, and runs another seed of the same against it."""
        place = self.folder / "champion"
        data = self._validate(place, self.scene)
        _must_pass(data)
        trained = self._train(place, self.scene)
        model, serving = (
            self._evaluate(place, self.scene, trained=trained),
            self._probe(place, self.scene, trained=trained),
        )
        _must_pass(model)
        _must_pass(serving)
        self.champion = self._register(place, self.scene, trained=trained)
        seeded = self.scene.project.model.model_copy(update={"seed": self.scene.project.model.seed + 1})
        self.scene = replace(self.scene, project=self.scene.project.model_copy(update={"model": seeded}))
        place = self.folder / "clean"
        gates = [self._validate(place, self.scene)]
        trained = self._train(place, self.scene)
        gates += [self._evaluate(place, self.scene, trained=trained), self._probe(place, self.scene, trained=trained)]
        self.data_gate = gates[0]
        blocking = [gate for gate in gates if not gate.proceed]
        return Caught(CLEAN, "", blocking[0].name if blocking else "", _blocking(blocking), not blocking)

    def run(self, fault: Fault, number: int) -> Caught:
        """Injects a fault, and goes down the road until it is caught or past the gate meant for it."""
        place, rng = self.folder / f"fault-{number:02d}", np.random.default_rng(number)
        scene = self.scene
        if fault.at == "table":
            scene = _changed(fault, replace(scene, splits=None), rng=rng)
            scene = replace(scene, splits=split_table(scene.table, scene.project.data.split))
        elif fault.at == "splits":
            scene = _changed(fault, scene, rng=rng)
        gate = self.data_gate if fault.at not in {"table", "splits"} else self._validate(place, scene)
        assert gate is not None  # noqa: S101 - the clean run comes first
        gates = [gate]
        if gate.proceed and fault.gate != "data":
            gates.append(self._judge(fault, scene, place=place, rng=rng))
        blocking = [one for one in gates if not one.proceed]
        meant = next((one for one in blocking if one.name == fault.gate), None)
        by = meant or next(iter(blocking), None)
        checks = _blocking([by] if by is not None else [])
        caught = meant is not None and any(name.startswith(fault.check) for name in checks)
        return Caught(fault.name, fault.gate, by.name if by is not None else "", checks, caught)

    def _judge(self, fault: Fault, scene: Scene, *, place: Path, rng: np.random.Generator) -> Gate:
        assert scene.splits is not None  # noqa: S101 - set by `run`
        scene = replace(scene, training=scene.splits.train)
        if fault.at in {"training", "model"}:
            scene = _changed(fault, scene, rng=rng)
        trained = self._train(place, scene)
        if fault.tamper is not None:
            fault.tamper(place / "model")
        judge = self._probe if fault.gate == "serving" else self._evaluate
        return judge(place, scene, trained=trained)

    def _validate(self, place: Path, scene: Scene) -> Gate:
        place.mkdir(parents=True, exist_ok=True)
        assert scene.splits is not None  # noqa: S101 - set before
        serving = scene.serving if scene.serving is not None else scene.table.clear()
        parts = {"train": scene.splits.train, "test": scene.splits.test, "unseen": scene.splits.unseen}
        for name, part in {**parts, "serving": serving}.items():
            part.write_parquet(place / f"{name}.parquet")
        gate = validate(
            str(place / "train.parquet"),
            str(place / "test.parquet"),
            project_text=scene.project.canonical(),
            contract_text=scene.contract.canonical(),
            policy_text=scene.policy.canonical(),
            data_hash=_DATA_HASH,
            champion=self.champion,
            serving_path=str(place / "serving.parquet"),
            baseline_path=str(place / "baseline"),
            report_path=str(place / "data.html"),
        )
        gate.write(place / "data.json")
        return gate

    def _train(self, place: Path, scene: Scene) -> Trained:
        place.mkdir(parents=True, exist_ok=True)
        assert scene.splits is not None  # noqa: S101 - set before
        (scene.training if scene.training is not None else scene.splits.train).write_parquet(place / "fitted.parquet")
        scene.splits.test.write_parquet(place / "test.parquet")
        scene.splits.unseen.write_parquet(place / "unseen.parquet")
        project, fitted = scene.project.canonical(), str(place / "fitted.parquet")
        paths = {name: str(place / name) for name in ("steps", "prepared.parquet", "model")}
        prepare(fitted, project, steps_path=paths["steps"], prepared_path=paths["prepared.parquet"])
        return train(
            paths["prepared.parquet"],
            fitted,
            steps_path=paths["steps"],
            project_text=project,
            data_hash=_DATA_HASH,
            model_path=paths["model"],
        )

    def _evaluate(self, place: Path, scene: Scene, *, trained: Trained) -> Gate:
        gate = evaluate(
            str(place / "model"),
            str(place / "test.parquet"),
            unseen_path=str(place / "unseen.parquet"),
            project_text=scene.project.canonical(),
            policy_text=scene.policy.canonical(),
            champion=self.champion,
            run_id=trained.run_id,
            model_hash=trained.model_hash,
            report_path=str(place / "model.html"),
        ).gate
        gate.write(place / "model.json")
        return gate

    def _probe(self, place: Path, scene: Scene, *, trained: Trained) -> Gate:
        gate = probe(
            str(place / "model"),
            str(place / "test.parquet"),
            project_text=scene.project.canonical(),
            policy_text=scene.policy.canonical(),
            model_hash=trained.model_hash,
            report_path=str(place / "serving.html"),
        )
        gate.write(place / "serving.json")
        return gate

    def _register(self, place: Path, scene: Scene, *, trained: Trained) -> str:
        evidence = Evidence(
            {name: str(place / f"{name}.json") for name in GATES},
            {name: str(place / f"{name}.html") for name in GATES},
            str(place / "baseline"),
        )
        return register(
            str(place / "model"),
            evidence,
            training=Training(run_id=trained.run_id, model_id=trained.model_id),
            files=UserFiles(scene.project, scene.contract, scene.policy),
            context=RunContext(run="drill", store=str(place / "store")),
        ).model.version


def _changed(fault: Fault, scene: Scene, *, rng: np.random.Generator) -> Scene:
    assert fault.change is not None  # noqa: S101 - only faults in files have none
    return fault.change(scene, rng)


def _blocking(gates: list[Gate]) -> tuple[str, ...]:
    return tuple(check.name for gate in gates for check in gate.checks if check.blocks)


def _must_pass(gate: Gate) -> None:
    if not gate.proceed:
        raise RejectedError(
            f"the project as it is does not pass its own {gate.name} gate: {gate.reasons[0]}",
            remedy="mend that first: `modelway run`, and see the gate's report",
        )


def named(names: list[str]) -> tuple[Fault, ...]:
    """The faults of these names, or all.

    Raises:
        ModelwayError: there is no such fault.
    """
    known = {fault.name: fault for fault in FAULTS}
    for name in names:
        if name not in known:
            raise ModelwayError(f"there is no fault {name!r}", value=name, remedy=f"choose among: {', '.join(known)}")
    return tuple(known[name] for name in names) or FAULTS
