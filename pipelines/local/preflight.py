"""Finds mistakes before a run starts, and names them by the user's own files."""

from __future__ import annotations

import sys

from modelway.components.core.config.user_files import UserFiles
from modelway.components.resolve.stage import resolve


def preflight(
    files: dict[str, str], *, names: dict[str, str], folder: str, champion: str = "", project_code: str = ""
) -> dict[str, str]:
    """Resolves what a run would work on, as `resolve_inputs` will.

    Args:
        files: The text of the ``project``, ``contract`` and ``policy`` file, with an absolute data source.
        names: What to call each in errors.
        folder: The project's folder, where the user's own modules are looked for.
        champion: The version to compare with, in place of the one that the policy's alias points to.
        project_code: The version of the project's own code.

    Returns:
        ``source_version``, ``code_version``, ``champion``, ``as_of``, and ``notes``, a line each.

    Raises:
        ModelwayError: a mistake that would make the run fail later; names file and key.
    """
    if folder not in sys.path:
        sys.path.insert(0, folder)
    inputs = resolve(UserFiles.load(**files), champion=champion, project_code=project_code, names=names)
    versions = {"source_version": inputs.source_version, "code_version": inputs.code_version}
    return {**versions, "champion": inputs.champion, "as_of": inputs.as_of, "notes": "\n".join(inputs.notes)}
