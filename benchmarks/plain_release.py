"""The release pipeline's work as one plain Python script: what `modelway run` is measured against."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

START = time.perf_counter()


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
    paths = {name: str(home / name) for name in names}
    gates = {name: str(home / f"{name}.json") for name in ("data", "model", "serving")}
    pages = {name: str(home / f"{name}.html") for name in gates}
    ingestion = ingest(
        project_text,
        contract_text,
        expected_version=inputs.source_version,
        **{f"{name}_path": paths[name] for name in ("train", "test", "unseen", "serving")},
    )
    data_gate = validate(
        paths["train"],
        paths["test"],
        project_text=project_text,
        contract_text=contract_text,
        policy_text=policy_text,
        data_hash=ingestion.data_hash,
        serving_path=paths["serving"],
        baseline_path=paths["baseline"],
        report_path=pages["data"],
    )
    data_gate.write(gates["data"])
    prepare(paths["train"], project_text, steps_path=paths["steps"], prepared_path=paths["prepared"])
    trained_model = train(
        paths["prepared"],
        paths["train"],
        steps_path=paths["steps"],
        project_text=project_text,
        data_hash=ingestion.data_hash,
        model_path=paths["model"],
    )
    evaluation = evaluate(
        paths["model"],
        paths["test"],
        unseen_path=paths["unseen"],
        project_text=project_text,
        policy_text=policy_text,
        run_id=trained_model.run_id,
        model_hash=trained_model.model_hash,
        report_path=pages["model"],
    )
    evaluation.gate.write(gates["model"])
    serving_gate = probe(
        paths["model"],
        paths["test"],
        project_text=project_text,
        policy_text=policy_text,
        model_hash=trained_model.model_hash,
        report_path=pages["serving"],
    )
    serving_gate.write(gates["serving"])
    evidence = Evidence(gates, pages, paths["baseline"])
    versions = {"source_version": inputs.source_version, "code_version": inputs.code_version}
    training = Training(run_id=trained_model.run_id, model_id=trained_model.model_id, **versions)
    context = RunContext(run="plain", store=str(home))
    registration = register(paths["model"], evidence, training=training, files=workspace.files, context=context)
    record("registered", context=context, project=project_text)
    print(f"version {registration.model.version} in {time.perf_counter() - START:.2f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
