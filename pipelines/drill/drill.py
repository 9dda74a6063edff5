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
from modelway.components.core.tables.unparsed import unparsed_metadata, unparsed_of
from modelway.components.evaluate.stage import evaluate
from modelway.components.ingest.source import read_source
from modelway.components.ingest.split import split_table
from modelway.components.ingest.types import POSITION, VALUE, with_contract_types
from modelway.components.prepare.stage import prepare
from modelway.components.probe.stage import probe
from modelway.components.register.stage import Evidence, Training, register
from modelway.components.train.stage import Trained, train
from modelway.components.validate.stage import validate
from modelway.pipelines.drill.drill_input import CONSENT, DAY, DrillInput, Fault
from modelway.pipelines.drill.faults import FAULTS
from modelway.pipelines.project.workspace import Workspace

CLEAN = "clean run"
_DATA_HASH = "0" * 64


@dataclass(frozen=True)
class FaultResult:
    """Which gate caught a fault.

    Attributes:
        fault: The fault's name.
        expected_gate: The gate meant for it; empty for the clean run and what is harmless, which none must catch.
        caught_by: The gate that blocked: the one meant for it if it did, else the first; empty: none.
        checks: The names of that gate's checks that block.
        caught: Whether a check meant for the fault blocked, in the gate meant for it; of what none must catch:
            whether it passed.
    """

    fault: str
    expected_gate: str
    caught_by: str
    checks: tuple[str, ...]
    caught: bool


def run_drill(
    workspace: Workspace, faults: tuple[Fault, ...], *, on_result: Callable[[FaultResult], None]
) -> list[FaultResult]:
    """Runs the clean project, which is left as it is, and then each fault; calls `on_result` as each is done.

    Raises:
        ModelwayError: the project's own clean run does not pass, so that a drill would show nothing.
    """
    results = []
    with TemporaryDirectory() as work, _own_registry(Path(work)):
        for result in _results(Path(work), drill_input(workspace), faults):
            results.append(result)
            on_result(result)
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


def drill_input(workspace: Workspace) -> DrillInput:
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
    splits = split_table(table, project.data.split, label=project.label)
    return DrillInput(project, Contract.model_validate(content), workspace.policy, table, splits)


def _results(folder: Path, inputs: DrillInput, faults: tuple[Fault, ...]) -> Iterator[FaultResult]:
    """Registers a champion, and runs against it another seed of the same and then each fault."""
    champion = _Run(folder / "champion", inputs).registered_version()
    seeded = inputs.project.model.model_copy(update={"seed": inputs.project.model.seed + 1})
    inputs = replace(inputs, project=inputs.project.model_copy(update={"model": seeded}))
    gates = [*_Run(folder / "clean", inputs, champion).gates()]
    blocking = [gate for gate in gates if not gate.proceed]
    yield FaultResult(CLEAN, "", blocking[0].name if blocking else "", _blocking(blocking), not blocking)
    for number, fault in enumerate(faults):
        if fault.code is not None:
            yield _result(fault, [fault.code(inputs.project, inputs.contract, folder / f"fault-{number:02d}")])
            continue
        seed = FAULTS.index(fault)  # the same whether it is injected alone or with others
        faulty_inputs = fault.change(inputs, np.random.default_rng(seed))
        run = _Run(folder / f"fault-{number:02d}", faulty_inputs, champion)
        yield _result(fault, [*run.gates_against(fault, gates[0] if fault.after_data_gate else run.validate())])


def _result(fault: Fault, gates: list[Gate]) -> FaultResult:
    blocking = [gate for gate in gates if not gate.proceed]
    expected = [gate for gate in blocking if gate.name == fault.gate]
    catching = (expected or blocking)[:1]
    checks = _blocking(catching)
    caught = bool(expected) and any(name.startswith(fault.check) for name in checks)
    if fault.harmless:
        return FaultResult(fault.name, "", "".join(gate.name for gate in catching), checks, not blocking)
    return FaultResult(fault.name, fault.gate, "".join(gate.name for gate in catching), checks, caught)


