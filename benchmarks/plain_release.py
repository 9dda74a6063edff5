"""The release pipeline's work as one plain Python script: what `modelway run` is measured against."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

STARTED = time.perf_counter()


def main(project: Path, home: Path) -> None:
    """Calls the stages' functions one after the other, in this process.

    Args:
        project: The project's folder.
        home: The folder for everything that is written.
    """
    home.mkdir(parents=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{home / 'mlflow.db'}"
    from modelway.components.core.evidence.runs import RunContext
    from modelway.components.evaluate.stage import evaluate
    from modelway.components.ingest.stage import ingest
    from modelway.components.prepare.stage import prepare
    from modelway.components.probe.stage import probe
    from modelway.components.record.stage import record
    from modelway.components.register.stage import Evidence, Training, register
    from modelway.components.resolve.stage import resolve
    from modelway.components.train.stage import train
    from modelway.components.validate.stage import validate
    from modelway.pipelines.project.workspace import Workspace

    workspace = Workspace.load(project)
    project_text, contract_text, policy_text = (document.canonical() for _, document in workspace.files.documents())
    inputs = resolve(workspace.files, names=workspace.names())
    names = ("train", "test", "unseen", "serving", "baseline", "steps", "prepared", "model")
    at = {name: str(home / name) for name in names}
    gates = {name: str(home / f"{name}.json") for name in ("data", "model", "serving")}
    pages = {name: str(home / f"{name}.html") for name in gates}
    ingested = ingest(
        project_text,
        contract_text,
        expected_version=inputs.source_version,
        **{f"{name}_path": at[name] for name in ("train", "test", "unseen", "serving")},
    )
    data_gate = validate(
        at["train"],
        at["test"],
        project_text=project_text,
        contract_text=contract_text,
        policy_text=policy_text,
        data_hash=ingested.data_hash,
        serving_path=at["serving"],
        baseline_path=at["baseline"],
        report_path=pages["data"],
    )
    data_gate.write(gates["data"])
    prepare(at["train"], project_text, steps_path=at["steps"], prepared_path=at["prepared"])
    trained = train(
        at["prepared"],
        at["train"],
        steps_path=at["steps"],
        project_text=project_text,
        data_hash=ingested.data_hash,
        model_path=at["model"],
    )
    evaluation = evaluate(
        at["model"],
        at["test"],
        unseen_path=at["unseen"],
        project_text=project_text,
        policy_text=policy_text,
        run_id=trained.run_id,
        model_hash=trained.model_hash,
        report_path=pages["model"],
    )
    evaluation.gate.write(gates["model"])
    probed = probe(
        at["model"],
        at["test"],
        project_text=project_text,
        policy_text=policy_text,
        model_hash=trained.model_hash,
        report_path=pages["serving"],
    )
    probed.write(gates["serving"])
    evidence = Evidence(gates, pages, at["baseline"])
    versions = {"source_version": inputs.source_version, "code_version": inputs.code_version}
    training = Training(run_id=trained.run_id, model_id=trained.model_id, **versions)
    context = RunContext(run="plain", store=str(home))
    registered = register(at["model"], evidence, training=training, files=workspace.files, context=context)
    record("registered", context=context, project=project_text)
    print(f"version {registered.model.version} in {time.perf_counter() - STARTED:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
