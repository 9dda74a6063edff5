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
    found: list[Period] = []
    for entry in entries:
        if (entry.model, entry.environment) != (model, environment):
            continue
        now = found[-1] if found and found[-1].until is None else None
        if entry.event in _SERVES:
            if now is not None and now.version == entry.version:
                if now.entry.event == "deployed":
                    found[-1] = replace(now, entry=entry)
                continue
            _follow(found, entry, version=entry.version)
        elif entry.event == "undone" and now is not None and now.version == entry.version:
            before = next((one.version for one in reversed(found[:-1]) if not one.undone), "")
            restored = entry.details.get("restored", before if now.entry.event == "deployed" else now.version)
            if restored != now.version:
                found[-1] = replace(now, undone=True)
                _follow(found, entry, version=restored)
    return found


def _follow(found: list[Period], entry: Entry, *, version: str) -> None:
    if found and found[-1].until is None:
        found[-1] = replace(found[-1], until=entry.time)
    if version:
        found.append(Period(entry.environment, version, entry.time, None, entry))


def has_served(entries: Iterable[Entry], model: str, *, environment: str, version: str) -> bool:
    """Whether an environment has served a version, at any time: promoted, and not merely tried."""
    served = (one for one in periods(entries, model, environment=environment) if one.entry.event != "deployed")
    return any(one.version == version and not one.undone for one in served)


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
