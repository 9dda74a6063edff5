"""The Python packages that a project's code needs: ``requirements.txt`` beside project.yaml, locked by hashes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from modelway.components.core.errors import DamagedError, ModelwayError

REQUIREMENTS_FILE = "requirements.txt"
_HASH = re.compile(r"--hash[= ]\s*(\w+:[0-9a-fA-F]+)")
_COMMENT = re.compile(r"(^|\s)#.*$")
_INDEXES = ("-i ", "--index-url", "--extra-index-url")
_REMEDY = "lock it: uv pip compile --generate-hashes requirements.in -o requirements.txt"


@dataclass(frozen=True)
class LockedRequirement:
    """A package of one version.

    Attributes:
        requirement: The parsed line: name, extras, version and marker.
        hashes: What its files may have as hashes, ``algorithm:hex``, sorted.
        line: The line's number in the file, from 1.
    """

    requirement: Requirement
    hashes: tuple[str, ...]
    line: int

    @property
    def name(self) -> str:
        """The package's name, normalised as in PEP 503."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """Its one version."""
        (specifier,) = self.requirement.specifier
        return specifier.version

    def __str__(self) -> str:
        """The line as pip takes it; the same for the same package, however it is written."""
        extras = ",".join(sorted(self.requirement.extras))
        marker = f" ; {self.requirement.marker}" if self.requirement.marker else ""
        hashes = "".join(f" --hash={digest}" for digest in self.hashes)
        return f"{self.name}{f'[{extras}]' if extras else ''}=={self.version}{marker}{hashes}"


@dataclass(frozen=True)
class Lock:
    """A requirements file.

    Attributes:
        requirements: The packages, in order of their names.
        indexes: The options that name package indexes, as they stand there.
    """

    requirements: tuple[LockedRequirement, ...] = ()
    indexes: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Lock:
        """Reads a folder's requirements file; without one, nothing is locked.

        Raises:
            ModelwayError: a line is not a package of one version with its hashes; names it.
        """
        file = folder / REQUIREMENTS_FILE
        lines = _logical_lines(file)
        indexes = [line for _, line in lines if line.startswith(_INDEXES)]
        requirements = [_parsed(line, number, file=file) for number, line in lines if line not in indexes]
        return cls(tuple(sorted(requirements, key=str)), tuple(indexes))


def requirement_lines(folder: Path) -> tuple[str, ...]:
    """What a folder's requirements file says, locked or not, without comments and sorted; without one, nothing.

    Raises:
        ModelwayError: it is not text.
    """
    return tuple(sorted(line for _, line in _logical_lines(folder / REQUIREMENTS_FILE)))


def _logical_lines(file: Path) -> list[tuple[int, str]]:
    """The lines without comments, each with its first one's number; those that a backslash joins are one."""
    if not file.is_file():
        return []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DamagedError(f"{file} is not text in UTF-8", file=str(file), remedy=_REMEDY) from error
    lines, number, parts = [], 0, list[str]()
    for position, physical in enumerate(text.splitlines(), start=1):
        number = number if parts else position
        line = _COMMENT.sub("", physical).rstrip()
        parts.append(line.removesuffix("\\").strip())
        if not line.endswith("\\"):
            lines.append((number, " ".join(filter(None, parts))))
            parts = []
    lines.append((number, " ".join(filter(None, parts))))
    return [(position, line) for position, line in lines if line]


def _parsed(line: str, number: int, *, file: Path) -> LockedRequirement:
    try:
        requirement = Requirement(_HASH.sub("", line).strip())
    except InvalidRequirement as error:
        raise _unlocked(line, number, file=file, reason="is not a package of one version") from error
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        raise _unlocked(line, number, file=file, reason="is not pinned to one version by `==`")
    hashes = tuple(sorted({digest.lower() for digest in _HASH.findall(line)}))
    if not hashes:
        raise _unlocked(line, number, file=file, reason="has no `--hash`")
    return LockedRequirement(requirement, hashes, number)


def _unlocked(line: str, number: int, *, file: Path, reason: str) -> ModelwayError:
    value = _HASH.sub("", line).strip()
    return ModelwayError(f"{value!r} {reason}", file=str(file), line=number, value=value, remedy=_REMEDY)