class _Run:
    """The stages on their inputs, in a folder of files."""

    training: Trained

    def __init__(self, folder: Path, inputs: DrillInput, champion: str = "") -> None:
        self.folder, self.inputs, self.champion = folder, inputs, champion
        self._model_files = {"project_text": inputs.project.canonical(), "policy_text": inputs.policy.canonical()}
        folder.mkdir()
        serving = inputs.serving if inputs.serving is not None else inputs.table.clear()
        strict = (inputs.project.label, inputs.project.data.split.column or "")
        for name, rows in {**vars(inputs.splits), "serving": serving}.items():
            typed = with_contract_types(rows, inputs.contract, strict=strict)
            unparsed = {column: unparsed_of(bad[POSITION], bad[VALUE]) for column, bad in typed.unparsed.items()}
            typed.rows.write_parquet(folder / f"{name}.parquet", metadata=unparsed_metadata(unparsed))

    def gates(self) -> Iterator[Gate]:
        """The verdict of each gate in turn."""
        yield self.validate()
        self.training = self._train()
        yield self._evaluate()
        yield self._probe()

    def gates_against(self, fault: Fault, data_gate: Gate) -> Iterator[Gate]:
        """The data gate, and where that lets a fault pass, the gate meant for it."""
        yield data_gate
        if data_gate.proceed and fault.gate != "data":
            self.training = self._train()
            if fault.tamper is not None:
                fault.tamper(self.folder / "model")
            yield self._probe() if fault.gate == "serving" else self._evaluate()

    def registered_version(self) -> str:
        """The version that the model is registered as, which every gate must let pass."""
        for gate in self.gates():
            if not gate.proceed:
                raise RejectedError(
                    f"the project as it is does not pass its own {gate.name} gate: {gate.reasons[0]}",
                    remedy="fix that first: `modelway run`, and see the gate's report",
                )
            gate.write(self.folder / f"{gate.name}.json")
        evidence = Evidence(
            {name: self._path(f"{name}.json") for name in GATES},
            {name: self._path(f"{name}.html") for name in GATES},
            self._path("baseline"),
        )
        return register(
            self._path("model"),
            evidence,
            training=Training(run_id=self.training.run_id, model_id=self.training.model_id),
            files=UserFiles(self.inputs.project, self.inputs.contract, self.inputs.policy),
            context=RunContext(run="drill", store=self._path("store")),
        ).model.version

    def validate(self) -> Gate:
        """The data gate."""
        return validate(
            self._path("train.parquet"),
            self._path("test.parquet"),
            **self._model_files,
            contract_text=self.inputs.contract.canonical(),
            data_hash=_DATA_HASH,
            champion=self.champion,
            serving_path=self._path("serving.parquet"),
            baseline_path=self._path("baseline"),
            report_path=self._path("data.html"),
        )

    def _train(self) -> Trained:
        project_text, train_path = self.inputs.project.canonical(), self._path("train.parquet")
        steps_path, prepared_path = self._path("steps"), self._path("prepared.parquet")
        prepare(train_path, project_text, steps_path=steps_path, prepared_path=prepared_path)
        return train(
            prepared_path,
            train_path,
            steps_path=steps_path,
            project_text=project_text,
            data_hash=_DATA_HASH,
            model_path=self._path("model"),
            out_of_fold_path=self._path("out_of_fold.parquet"),
        )

    def _evaluate(self) -> Gate:
        return evaluate(
            self._path("model"),
            self._path("test.parquet"),
            **self._model_files,
            unseen_path=self._path("unseen.parquet"),
            out_of_fold_path=self._path("out_of_fold.parquet"),
            champion=self.champion,
            run_id=self.training.run_id,
            model_hash=self.training.model_hash,
            report_path=self._path("model.html"),
        ).gate

    def _probe(self) -> Gate:
        return probe(
            self._path("model"),
            self._path("test.parquet"),
            **self._model_files,
            model_hash=self.training.model_hash,
            report_path=self._path("serving.html"),
        )

    def _path(self, name: str) -> str:
        return str(self.folder / name)


def _blocking(gates: list[Gate]) -> tuple[str, ...]:
    return tuple(check.name for gate in gates for check in gate.checks if check.blocks)


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
