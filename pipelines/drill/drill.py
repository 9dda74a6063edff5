"""`modelway drill`: injects faults into a copy of a project, one at a time, and says which gate caught each.

The stages' own functions are called in the pipeline's order, on files, as the components call them; what a fault does
not change is not computed again. A run ends at the data gate if that blocks, as the pipeline does.
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
from modelway.pipelines.drill.faults import CONSENT, DAY, FAULTS, DrillInput, Fault
from modelway.pipelines.project.workspace import Workspace

CLEAN = "clean run"
_DATA_HASH = "0" * 64


@dataclass(frozen=True)
class FaultResult:
    """Which gate caught a fault.

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


def run_drill(
    workspace: Workspace, faults: tuple[Fault, ...], *, on_result: Callable[[FaultResult], None]
) -> list[FaultResult]:
    """Runs the clean project and then each fault.

    Args:
        workspace: The project; it is left as it is.
        faults: The faults to inject.
        on_result: Called as each is done.

    Raises:
        ModelwayError: the project's own clean run does not pass, so that a drill would show nothing.
    """
    with TemporaryDirectory() as work, _own_registry(Path(work)):
        runner = _StageRunner(Path(work), _drill_input(workspace))
        results = [runner.clean()]
        on_result(results[0])
        for number, fault in enumerate(faults):
            results.append(runner.run(fault, number))
            on_result(results[-1])
    return results


@contextmanager
def _own_registry(folder: Path) -> Iterator[None]:
    """A registry of the drill's own, whatever the environment names."""
    before = {name: os.environ.pop(name, None) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID")}
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder / 'mlflow.db'}"
    try:
        yield
    finally:
        del os.environ["MLFLOW_TRACKING_URI"]
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _drill_input(workspace: Workspace) -> DrillInput:
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
    project = Project.model_validate({**project.model_dump(), "features": features})
    return DrillInput(project, Contract.model_validate(content), workspace.policy, table)


