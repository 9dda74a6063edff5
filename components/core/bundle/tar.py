"""Archives of files that came from elsewhere, extracted without a way out of their folder.

Written here since `tarfile`'s own filters came with Python 3.11.4, and older ones serve too; and since a release holds
regular files and folders only, so that all else is refused rather than made harmless.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path, PurePosixPath

from modelway.components.core.errors import DamagedError

_PLAIN = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
_MAX_BYTES, _MAX_MEMBERS = 64 << 30, 100_000


def extract_tar(
    archive: tarfile.TarFile, target: Path, *, max_bytes: int = _MAX_BYTES, max_members: int = _MAX_MEMBERS
) -> None:
    """Extracts regular files and folders; owners, modes and times are not taken over, and nothing is overwritten.

    Raises:
        DamagedError: a member is something else than a file or folder, has an absolute path or one with ``..``, is
            there already, or is too much; or the archive is damaged. What came before it has been extracted then.
    """
    members = size = 0
    try:
        for member in archive:
            members, size = members + 1, size + max(member.size, 0)
            if members > max_members or size > max_bytes:
                raise _rejection(member.name, f"is more than {max_members:,} files or {max_bytes:,} bytes come to")
            _extract(archive, member, target=target)
    except tarfile.TarError as error:
        raise DamagedError(
            f"the archive is damaged: {error}",
            file=str(archive.name or target),
            remedy="fetch it again from where it was made, and use none of it",
        ) from error


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, *, target: Path) -> None:
    parts = PurePosixPath(member.name).parts
    if member.name.startswith("/") or ".." in parts or "\0" in member.name:
        raise _rejection(member.name, "would be written outside of its folder")
    place = target.joinpath(*parts)
    try:
        if member.isdir():
            place.mkdir(parents=True, exist_ok=True)
            return
        if member.type not in _PLAIN or member.issparse() or member.size < 0:
            raise _rejection(member.name, "is neither a regular file nor a folder")
        place.parent.mkdir(parents=True, exist_ok=True)
        content = archive.extractfile(member)
        assert content is not None  # noqa: S101 - of a regular file
        with content, place.open("xb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    except (FileExistsError, NotADirectoryError) as error:
        raise _rejection(member.name, "is there already") from error


def _rejection(name: str, problem: str) -> DamagedError:
    return DamagedError(
        f"the archive is not extracted: {name[:200]!r} {problem}",
        value=name[:200],
        remedy="find out who made the archive, and use none of it",
    )
