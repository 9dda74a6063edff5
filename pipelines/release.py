"""The release pipeline: from data to a judged, registered model, or to a rejection with its reasons.

One flat graph below the exit handler, without conditions: every stage is seen on one screen, and the run is red
exactly where a gate refused. A gate's own task succeeds with its verdict and report; `enforce_gate` and
`register_model` refuse. How far it goes is decided when it is compiled.
"""

from typing import Any

from kfp import dsl

from modelway.components.core.evidence.runs import ReleaseGoal
from modelway.components.deploy.component import deploy_model
from modelway.components.enforce.component import enforce_gate
from modelway.components.evaluate.component import evaluate_model
from modelway.components.ingest.component import ingest_data
from modelway.components.package.component import package_model
from modelway.components.prepare.component import prepare_features
from modelway.components.probe.component import probe_model
from modelway.components.record.component import record_outcome
from modelway.components.register.component import register_model
from modelway.components.resolve.component import resolve_inputs
from modelway.components.train.component import train_model
from modelway.components.validate.component import validate_data
from modelway.pipelines.cluster_settings import (
    TaskSettings,
    with_deploy_access,
    with_services,
    with_signing_keys,
    with_training_image,
)
from modelway.pipelines.form import Form


def release_pipeline(
    goal: ReleaseGoal = "registered", settings: TaskSettings = TaskSettings(), *, form: Form = Form("release")
) -> Any:
    """The release pipeline that ends with a registered model, with its image, or with its image in staging."""

    def release(
        project: str,
        contract: str,
        policy: str,
        store: str,
        serving_base: str,
        image: str,
        data: str = "",
        data_version: str = "",
        champion: str = "",
        reason: str = "",
        requested_by: str = "",
        git_commit: str = "",
        project_code: str = "",
    ) -> None:
        """Ingests, validates, prepares, trains, judges and probes; registers what every gate blesses, rejects the rest.

        Args:
            project: The project file: its text, or a URI.
            contract: The contract file: its text, or a URI.
            policy: The policy file: its text, or a URI.
            store: The root of the project's store: an s3:// prefix, or a folder where it runs on one machine.
            serving_base: The image that the model is put on, by digest.
            image: Where the packaged model goes, host/repository:tag.
            data: Another data source than the project's. Empty: the project's own.
            data_version: Your name for the data's version: a label; changed data is noticed without it.
            champion: The version to compare with. Empty: the one that the policy's alias points to, if any.
            reason: Why the run is started.
            requested_by: Who starts the run; approvals must be by others.
            git_commit: The commit of your repository.
            project_code: The version of the project's own code. Empty: it is looked up in the components' image.
        """
        files = {"project": project, "contract": contract, "policy": policy}
        run = {
            "run": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            "run_name": dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
            "store": store,
            "git_commit": git_commit,
        }
        recording = record_outcome(goal=goal, project=project, reason=reason, **run)
        exit_task = with_services(recording, "record outcome", cached=False, settings=settings)
        with dsl.ExitHandler(exit_task, name="release"):
            run["requested_by"] = requested_by
            resolving = resolve_inputs(
                **files,
                **run,
                data=data,
                data_version=data_version,
                champion=champion,
                reason=reason,
                project_code=project_code,
            )
            inputs = with_services(resolving, "resolve inputs", cached=False, settings=settings).outputs
            registered = _judged_model(inputs, data_version=data_version, run=run, settings=settings)
            if goal == "registered":
                return
            version = {
                "model": registered["name"],
                "version": registered["version"],
                "store": store,
                "run": dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            }
            packaging = package_model(**version, base=serving_base, target=image)
            with_signing_keys(packaging, "package model", settings=settings)
            if goal == "staging":
                deploying = deploy_model(
                    **version,
                    environment="staging",
                    policy=inputs["policy_file"],
                    image=packaging.outputs["Output"],
                    requested_by=requested_by,
                )
                with_deploy_access(deploying, "deploy to staging", settings=settings)

    return form.pipeline(release, unused=("serving_base", "image") if goal == "registered" else ())


def _judged_model(inputs: Any, *, data_version: Any, run: dict[str, Any], settings: TaskSettings) -> Any:
    """The stages from the data to the registered model; returns the outputs of `register_model`."""
    files = {name: inputs[f"{name}_file"] for name in ("project", "contract", "policy")}
    champion, champion_blessing = inputs["champion_version"], inputs["champion_blessing"]
    as_of = inputs["as_of"]
    ingesting = ingest_data(
        project=files["project"],
        contract=files["contract"],
        source_version=inputs["source_version"],
        data_version=data_version,
    )
    data = with_services(ingesting, "ingest data", settings=settings).outputs
    validating = validate_data(
        train_data=data["train_data"],
        test_data=data["test_data"],
        serving_data=data["serving_data"],
        **files,
        data_hash=data["data_hash"],
        champion=champion,
        champion_blessing=champion_blessing,
        as_of=as_of,
    )
    validated = with_services(validating, "validate data", settings=settings).outputs
    enforcing = enforce_gate(gate=validated["gate"], report=validated["report"], **files, **run, champion=champion)
    with_training_image(enforcing, settings=settings)
    enforced = with_services(enforcing, "enforce data gate", cached=False, settings=settings)
    preparing = prepare_features(train_data=data["train_data"], project=files["project"], proceed=validated["proceed"])
    features = with_services(preparing, "prepare features", settings=settings).outputs
    training = train_model(
        train_data=data["train_data"],
        prepared_data=features["prepared_data"],
        steps=features["steps"],
        project=files["project"],
        data_hash=data["data_hash"],
        code_version=inputs["code_version"],
        trusted_types=inputs["trusted_types"],
    ).after(enforced)
    training_outputs = with_services(training, "train model", settings=settings).outputs
    candidate = {
        "model": training_outputs["model"],
        "test_data": data["test_data"],
        "project": files["project"],
        "policy": files["policy"],
        "model_hash": training_outputs["model_hash"],
        "as_of": as_of,
    }
    evaluating = evaluate_model(
        **candidate,
        unseen_data=data["unseen_data"],
        out_of_fold=training_outputs["out_of_fold"],
        run_id=training_outputs["run_id"],
        champion=champion,
        champion_blessing=champion_blessing,
    )
    evaluated = with_services(evaluating, "judge model", settings=settings).outputs
    probed = with_services(probe_model(**candidate), "probe serving", settings=settings).outputs
    registering = register_model(
        model=training_outputs["model"],
        data_gate=validated["gate"],
        model_gate=evaluated["gate"],
        serving_gate=probed["gate"],
        data_report=validated["report"],
        model_report=evaluated["report"],
        serving_report=probed["report"],
        baseline=validated["baseline"],
        **files,
        **run,
        run_id=training_outputs["run_id"],
        model_id=training_outputs["model_id"],
        source_version=inputs["source_version"],
        data_version=data_version,
        code_version=inputs["code_version"],
        champion=champion,
    )
    with_training_image(registering, settings=settings)
    return with_services(registering, "register model", cached=False, settings=settings).outputs
