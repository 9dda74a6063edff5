"""The `deploy_model` component."""

from kfp.dsl import Markdown, Output

from modelway.components.core.decorator import component


@component
def deploy_model(
    model: str,
    version: str,
    environment: str,
    store: str,
    run: str,
    summary: Output[Markdown],
    policy: str = "",
    image: str = "",
    requested_by: str = "",
    insecure: bool = False,
) -> str:
    """Deploys a packaged version to an environment, and follows the rollout until the version serves or is undone.

    The task fails, with the reasons, unless the version serves. Run again with the same `run`, it resumes from the
    state of the cluster. MODELWAY_VERIFYING_KEY names the file of the key that the release must be signed with.

    Args:
        model: The registered model's name.
        version: The registered version.
        environment: The environment to deploy to: development, staging or production.
        store: The root of the project's store.
        run: The run's id.
        policy: The promoter's policy file, text or URI; it may be stricter than the released one.
        image: The image by digest. Empty: the one that package_model recorded.
        requested_by: Who requested the deployment.
        insecure: Whether to talk to the registry over plain HTTP.

    Returns:
        summary: The deploy result.
        Output: The status, promoted.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.deploy.stage import deploy_in_task

    result = deploy_in_task(
        store=store,
        model=model,
        version=version,
        environment=environment,
        run=run,
        policy=policy,
        image=image,
        requested_by=requested_by,
        insecure=insecure,
    )
    write_texts({summary.path: result.markdown()})
    result.check()
    return result.status
