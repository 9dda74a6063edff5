"""The promote pipeline: a packaged version goes to an environment, or the version that serves there stays.

One task, since each level of depth costs its own pods: verifying, rehearsing, following and undoing are one promotion,
which a second task could not continue more safely than the same one run again. Runs of it take the service account
`modelway-deployer`, named on submission.
"""

from typing import Any

from kfp import dsl

from modelway.components.deploy.component import deploy_model
from modelway.components.record.component import record_outcome
from modelway.pipelines.cluster_settings import TaskSettings, with_deploy_access, with_services
from modelway.pipelines.form import Form


def promote_pipeline(settings: TaskSettings = TaskSettings(), *, form: Form = Form("promote")) -> Any:
    """The promote pipeline."""

    def promote(
        model: str,
        version: str,
        environment: str,
        store: str,
        policy: str = "",
        image: str = "",
        requested_by: str = "",
    ) -> None:
        """Verifies a packaged version, promotes it step by step, and undoes it if an analysis fails.

        Args:
            model: The registered model's name.
            version: The registered version.
            environment: Where it is to serve: development, staging or production.
            store: The root of the project's store: an s3:// prefix.
            policy: The promoter's policy: its text, or a URI; the stricter of it and the released one holds.
            image: The image by digest. Empty: the one that package_model recorded.
            requested_by: Who promotes.
        """
        run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
        recording = record_outcome(
            goal="promoted", model=model, run=run, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, store=store
        )
        exit_task = with_services(recording, "record outcome", cached=False, settings=settings)
        with dsl.ExitHandler(exit_task, name="promote"):
            promoting = deploy_model(
                model=model,
                version=version,
                environment=environment,
                store=store,
                run=run,
                policy=policy,
                image=image,
                requested_by=requested_by,
            )
            with_deploy_access(promoting, "promote version", settings=settings)

    return form.pipeline(promote)
