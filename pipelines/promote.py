"""The promote pipeline: a packaged version goes to an environment, or what serves there stays.

One task, since each level of depth costs its own pods: verifying, rehearsing, following and undoing are one promotion,
that a second task could not take up more safely than the same one run again. Runs of it take the service account
`modelway-deployer`, named on submission.
"""

from typing import Any

from kfp import dsl

from modelway.components.deploy.component import deploy_model
from modelway.components.record.component import record_outcome
from modelway.pipelines.cluster_settings import TaskSettings, with_deploy_access, with_display_name, with_services
from modelway.pipelines.form import Form


def promote_pipeline(settings: TaskSettings = TaskSettings(), *, form: Form = Form("promote")) -> Any:
    """The promote pipeline.

    Args:
        settings: What a project gives its tasks.
        form: What the pipeline is called, and what it asks for.
    """

    def promote(
        model: str,
        version: str,
        *,
        environment: str,
        store: str,
        policy: str = "",
        image: str = "",
        requested_by: str = "",
    ) -> None:
        """Verifies a packaged version, takes it live step by step, and undoes it by itself where it does not hold.

        Args:
            model: The registered model's name.
            version: The registered version.
            environment: Where it is to serve: development, staging or production.
            store: The root of the project's store: an s3:// prefix.
            policy: The promoter's policy: its text, or a URI; it may ask more than the released one. Empty: that one.
            image: The image by digest. Empty: the one that package_model recorded.
            requested_by: Who asks for it.
        """
        run = dsl.PIPELINE_JOB_ID_PLACEHOLDER
        recording = record_outcome(
            goal="promoted", model=model, run=run, run_name=dsl.PIPELINE_JOB_NAME_PLACEHOLDER, store=store
        )
        exit_task = with_display_name(with_services(recording, cached=False, settings=settings), "record outcome")
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
            with_display_name(with_deploy_access(promoting, settings=settings), "promote version")

    return form.pipeline(promote)
