"""Handles of registered models and their versions, with the store that holds their audit log and packages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from modelway.components.core.audit.chain import Entry, Event
from modelway.components.core.audit.log import AuditLog
from modelway.components.core.audit.witness import VerifiedLog
from modelway.components.core.errors import NotFoundError
from modelway.components.core.storage.mlflow import Tracking

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion as RegistryEntry


@dataclass(frozen=True)
class RegisteredModel:
    """A model by its name in MLflow's registry; it need not have a version yet.

    Attributes:
        name: Its name.
        store: The root of the project's store: a folder or an ``s3://`` prefix.
        tracking: The MLflow server that it is registered with.
    """

    name: str
    store: str
    tracking: Tracking

    @cached_property
    def audit_log(self) -> AuditLog:
        """The store's audit log, which the model registry witnesses."""
        return AuditLog(self.store, self.tracking)

    def verified_log(self) -> VerifiedLog:
        """The audit log's entries, of all models, in order, and which of them are witnessed.

        Raises:
            BrokenLogError: a link is broken.
        """
        return self.audit_log.verified_log(self.name)

    def verified_entries(self) -> list[Entry]:
        """The entries of `verified_log`, also those that are not witnessed."""
        return self.verified_log().entries

    def version(self, number: str) -> ModelVersion:
        """A version by its number; it need not exist."""
        return ModelVersion(self, number)

    def version_with_alias(self, alias: str) -> ModelVersion | None:
        """The version that holds an alias, if any."""
        holder = self.tracking.version_with_alias(self.name, alias)
        return None if holder is None else self.version(str(holder.version))

    def version_named(self, text: str) -> ModelVersion:
        """A version by its number or an alias.

        Raises:
            NotFoundError: there is no such version or alias.
        """
        if text in {str(entry.version) for entry in self.tracking.versions(self.name)}:
            return self.version(text)
        version = self.version_with_alias(text) if text and not text.isdecimal() else None
        if version is None:
            raise NotFoundError(
                f"{self.name} has no version and no alias {text!r}",
                value=text,
                remedy="MLflow's registry and `modelway history` list the versions",
            )
        return version


@dataclass(frozen=True)
class ModelVersion:
    """A version of a registered model; in text, ``version 3 of loans``.

    Attributes:
        model: The model.
        number: The version's number, in decimal digits as MLflow has it.
    """

    model: RegisteredModel
    number: str

    def __str__(self) -> str:
        return f"version {self.number} of {self.name}"

    @property
    def name(self) -> str:
        """The registered model's name."""
        return self.model.name

    @property
    def store(self) -> str:
        """The root of the project's store."""
        return self.model.store

    def log_event(self, event: Event, actor: str, *, environment: str, details: Mapping[str, str]) -> Entry:
        """Writes an entry about this version at the end of the audit log."""
        return self.model.audit_log.append(
            event, actor, model=self.name, version=self.number, environment=environment, details=details
        )

    def set_alias(self, alias: str) -> None:
        """Moves an alias to this version."""
        self.model.tracking.set_alias(self.name, self.number, alias=alias)

    def registered(self) -> RegistryEntry:
        """MLflow's entry of the version.

        Raises:
            NotFoundError: there is none.
        """
        versions = self.model.tracking.versions(self.name)
        entry = next((candidate for candidate in versions if str(candidate.version) == self.number), None)
        if entry is None:
            raise NotFoundError(
                f"{self.name} has no version {self.number}",
                value=self.number,
                remedy="`modelway history` and MLflow's registry list the versions",
            )
        return entry
