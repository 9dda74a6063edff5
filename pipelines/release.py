"""The release pipeline: from data to a judged, registered model, or to a rejection that says why."""

from kfp import dsl

from modelway.components.deploy.component import deploy_model
from modelway.components.evaluate.component import evaluate_model
from modelway.components.features.component import prepare_features
from modelway.components.ingest.component import ingest_data
from modelway.components.notify.component import record_outcome
from modelway.components.package.component import package_model
from modelway.components.probe.component import probe_model
from modelway.components.register.component import register_model
from modelway.components.rejection.component import reject
from modelway.components.train.component import train_model
from modelway.components.validate.component import validate_data
from modelway.pipelines.cluster_settings import with_deploy_access, with_services, with_signing_keys


@dsl.pipeline(name="release")  # type: ignore[untyped-decorator]  # kfp is untyped
def release(
    project: str,
    contract: str,
    policy: str,
    store: str,
    data_version: str = "",
    champion: str = "",
    code_version: str = "",
    git_commit: str = "",
    requested_by: str = "",
    as_of: str = "",
    serving_base: str = "",
    image: str = "",
    deploy_to: str = "",
) -> None:
    """Ingests, validates, prepares, trains, judges and probes; registers what every gate blesses, rejects the rest.

    What is registered is packaged too if a serving base is given, and taken to an environment if one is named.

    Args:
        project: The project file: its text, or a URI.
        contract: The contract file: its text, or a URI.
        policy: The policy file: its text, or a URI.
        store: The root of the project's store: an s3:// prefix, or a folder where it runs on one machine.
        data_version: What the source is now, so that unchanged data is served from cache and changed data is not.
        champion: The champion's registry version to compare with. Empty: there is none.
        code_version: A hash of the user's own training code.
        git_commit: The commit of the user's repository.
        requested_by: Who asks for the run.
        as_of: The day that waivers are judged at, ISO 8601. Empty: the day that a gate runs.
        serving_base: The image that the model is put on, by digest. Empty: it is not packaged.
        image: Where the packaged model goes, host/repository:tag.
        deploy_to: The environment that what is packaged goes to, such as staging. Empty: to none.
    """
    run = dsl.PIPELINE_JOB_NAME_PLACEHOLDER
    files = {"project": project, "contract": contract, "policy": policy}
    ended = with_services(record_outcome(project=project, run=run, store=store, git_commit=git_commit), cached=False)
    with dsl.ExitHandler(ended, name="release"):
        ingested = with_services(ingest_data(project=project, contract=contract, data_version=data_version)).outputs
        data = with_services(
            validate_data(
                train_data=ingested["train_data"],
                test_data=ingested["test_data"],
                serving_data=ingested["serving_data"],
                **files,
                data_hash=ingested["data_hash"],
                champion=champion,
                as_of=as_of,
            ),
        ).outputs
        rejected = {**files, "run": run, "store": store, "git_commit": git_commit, "champion": champion}
        rejected["requested_by"] = requested_by
        reached = {"data_gate": data["gate"], "data_report": data["report"]}
        with dsl.If(data["proceed"] == True, name="data is good"):  # noqa: E712 - compiled, not evaluated
            prepared = with_services(prepare_features(train_data=ingested["train_data"], project=project)).outputs
            trained = with_services(
                train_model(
                    train_data=ingested["train_data"],
                    prepared_data=prepared["prepared_data"],
                    steps=prepared["steps"],
                    project=project,
                    data_hash=ingested["data_hash"],
                    code_version=code_version,
                ),
            ).outputs
            asked = {
                "model": trained["model"],
                "test_data": ingested["test_data"],
                "project": project,
                "policy": policy,
                "model_hash": trained["model_hash"],
                "as_of": as_of,
            }
            judged = with_services(
                evaluate_model(
                    **asked, unseen_data=ingested["unseen_data"], run_id=trained["run_id"], champion=champion
                )
            ).outputs
            probed = with_services(probe_model(**asked)).outputs
            reached |= {
                "model_gate": judged["gate"],
                "model_report": judged["report"],
                "serving_gate": probed["gate"],
                "serving_report": probed["report"],
            }
            with dsl.If(judged["proceed"] == True, name="model is good"):  # noqa: E712
                with dsl.If(probed["proceed"] == True, name="model is blessed"):  # noqa: E712
                    registered = with_services(
                        register_model(
                            **reached,
                            **files,
                            model=trained["model"],
                            baseline=data["baseline"],
                            run=run,
                            run_id=trained["run_id"],
                            model_id=trained["model_id"],
                            store=store,
                            data_version=data_version,
                            code_version=code_version,
                            git_commit=git_commit,
                            champion=champion,
                            requested_by=requested_by,
                        ),
                        cached=False,
                    ).outputs
                    with dsl.If(serving_base != "", name="is packaged"):
                        released = {"model": registered["name"], "version": registered["version"], "store": store}
                        packaged = with_signing_keys(package_model(**released, base=serving_base, target=image))
                        with dsl.If(deploy_to != "", name="is deployed"):
                            with_deploy_access(
                                deploy_model(
                                    **released,
                                    environment=deploy_to,
                                    run=run,
                                    policy=policy,
                                    image=packaged.outputs["Output"],
                                    requested_by=requested_by,
                                )
                            )
                with dsl.Else(name="serving is rejected"):
                    with_services(reject(**reached, **rejected), cached=False)
            with dsl.Else(name="model is rejected"):
                with_services(reject(**reached, **rejected), cached=False)
        with dsl.Else(name="data is rejected"):
            with_services(reject(data_gate=data["gate"], data_report=data["report"], **rejected), cached=False)
