"""The stage's function: resolves the versions of everything that a run works on, once, before anything is changed.

They are part of the cache keys of all later tasks: results for unchanged data come from the cache, and those for
changed data never do.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from modelway.components.core.audit.opened_version import registered_blessings, unwitnessed_registration
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.audit.witness import not_witnessed
from modelway.components.core.code.version import code_version, trains_elsewhere
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError, NotFoundError, RejectedError
from modelway.components.core.evidence.runs import RunContext, request_hash
from modelway.components.core.report.html import markdown_cell
from modelway.components.core.storage.mlflow import TAG, Tracking
from modelway.components.core.surroundings.services import check_surroundings
from modelway.components.resolve.consistency import check_consistency

__all__ = ["Resolution", "RunContext", "resolve", "resolve_in_task"]

TITLES = {"project": "project.yaml", "contract": "contract.yaml", "policy": "policy.yaml"}


@dataclass(frozen=True)
class Resolution:
    """What a run works on.

    Attributes:
        files: The project's three files.
        source_version: The data sources' version now.
        code_version: The hashes of the library, of what is installed, and of the user's own training code.
        champion: The registered version to compare with; empty: there is none.
        as_of: The day on which waivers must hold, ISO 8601; empty if there are none. As a part of cache keys it lets no
            waiver outlive its day in the cache.
        notes: Sentences about the choice of the champion, for people.
        champion_blessing: The SHA-256 of its blessing, by the audit log; empty without one, and until it is looked up.
    """

    files: UserFiles
    source_version: str
    code_version: str
    champion: str
    as_of: str
    notes: tuple[str, ...]
    champion_blessing: str = ""

    def markdown(self, context: RunContext, data_version: str) -> str:
        """Formats the resolution for people."""
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
    """Checks a project's files, and resolves what a run of it works on now.

    Args:
        files: The project's three files.
        champion: The registered version to compare with, in place of the one with the policy's alias.
        project_code: The version of the project's own code; empty: computed here.
        trains_here: Whether the model is trained with what is installed here, and not in an image of its own.
        names: What to call ``project``, ``contract`` and ``policy`` in errors.

    Raises:
        ModelwayError: the files are wrong, or a source, the code or the champion does not exist.
    """
    check_consistency(files, names, trains_here=trains_here)
    try:
        code = code_version(files.project, project_code=project_code)
    except ModelwayError as error:
        error.file = names["project"]
        raise
    source = files.project.data.version()
    version, notes = _champion(files, champion, request=request_hash(files, source_version=source, code_version=code))
    as_of = datetime.now(UTC).date().isoformat() if files.policy.waivers else ""
    return Resolution(files, source, code, version, as_of, notes)


def _champion(files: UserFiles, champion: str, *, request: str) -> tuple[str, tuple[str, ...]]:
    """Returns the version to compare with, and notes on it.

    If the champion came from this very request, it is the version that the champion itself was compared with, so that a
    repeated request has the same result.
    """
    name, alias = files.project.name, files.policy.registration.alias
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    tracking, holder = None, None
    if not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists():  # else there is no champion
        tracking = Tracking.from_environment()
        holder = tracking.version_with_alias(name, alias)
    if champion:
        if tracking is None or champion not in {str(version.version) for version in tracking.versions(name)}:
            raise NotFoundError(
                f"{name} has no version {champion} to compare with",
                key="champion",
                value=champion,
                remedy=f"leave it out, to compare with the version that has the alias {alias!r}",
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


def resolve_in_task(
    files: dict[str, str], *, context: RunContext, data: str = "", champion: str = "", project_code: str = ""
) -> tuple[Resolution, dict[str, str]]:
    """Resolves what a pipeline's run works on, and keeps its files in the store by their content.

    Args:
        files: The project, contract and policy file: each one's text, path or URI.
        context: The run.
        data: A data source in place of the project's.
        champion: The registered version to compare with, in place of the one with the policy's alias.
        project_code: The version of the project's own code in the image that trains; empty: computed here.

    Returns:
        The resolution, and the content-addressed URI of each file.

    Raises:
        RejectedError: the audit log has no registration of the champion.
        ModelwayError: the run has no store, or something is missing or wrong.
    """
    if not context.store:
        raise ModelwayError(
            "the pipeline has no store to record the run in",
            key="store",
            remedy="set `store` to an s3:// prefix, or to a folder if the pipeline runs on one machine",
        )
    try:
        user_files = UserFiles.load(**files)
    except ModelwayError:  # if the store of a file does not exist, the error should name the store
        check_surroundings(store=context.store, sources=())
        raise
    if data:
        user_files = user_files.with_data(data)
    check_surroundings(store=context.store, sources=user_files.project.data.locations)
    trains_here = not trains_elsewhere(project_code)
    resolution = resolve(user_files, champion=champion, project_code=project_code, trains_here=trains_here)
    if resolution.champion:
        model = RegisteredModel(user_files.project.name, context.store, Tracking.from_environment())
        resolution = replace(resolution, champion_blessing=_champion_blessing(model.version(resolution.champion)))
    return resolution, user_files.keep(context.store)


def _champion_blessing(champion: ModelVersion) -> str:
    """Returns the hash of the champion's blessing, by the audit log."""
    log = champion.model.verified_log()
    blessings = registered_blessings(champion, log.trusted)
    if not blessings and (number := unwitnessed_registration(champion, log)):
        raise RejectedError(
            f"the registration of {champion}, the champion, does not count: {not_witnessed(number)}",
            key="champion",
            value=champion.number,
            remedy="find out who wrote the entry, and accept it if it is genuine",
        )
    if len(blessings) != 1:
        count = "several registrations" if blessings else "no registration"
        raise RejectedError(
            f"the audit log of {champion.store} has {count} of {champion}, the champion",
            key="champion",
            value=champion.number,
            remedy="name the store that it was released into, or another version as champion; if no run released it, "
            "take the alias from it in MLflow",
        )
    return blessings.pop()
