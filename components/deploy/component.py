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
    """Takes a packaged version live in an environment, and follows it until it serves or is undone.

    Anything but a live version fails the task, with the reasons. Run again with the same `run`, it goes on where the
    cluster is. The key that must have signed the release is the file that MODELWAY_VERIFYING_KEY names.

    Args:
        model: The registered model's name.
        version: The registered version.
        environment: Where it is to serve, development, staging or production.
        store: The root of the project's store.
        run: The run's id.
        policy: The promoter's policy file, its text or a URI; it may ask more than the released one. Empty: that one.
        image: The image by digest. Empty: the one that package_model recorded.
        requested_by: Who asks for it.
        insecure: Whether the registry is spoken to by plain HTTP.

    Returns:
        summary: What came of it.
        Output: The verdict, promoted.
    """
    from modelway.components.core.artifacts import write_texts
    from modelway.components.deploy.task import deploy_in_task

    made = deploy_in_task(
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
    write_texts({summary.path: made.markdown()})
    made.check()
    return made.verdict