class _StageRunner:
    """The stages in a folder, with the clean run's files to start from."""

    def __init__(self, folder: Path, inputs: DrillInput) -> None:
        self.folder = folder
        self.inputs = replace(inputs, splits=split_table(inputs.table, inputs.project.data.split))
        self.champion = ""
        self.data_gate: Gate | None = None

    def clean(self) -> FaultResult:
        """Registers a champion, and runs another seed of the same against it."""
        folder = self.folder / "champion"
        _must_pass(self._validate(folder, self.inputs))
        training = self._train(folder, self.inputs)
        _must_pass(self._evaluate(folder, self.inputs, training=training))
        _must_pass(self._probe(folder, self.inputs, training=training))
        self.champion = self._register(folder, self.inputs, training=training)
        seeded = self.inputs.project.model.model_copy(update={"seed": self.inputs.project.model.seed + 1})
        self.inputs = replace(self.inputs, project=self.inputs.project.model_copy(update={"model": seeded}))
        folder = self.folder / "clean"
        gates = [self._validate(folder, self.inputs)]
        training = self._train(folder, self.inputs)
        gates += [
            self._evaluate(folder, self.inputs, training=training),
            self._probe(folder, self.inputs, training=training),
        ]
        self.data_gate = gates[0]
        blocking = [gate for gate in gates if not gate.proceed]
        return FaultResult(CLEAN, "", blocking[0].name if blocking else "", _blocking(blocking), not blocking)

    def run(self, fault: Fault, number: int) -> FaultResult:
        """Injects a fault, and runs the stages until a gate catches it or the gate meant for it has let it pass."""
        folder, rng = self.folder / f"fault-{number:02d}", np.random.default_rng(number)
        inputs = self.inputs
        if fault.at == "table":
            inputs = _inject(fault, replace(inputs, splits=None), rng=rng)
            inputs = replace(inputs, splits=split_table(inputs.table, inputs.project.data.split))
        elif fault.at == "splits":
            inputs = _inject(fault, inputs, rng=rng)
        gate = self.data_gate if fault.at not in {"table", "splits"} else self._validate(folder, inputs)
        assert gate is not None  # noqa: S101 - the clean run comes first
        gates = [gate]
        if gate.proceed and fault.gate != "data":
            gates.append(self._judge(fault, inputs, folder=folder, rng=rng))
        blocking = [gate for gate in gates if not gate.proceed]
        expected = [gate for gate in blocking if gate.name == fault.gate]
        catching = (expected or blocking)[:1]
        checks = _blocking(catching)
        caught = bool(expected) and any(name.startswith(fault.check) for name in checks)
        return FaultResult(fault.name, fault.gate, "".join(gate.name for gate in catching), checks, caught)

    def _judge(self, fault: Fault, inputs: DrillInput, *, folder: Path, rng: np.random.Generator) -> Gate:
        assert inputs.splits is not None  # noqa: S101 - set by `run`
        inputs = replace(inputs, training=inputs.splits.train)
        if fault.at in {"training", "model"}:
            inputs = _inject(fault, inputs, rng=rng)
        training = self._train(folder, inputs)
        if fault.tamper is not None:
            fault.tamper(folder / "model")
        judge = self._probe if fault.gate == "serving" else self._evaluate
        return judge(folder, inputs, training=training)

    def _validate(self, folder: Path, inputs: DrillInput) -> Gate:
        folder.mkdir(parents=True, exist_ok=True)
        assert inputs.splits is not None  # noqa: S101 - set before
        serving = inputs.serving if inputs.serving is not None else inputs.table.clear()
        splits = {"train": inputs.splits.train, "test": inputs.splits.test, "unseen": inputs.splits.unseen}
        for name, rows in {**splits, "serving": serving}.items():
            rows.write_parquet(folder / f"{name}.parquet")
        gate = validate(
            str(folder / "train.parquet"),
            str(folder / "test.parquet"),
            project_text=inputs.project.canonical(),
            contract_text=inputs.contract.canonical(),
            policy_text=inputs.policy.canonical(),
            data_hash=_DATA_HASH,
            champion=self.champion,
            serving_path=str(folder / "serving.parquet"),
            baseline_path=str(folder / "baseline"),
            report_path=str(folder / "data.html"),
        )
        gate.write(folder / "data.json")
        return gate

    def _train(self, folder: Path, inputs: DrillInput) -> Trained:
        folder.mkdir(parents=True, exist_ok=True)
        assert inputs.splits is not None  # noqa: S101 - set before
        (inputs.training if inputs.training is not None else inputs.splits.train).write_parquet(
            folder / "fitted.parquet"
        )
        inputs.splits.test.write_parquet(folder / "test.parquet")
        inputs.splits.unseen.write_parquet(folder / "unseen.parquet")
        project_text, train_path = inputs.project.canonical(), str(folder / "fitted.parquet")
        paths = {name: str(folder / name) for name in ("steps", "prepared.parquet", "model")}
        prepare(train_path, project_text, steps_path=paths["steps"], prepared_path=paths["prepared.parquet"])
        return train(
            paths["prepared.parquet"],
            train_path,
            steps_path=paths["steps"],
            project_text=project_text,
            data_hash=_DATA_HASH,
            model_path=paths["model"],
        )

    def _evaluate(self, folder: Path, inputs: DrillInput, *, training: Trained) -> Gate:
        gate = evaluate(
            str(folder / "model"),
            str(folder / "test.parquet"),
            unseen_path=str(folder / "unseen.parquet"),
            project_text=inputs.project.canonical(),
            policy_text=inputs.policy.canonical(),
            champion=self.champion,
            run_id=training.run_id,
            model_hash=training.model_hash,
            report_path=str(folder / "model.html"),
        ).gate
        gate.write(folder / "model.json")
        return gate

    def _probe(self, folder: Path, inputs: DrillInput, *, training: Trained) -> Gate:
        gate = probe(
            str(folder / "model"),
            str(folder / "test.parquet"),
            project_text=inputs.project.canonical(),
            policy_text=inputs.policy.canonical(),
            model_hash=training.model_hash,
            report_path=str(folder / "serving.html"),
        )
        gate.write(folder / "serving.json")
        return gate

    def _register(self, folder: Path, inputs: DrillInput, *, training: Trained) -> str:
        evidence = Evidence(
            {name: str(folder / f"{name}.json") for name in GATES},
            {name: str(folder / f"{name}.html") for name in GATES},
            str(folder / "baseline"),
        )
        return register(
            str(folder / "model"),
            evidence,
            training=Training(run_id=training.run_id, model_id=training.model_id),
            files=UserFiles(inputs.project, inputs.contract, inputs.policy),
            context=RunContext(run="drill", store=str(folder / "store")),
        ).model.version


def _inject(fault: Fault, inputs: DrillInput, *, rng: np.random.Generator) -> DrillInput:
    assert fault.change is not None  # noqa: S101 - only faults in files have none
    return fault.change(inputs, rng)


def _blocking(gates: list[Gate]) -> tuple[str, ...]:
    return tuple(check.name for gate in gates for check in gate.checks if check.blocks)


def _must_pass(gate: Gate) -> None:
    if not gate.proceed:
        raise RejectedError(
            f"the project as it is does not pass its own {gate.name} gate: {gate.reasons[0]}",
            remedy="fix that first: `modelway run`, and see the gate's report",
        )


def faults_named(names: list[str]) -> tuple[Fault, ...]:
    """The faults of these names, or all.

    Raises:
        ModelwayError: there is no such fault.
    """
    by_name = {fault.name: fault for fault in FAULTS}
    for name in names:
        if name not in by_name:
            raise ModelwayError(f"there is no fault {name!r}", value=name, remedy=f"choose among: {', '.join(by_name)}")
    return tuple(by_name[name] for name in names) or FAULTS
