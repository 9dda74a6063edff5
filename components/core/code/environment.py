"""The environment that code runs in: the packages that are installed, and what files beside a project lock."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LOCK_FILES = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "conda-lock.yml", "environment.yml")
_PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies")


def installed_packages() -> tuple[str, ...]:
    """Python's version and the installed packages with theirs, sorted, by the folders that describe them."""
    places = [Path(place) for place in sys.path if place]
    names = {path.name.removesuffix(".dist-info") for place in places for path in place.glob("*.dist-info")}
    return (f"python-{platform.python_version()}", *sorted(names))


def locked_environment(folder: Path) -> tuple[bytes, ...]:
    """What lock files in a folder say, and what pyproject.toml there requires; each with its name before it.

    Of pyproject.toml only the requirements count: settings of linters there train nothing again. ``requirements.txt``
    is read by `locked_requirements`.
    """
    parts = [part for name in LOCK_FILES if (folder / name).is_file() for part in (name.encode(), _bytes(folder, name))]
    if (folder / "pyproject.toml").is_file():
        required = _required(_bytes(folder, "pyproject.toml"))
        parts += [b"pyproject.toml", required] if required else []
    return tuple(parts)


def hash_of(parts: Iterable[bytes]) -> str:
    """The first 16 digits of the SHA-256 of parts, each with its length, so that none runs into the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} ".encode() + part)
    return digest.hexdigest()[:16]


def _bytes(folder: Path, name: str) -> bytes:
    return (folder / name).read_bytes()


def _required(content: bytes) -> bytes:
    """The requirements in a pyproject.toml; all of it if it cannot be read; nothing if there are none."""
    try:
        document: dict[str, Any] = tomllib.loads(content.decode())
        project, tools = document.get("project", {}), document.get("tool", {})
        required = {
            "project": {key: project[key] for key in _PROJECT_KEYS if key in project},
            "groups": document.get("dependency-groups", {}),
            "uv": tools.get("uv", {}),
            "poetry": {key: tools["poetry"][key] for key in tools.get("poetry", {}) if "dependencies" in key},
        }
        filled = {key: value for key, value in required.items() if value}
        return json.dumps(filled, sort_keys=True, default=str).encode() if filled else b""
    except (ValueError, AttributeError, TypeError):
        return content
