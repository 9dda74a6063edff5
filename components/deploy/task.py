"""A deployment as a pipeline's task asks for it: in text, and with nobody looking on."""

from __future__ import annotations

from modelway.components.core.audit.environments import environment_named
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.policy import Policy
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.deploy.result import Deployed
from modelway.components.deploy.stage import deploy

_ACTOR = "deploy_model"


def deploy_in_task(
    *,
    store: str,
    model: str,
    version: str,
    environment: str,
    run: str,
    policy: str = "",
    image: str = "",
    requested_by: str = "",
    insecure: bool = False,
) -> Deployed:
    """Deploys as `deploy` does, and keeps in the store what became of it, whatever that is.

    Args:
        store: The root of the project's store.
        model: The registered model's name.
        version: Its version.
        environment: Where it is to serve.
        run: The run's id.
        policy: The promoter's policy file: its text, path or URI; empty: the released one alone counts.
        image: The image by digest; empty: as `package_model` recorded it.
        requested_by: Who asks for it; empty: the task itself.
        insecure: Whether the registry is spoken to by plain HTTP.

    Raises:
        ModelwayError: there is no such environment, or what `deploy` raises.
    """
    where, promoter_policy = environment_named(environment), Policy.load(policy) if policy else None
    deployed = deploy(
        RegisteredModel(model, store, Tracking.from_environment()).version(version),
        where,
        image=image,
        run=run,
        actor=requested_by or _ACTOR,
        policy=promoter_policy,
        progress=_say,
        insecure=insecure,
    )
    deployed.record(run).write(store)
    return deployed


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a task's log
