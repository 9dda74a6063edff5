"""Where versions are served: development, staging, production, as MLflow aliases and in the audit log.

The alias of an environment is held by the version that it serves; ``champion`` is held by what production serves. The
aliases say what is now, the audit log what was: of each event the version is the one that it is about, which is served
after ``deployed``, ``promoted`` and ``rolled-back``, and was not kept in ``undone``; what was ``registered`` last is in
development.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from modelway.components.core.audit.log import Entry
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError

ENVIRONMENTS: tuple[EnvironmentName, ...] = get_args(EnvironmentName)
DEVELOPMENT: EnvironmentName = "development"
CHAMPION = "champion"
CHALLENGER = "challenger"
_SERVES = {"deployed", "promoted", "registered", "rolled-back"}


@dataclass(frozen=True)
class Period:
    """A time that an environment served one version.

    Attributes:
        environment: Where.
        version: What.
        since: From when.
        until: Until when; None: it still does.
        entry: What began it; the promotion that was completed where a deployment was before it.
        undone: Whether it was never promoted, and the version before took its place again.
    """

    environment: str
    version: str
    since: datetime
    until: datetime | None
    entry: Entry
    undone: bool = False


def periods(entries: Iterable[Entry], model: str, *, environment: str) -> list[Period]:
    """What an environment served when, by the audit log; the oldest first.

    Args:
        entries: The log's, in order.
        model: The registered model's name.
        environment: Where.
    """
    history: list[Period] = []
    for entry in entries:
        if (entry.model, entry.environment) != (model, environment):
            continue
        current = history[-1] if history and history[-1].until is None else None
        if entry.event in _SERVES:
            if current is not None and current.version == entry.version:
                if current.entry.event == "deployed":
                    history[-1] = replace(current, entry=entry)
                continue
            _follow(history, entry, version=entry.version)
        elif entry.event == "undone" and current is not None and current.version == entry.version:
            before = next((period.version for period in reversed(history[:-1]) if not period.undone), "")
            serving = entry.details.get("restored", before if current.entry.event == "deployed" else current.version)
            if serving != current.version:
                history[-1] = replace(current, undone=True)
                _follow(history, entry, version=serving)
    return history


def _follow(history: list[Period], entry: Entry, *, version: str) -> None:
    if history and history[-1].until is None:
        history[-1] = replace(history[-1], until=entry.time)
    if version:
        history.append(Period(entry.environment, version, entry.time, None, entry))


def has_served(entries: Iterable[Entry], model: str, *, environment: str, version: str) -> bool:
    """Whether an environment has served a version, at any time: promoted, and not merely tried."""
    promotions = (
        period for period in periods(entries, model, environment=environment) if period.entry.event != "deployed"
    )
    return any(period.version == version and not period.undone for period in promotions)


def environment_named(text: str) -> EnvironmentName:
    """An environment by its name.

    Raises:
        ModelwayError: there is no such environment.
    """
    environment = next((name for name in ENVIRONMENTS if name == text), None)
    if environment is None:
        raise ModelwayError(
            f"there is no environment {text!r}",
            key="environment",
            value=text,
            remedy=f"choose one of {', '.join(ENVIRONMENTS)}",
        )
    return environment


def served_versions(model: RegisteredModel) -> dict[EnvironmentName, ModelVersion]:
    """The version that holds each environment's alias, without those that nothing holds."""
    versions = {environment: model.version_with_alias(environment) for environment in ENVIRONMENTS}
    return {environment: version for environment, version in versions.items() if version is not None}


def point_environment_at(version: ModelVersion, environment: EnvironmentName) -> None:
    """Gives a version the alias of an environment, and the champion's where that is production.

    Running it again changes nothing, so that it completes one that was cut off between the two.
    """
    for alias in (environment, CHAMPION) if environment == "production" else (environment,):
        version.set_alias(alias)


def restore_alias(model: RegisteredModel, environment: EnvironmentName, *, version: str) -> None:
    """Gives the aliases of an environment back to the version that held them.

    Args:
        model: The registered model.
        environment: Where.
        version: The version's number. Empty: none held them, and nothing is served there any more; the champion then
            is who it was made by registering.
    """
    if version:
        point_environment_at(model.version(version), environment)
    else:
        model.tracking.delete_alias(model.name, environment)


def alias_of_blessed(model: RegisteredModel, alias: str) -> str:
    """The alias that a newly blessed version gets: what the policy says, but production decides who is the champion.

    Until a version serves production, the champion is the version that was blessed last.
    """
    produced = alias == CHAMPION and model.version_with_alias("production") is not None
    return CHALLENGER if produced else alias
