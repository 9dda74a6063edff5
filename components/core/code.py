"""Which code a run runs: this library's own, and the user's module where the project names one."""

from __future__ import annotations

import hashlib
import importlib.util
from functools import cache
from pathlib import Path

import modelway.components
from modelway.components.core.errors import ModelwayError
from modelway.components.core.project import Project


@cache
def library_hash() -> str:
    """The hash of the components' own code: what makes results that other code left in the cache stale."""
    package, digest = Path(str(modelway.components.__file__)).parent, hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.j2")]):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def code_version(project: Project) -> str:
    """The hash of our own code, and of the module with the user's function, which is looked up but not imported.

    Raises:
        ModelwayError: the module is not there.
    """
    if project.model.entrypoint is None:
        return library_hash()
    module = project.model.entrypoint.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise ModelwayError(
            f"the module {module!r} cannot be found",
            key="model.entrypoint",
            value=project.model.entrypoint,
            remedy=f"put {module.replace('.', '/')}.py beside project.yaml or install its package; on a cluster, have "
            "it in the image that the components run in",
        )
    return f"{library_hash()}-{hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]}"
