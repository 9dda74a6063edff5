"""Where versions are served: development, staging, production, as MLflow aliases and in the audit log.

The version that an environment serves holds the environment's alias; the version that production serves also holds
``champion``. The aliases say what is served now, the audit log what was served when: a version serves after
``deployed``, ``promoted`` and ``rolled-back``, and no longer after ``undone``; ``registered`` puts it in development.
Between ``undoing`` and ``undone`` it is being taken away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args

from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.config.deploy_policy import EnvironmentName
from modelway.components.core.errors import ModelwayError

ENVIRONMENTS: tuple[EnvironmentName, ...] = get_args(EnvironmentName)
DEVELOPMENT: EnvironmentName = "development"
CHAMPION = "champion"
CHALLENGER = "challenger"
ROLLBACK_RUN = "rollback-"  # how the runs of rollbacks are named
INCONCLUSIVE: Literal["inconclusive"] = "inconclusive"  # the verdict of an undo for a reason that is not the version's
_SERVES = {"deployed", "promoted", "registered", "rolled-back"}
_UNDOES = {"undone", "undone-in-part"}
ServiceState = Literal["serving", "served", "rolling-out", "undoing", "undone", "undone-in-part", "rolled-back-from"]


@dataclass(frozen=True)
class Period:
    """A period in which an environment served one version.

    Attributes:
        environment: Where.
        version: What.
        since: From when.
        until: Until when; None: it still does.
        entry: The entry that began it: the promotion's, once a deployment was promoted.
        end: The entry that ended it: the rollback's, once that is completed; None: it has not ended.
        undoing: The entry by which an undo of it has begun; None: none has.
    """

    environment: str
    version: str
    since: datetime
    until: datetime | None
    entry: Entry
    end: Entry | None = None
    undoing: Entry | None = None

    @property
    def undone(self) -> bool:
        """Whether the rollout failed, or was given up, and the version before it serves again."""
        return self.end is not None and self.end.event in _UNDOES

    @property
    def inconclusive(self) -> bool:
        """Whether it was undone without a verdict, for a reason that is not the version's."""
        return self.undone and self.end is not None and self.end.details.get("verdict") == INCONCLUSIVE

    @property
    def rolled_back(self) -> bool:
        """Whether a person ended it by a rollback, or has begun to."""
        return self.end is not None and (self.end.event == "rolled-back" or is_rollback(self.end))

    @property
    def state(self) -> ServiceState:
        """How the version serves, or how its service ended."""
        if self.end is None:
            deployed = self.entry.event == "deployed"
            return "undoing" if self.undoing is not None else "rolling-out" if deployed else "serving"
        if self.undone:
            return "undone-in-part" if self.end.event == "undone-in-part" else "undone"
        return "rolled-back-from" if self.rolled_back else "served"

    @property
    def served_well(self) -> bool:
        """Whether the version's rollout was completed, and its service not ended by an undo or a rollback."""
        return self.entry.event != "deployed" and not self.undone and not self.rolled_back


def is_rollback(entry: Entry) -> bool:
    """Whether an entry is of a rollback's run, not of a promotion's."""
    return entry.details.get("run", "").startswith(ROLLBACK_RUN)


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
            if entry.event == "undoing" and current is not None and current.version == entry.version:
                history[-1] = replace(current, undoing=entry)
            continue
        if current is not None and current.version == serving:
            if current.entry.event == "deployed" and entry.event != "undone":
                history[-1] = replace(current, entry=entry)
                if entry.event == "rolled-back" and len(history) > 1 and history[-2].end == current.entry:
                    history[-2] = replace(history[-2], end=entry)
            continue
        if current is not None:
            history[-1] = replace(current, until=entry.time, end=entry)
        if serving:
            history.append(Period(entry.environment, serving, entry.time, None, entry))
    return history


def has_served(entries: Iterable[Entry], model: str, *, environment: str, version: str) -> bool:
    """Whether an environment has served a version, at any time: promoted, not merely deployed or restored."""
    return any(
        period.version == version and period.entry.event not in {"deployed", *_UNDOES} and not period.undone
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
