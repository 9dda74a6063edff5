"""Where versions are served: development, staging, production, as MLflow aliases and in the audit log.

The version that an environment serves holds the environment's alias; the version that production serves also holds
``champion``. The aliases say what is served now, the audit log what was served when: a version serves after
``deployed``, ``promoted`` and ``rolled-back``, and no longer after ``undone``; ``registered`` puts it in development.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import get_args

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError

ENVIRONMENTS: tuple[EnvironmentName, ...] = get_args(EnvironmentName)
DEVELOPMENT: EnvironmentName = "development"
CHAMPION = "champion"
CHALLENGER = "challenger"
_SERVES = {"deployed", "promoted", "registered", "rolled-back"}
_UNDOES = {"undone", "undone-in-part"}


@dataclass(frozen=True)
class Period:
    """A period in which an environment served one version.

    Attributes:
        environment: Where.
        version: What.
        since: From when.
        until: Until when; None: it still does.
        entry: The entry that began it: the promotion's, once a deployment was promoted.
        undone: Whether the rollout failed and the version before it serves again.
        rolled_back: Whether a person ended it by a rollback.
    """

    environment: str
    version: str
    since: datetime
    until: datetime | None
    entry: Entry
    undone: bool = False
    rolled_back: bool = False

    @property
    def served_well(self) -> bool:
        """Whether the version's rollout was completed, and its service not ended by an undo or a rollback."""
        return self.entry.event != "deployed" and not self.undone and not self.rolled_back


def periods(entries: Iterable[Entry], model: str, *, environment: str) -> list[Period]:
    """What an environment served when, by the audit log's entries in order; the oldest first."""
    history: list[Period] = []
    for entry in entries:
        if (entry.model, entry.environment) != (model, environment):
            continue
        current = history[-1] if history and history[-1].until is None else None
        undone = entry.event in _UNDOES
        if entry.event in _SERVES:
            serving = entry.version
        elif undone and current is not None and current.version == entry.version:
            before = next((period.version for period in reversed(history[:-1]) if not period.undone), "")
            serving = entry.details.get("restored", before if current.entry.event == "deployed" else current.version)
        else:
            continue
        if current is not None and current.version == serving:
            if current.entry.event == "deployed" and entry.event != "undone":
                history[-1] = replace(current, entry=entry)
            continue
        if current is not None:
            rolled_back = entry.event == "rolled-back"
            history[-1] = replace(current, until=entry.time, undone=undone, rolled_back=rolled_back)
        if serving:
            history.append(Period(entry.environment, serving, entry.time, None, entry))
    return history


def has_served(entries: Iterable[Entry], model: str, *, environment: str, version: str) -> bool:
    """Whether an environment has served a version, at any time: promoted, not merely deployed."""
    return any(
        period.version == version and period.entry.event != "deployed" and not period.undone
        for period in periods(entries, model, environment=environment)
    )


def has_provably_served(log: VerifiedLog, model: str, *, environment: str, version: str) -> bool:
    """Whether an environment has served a version by witnessed entries, and none, witnessed or not, has undone that."""
    return all(
        has_served(entries, model, environment=environment, version=version) for entries in (log.trusted, log.entries)
    )


def unwitnessed_service(log: VerifiedLog, model: str, *, environment: str, version: str) -> int:
    """The number of the first entry by which an environment served a version and that is not witnessed; 0: none."""
    history = periods(log.entries, model, environment=environment)
    numbers = [period.entry.number for period in history if period.version == version]
    return next((number for number in numbers if number > log.witnessed), 0)


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
    """The version that holds each environment's alias; environments that serve nothing are left out."""
    return {name: version for name in ENVIRONMENTS if (version := model.version_with_alias(name)) is not None}


def point_environment_at(version: ModelVersion, environment: EnvironmentName) -> None:
    """Gives a version the alias of an environment, and the champion's where that is production.

    Running it again completes a call that was interrupted between the two.
    """
    for alias in (environment, CHAMPION) if environment == "production" else (environment,):
        version.set_alias(alias)


def restore_alias(model: RegisteredModel, environment: EnvironmentName, *, version: str) -> None:
    """Gives the aliases of an environment back to the version that held them.

    Where none did (an empty number), the environment serves nothing any more; the champion stays what registering made
    it.
    """
    if version:
        point_environment_at(model.version(version), environment)
    else:
        model.tracking.delete_alias(model.name, environment)


def alias_of_blessed(model: RegisteredModel, alias: str) -> str:
    """The alias that a newly blessed version gets: the policy's, except that production decides the champion.

    Until a version serves production, the champion is the version that was blessed last.
    """
    is_taken = alias == CHAMPION and model.version_with_alias("production") is not None
    return CHALLENGER if is_taken else alias
