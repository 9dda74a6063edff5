"""The three files that a project's owner writes, read together and handed on by their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from modelway.components.core.config.contract import Contract
from modelway.components.core.config.document import Document
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.components.core.storage.run_files import config_file
from modelway.components.core.storage.uri import write_uri


@dataclass(frozen=True)
class UserFiles:
    """A project's three files.

    Attributes:
        project: What is trained, from what data.
        contract: What the data must look like.
        policy: When a model may ship.
    """

    project: Project
    contract: Contract
    policy: Policy

    @classmethod
    def load(cls, *, project: str, contract: str, policy: str) -> UserFiles:
        """Reads the three files, each from its text, its path or its URI.

        Raises:
            ModelwayError: one is missing or malformed; names the file and the key.
        """
        return cls(Project.load(project), Contract.load(contract), Policy.load(policy))

    def with_data(self, source: str) -> UserFiles:
        """The files of the same project on another data source."""
        return replace(self, project=self.project.with_data(source=source))

    def documents(self) -> Iterator[tuple[str, Document]]:
        """Each file with its parameter's name."""
        yield "project", self.project
        yield "contract", self.contract
        yield "policy", self.policy

    def locations(self, store: str) -> dict[str, str]:
        """Where each file is in the store, under its content's hash, by its parameter's name.

        So parameters stay short (KFP takes less than 10,000 bytes), what a task is cached by changes exactly when a
        file does, and no text of a user's is taken for one of KFP's placeholders.
        """
        return {name: config_file(store, name, digest=document.sha256()) for name, document in self.documents()}

    def keep(self, store: str) -> dict[str, str]:
        """Writes each file into the store; returns where, as `locations` does."""
        locations = self.locations(store)
        for name, document in self.documents():
            write_uri(locations[name], document.canonical().encode())
        return locations
