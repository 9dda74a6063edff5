"""The stage's one function: what a run works on, found out once, before anything is changed.

Everything after it is cached by what it found, so that unchanged data is served from cache, changed data never is, and
a champion is compared with although nobody named it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from modelway.components.core.code.version import code_version
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.core.evidence.runs import RunContext, request_hash
from modelway.components.core.report.html import markdown_cell
from modelway.components.core.storage.mlflow import TAG, Tracking
from modelway.components.core.surroundings.services import check_surroundings
from modelway.components.core.tables.sources import source_version
from modelway.components.resolve.consistency import check_consistency

__all__ = ["Resolution", "RunContext", "resolve", "resolve_in_task"]

TITLES = {"project": "project.yaml", "contract": "contract.yaml", "policy": "policy.yaml"}


@dataclass(frozen=True)
class Resolution:
    """What a run works on.

    Attributes:
        files: The project's three files.
        source_version: What the data sources are now.
        code_version: The hash of the library's and the user's own training code.
        champion: The registry version to compare with; empty: there is none.
        as_of: The day that waivers are judged at, ISO 8601; empty where there are none, so that no waiver outlives its
            day in the cache and nothing else ends with the day.
        notes: What a person should know of it, a sentence each.
    """

    files: UserFiles
    source_version: str
    code_version: str
    champion: str
    as_of: str
    notes: tuple[str, ...]

    def markdown(self, context: RunContext, data_version: str) -> str:
        """What was resolved, for people."""
        rows = {
            "Run": f"{context.name} `{context.run}`".strip(),
            "Data": f"`{self.files.project.data.source}`",
            "Data's version": f"`{self.source_version}`" + (f", called {data_version}" if data_version else ""),
            "Champion": f"version {self.champion}" if self.champion else "none to compare with",
            "Commit": f"`{context.git_commit}`" if context.git_commit else "unknown",
            "Requested by": context.requested_by or "unknown",
            **({"Reason": context.reason} if context.reason else {}),
            "Code": f"`{self.code_version}`",
            **{TITLES[name]: f"SHA-256 `{document.sha256()}`" for name, document in self.files.documents()},
        }
        lines = "\n".join(f"| {title} | {markdown_cell(value)} |" for title, value in rows.items())
        notes = "".join(f"\n- {markdown_cell(note)}" for note in self.notes)
        return f"# What this run of {self.files.project.name} works on\n\n| | |\n| --- | --- |\n{lines}\n{notes}\n"


def resolve(
    files: UserFiles,
    *,
    champion: str = "",
    project_code: str = "",
    trains_here: bool = True,
    names: Mapping[str, str] = TITLES,
) -> Resolution:
    """Checks a project's files, and finds out what a run of it works on now.

    Args:
        files: The project's three files.
        champion: The registry version to compare with, in place of the one that holds the policy's alias.
        project_code: The version of the project's own code, where it is known; else it is looked up.
        trains_here: Whether the model is trained with what is installed here, and not in an image of its own.
        names: What to call ``project``, ``contract`` and ``policy`` in errors.

    Raises:
        ModelwayError: something is wrong with the files, or a source, the code or the champion is not there.
    """
    check_consistency(files, names, trains_here=trains_here)
    try:
        code = code_version(files.project, project_code=project_code)
    except ModelwayError as error:
        error.file = names["project"]
        raise
    source = source_version(files.project.data)
    version, notes = _champion(files, champion, request=request_hash(files, source_version=source, code_version=code))
    as_of = datetime.now(UTC).date().isoformat() if files.policy.waivers else ""
    return Resolution(files, source, code, version, as_of, notes)


def _champion(files: UserFiles, champion: str, *, request: str) -> tuple[str, tuple[str, ...]]:
    """The version to compare with, and what to know of it.

    Where the champion came from this very request, that is what it was compared with itself, so that asking again
    gives the same answer.
    """
    name, alias = files.project.name, files.policy.registration.alias
    if _has_no_database(os.environ.get("MLFLOW_TRACKING_URI", "")):
        tracking, holder = None, None
    else:
        tracking = Tracking.from_environment()
        holder = tracking.version_with_alias(name, alias)
    if champion:
        if tracking is None or champion not in {str(version.version) for version in tracking.versions(name)}:
            raise NotFoundError(
                f"{name} has no version {champion}, which the run is to be compared with",
                key="champion",
                value=champion,
                remedy=f"leave it out: then the version with the alias {alias!r} is compared with",
            )
        if holder is None or champion != str(holder.version):
            current = "no version" if holder is None else f"version {holder.version}"
            return champion, (f"the run names version {champion} as champion, but {current} holds {alias!r}",)
        return champion, ()
    if holder is None:
        return "", (f"no version of {name} holds the alias {alias!r}: there is no champion to compare with",)
    if holder.tags.get(f"{TAG}request_hash") == request:
        note = f"champion version {holder.version} came from this very request, so its own comparison is repeated"
        return str(holder.tags.get(f"{TAG}compared_with", "")), (note,)
    return str(holder.version), ()


def _has_no_database(uri: str) -> bool:
    """Whether tracking is a sqlite database that is yet to be created, which holds no champion."""
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()


def resolve_in_task(
    files: dict[str, str], *, context: RunContext, data: str = "", champion: str = "", project_code: str = ""
) -> tuple[Resolution, dict[str, str]]:
    """Resolves what a pipeline's run works on, and puts the files into the store by their content.

    Args:
        files: The project, contract and policy file: each one's text, path or URI.
        context: The run.
        data: Another data source than the project's.
        champion: The registry version to compare with, in place of the one that holds the policy's alias.
        project_code: The version of the project's own code, where an image was made with it.

    Returns:
        What was resolved, and where each file is by its content.

    Raises:
        ModelwayError: the run has no store, or something is missing or wrong.
    """
    if not context.store:
        raise ModelwayError(
            "the pipeline's store is empty, and what became of the run would not be recorded",
            key="store",
            remedy="give the pipeline a store: an s3:// prefix, or a folder where it runs on one machine",
        )
    try:
        user_files = UserFiles.load(**files)
    except ModelwayError:  # of a file in a store that is not there, it is the store that should be said
        check_surroundings(store=context.store, sources=())
        raise
    if data:
        user_files = user_files.with_data(data)
    check_surroundings(store=context.store, sources=user_files.project.data.locations)
    resolution = resolve(user_files, champion=champion, project_code=project_code, trains_here=not project_code)
    return resolution, user_files.keep(context.store)
