"""What the environments serve by the cluster, beside the record, for the commands that show the record."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from modelway.components.core.audit.environments import ENVIRONMENTS, Period, periods
from modelway.components.core.audit.lock import current_lock
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError
from modelway.components.core.surroundings.kubeconfig import KUBECONFIG, is_cluster_configured
from modelway.pipelines.cli.output import Console, escape

if TYPE_CHECKING:
    from modelway.components.core.audit.lock import PromotionLock
    from modelway.components.deploy.comparison import Comparison

_CONNECT_SECONDS, _ALL_SECONDS = 3.0, 10.0
_NO_CLUSTER = f"the record alone is shown: no cluster is configured ({KUBECONFIG})"
_REMEDY = (
    "A promotion whose run has died is taken up again by the same command of the same person, and taken over by "
    "`modelway promote … --take-over REASON` or `modelway rollback`."
)
_COLOURS = {"same": "green", "changing": "yellow", "undone": "red", "differs": "red", "unknown": "yellow"}


def environment_services(model: RegisteredModel, policy: Policy) -> dict[EnvironmentName, Comparison | None]:
    """What the environments serve by the record and by the cluster, compared.

    Only environments that something was deployed to, or is being deployed to, are asked, within seconds. A cluster that
    does not answer, or refuses access, is said in the comparison's place.

    Args:
        model: The registered model.
        policy: Names the environments' namespaces, and what serves there.

    Returns:
        A comparison for each; None where no cluster is configured.

    Raises:
        BrokenLogError: a link of the audit log is broken.
    """
    entries = model.verified_log().entries
    records: dict[EnvironmentName, tuple[Period | None, PromotionLock | None]] = {}
    for environment in ENVIRONMENTS:
        history = periods(entries, model.name, environment=environment)
        lock = current_lock(entries, model.name, environment=environment)
        if lock is not None or any(period.entry.event != "registered" for period in history):
            records[environment] = (history[-1] if history else None, lock)
    if not records or not is_cluster_configured():
        return dict.fromkeys(records)
    from modelway.components.deploy.cluster import Cluster
    from modelway.components.deploy.comparison import Comparison, compare
    from modelway.components.deploy.objects import kubernetes_name
    from modelway.components.deploy.serving import serving
    from modelway.components.deploy.workload import Workload, namespace_of

    def comparison(environment: EnvironmentName) -> Comparison:
        period, lock = records[environment]
        try:
            cluster = Cluster.connect(namespace_of(policy, environment), connect_seconds=_CONNECT_SECONDS)
            workload = Workload(cluster, kubernetes_name(model.name), policy, progress=lambda _: None)
            return compare(environment, period, lock=lock, entries=entries, serving=serving(workload, model.name))
        except ModelwayError as error:
            return unknown(environment, error.message)

    def unknown(environment: EnvironmentName, problem: str) -> Comparison:
        return Comparison(environment, "unknown", f"{environment}: the record alone is shown: {problem}")

    answers: dict[EnvironmentName, Comparison] = {}
    crashes: list[BaseException] = []

    def ask(environment: EnvironmentName) -> None:
        try:
            answers[environment] = comparison(environment)
        except BaseException as error:
            crashes.append(error)

    # What is late, such as a plugin that gets credentials, goes on in the background, and is forgotten.
    threads = [threading.Thread(target=ask, args=(environment,), daemon=True) for environment in records]
    deadline = time.monotonic() + _ALL_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if crashes:
        raise crashes[0]
    late = f"the cluster has not answered within {_ALL_SECONDS:.0f} s"
    return {environment: answers.get(environment) or unknown(environment, late) for environment in records}


def with_services(
    rows: Sequence[dict[str, Any]], services: Mapping[EnvironmentName, Comparison | None]
) -> list[dict[str, Any]]:
    """The rows of the history, those of what serves now with the key ``serving``: what the cluster says, or null."""
    answers = {environment: service.json() for environment, service in services.items() if service is not None}
    return [row if row["until"] else {**row, "serving": answers.get(row["environment"])} for row in rows]


def print_services(services: Mapping[EnvironmentName, Comparison | None]) -> None:
    """Prints a line for each environment."""
    console = Console(soft_wrap=True)
    comparisons = [service for service in services.values() if service is not None]
    for service in comparisons:
        colour = _COLOURS[service.state]
        console.print(f"[{colour}]{service.state}[/{colour}] {escape(service.sentence)}")
    if any(service.state in {"changing", "undone"} for service in comparisons):
        console.print(f"  {escape(_REMEDY)}")
    if services and not comparisons:
        console.print(f"[dim]{escape(_NO_CLUSTER)}[/dim]")
