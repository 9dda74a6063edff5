"""A registered model of two versions with an audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from modelway.components.core.audit import approvals
from modelway.components.core.audit.opened_version import open_version, registered_blessings
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.storage.mlflow import Tracking


class AuditedModel:
    """A model in a store and a registry, with shorthands for entries about it."""

    def __init__(self, tracking: Tracking, store: str, model: str) -> None:
        self.handle, self.model = RegisteredModel(model, store, tracking), model
        self.log = self.handle.audit_log

    def say(self, event: Any, version: str, environment: str = "", **details: str) -> datetime:
        about = {"model": self.model, "version": version, "environment": environment}
        return self.log.append(event, "bot", **about, details=details).time

    def register(self, version: str) -> str:
        blessing = open_version(self.handle.version(version)).blessing_sha256
        self.say("registered", version, blessing_sha256=blessing, run=f"release-{version}")
        return blessing

    def approve(self, version: str = "1", by: str = "bob") -> None:
        if not registered_blessings(self.handle.version(version), self.log.entries()):
            self.register(version)
        approvals.approve(self.handle.version(version), "production", by=by, reason="fewer alarms")


RolledBack = tuple[AuditedModel, dict[str, datetime]]
