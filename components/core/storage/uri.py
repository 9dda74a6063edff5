"""Files by URI: in local folders, and in S3 (MinIO or any other endpoint; see `core.storage.s3`)."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from modelway.components.core.errors import DamagedError, NotFoundError, os_error
from modelway.components.core.parsing import MOST_BYTES
from modelway.components.core.storage.locations import check_location
from modelway.components.core.storage.s3 import S3, missing

_SETTLED_NS = 1_000_000_000  # as coarse as the clocks of old file systems and of some over a network are


@contextmanager
def _translate_errors(path: str, deed: str = "read") -> Iterator[None]:
    """Turns errors about a local file or folder into ones that say what to do; `deed` is what was to be done."""
    check_location(path)
    try:
        yield
    except OSError as error:
        if deed == "read" and isinstance(error, FileNotFoundError | IsADirectoryError | NotADirectoryError):
            details = {IsADirectoryError: "it is a folder", NotADirectoryError: "a file is where a folder must be"}
            raise missing(path, *filter(None, [details.get(type(error))])) from error
        if isinstance(error, FileExistsError):  # a folder was to be made
            error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        system_error = os_error(error, path, deed=deed)
        if system_error is None and isinstance(error, FileNotFoundError):
            system_error = NotFoundError(
                f"{path} cannot be {deed}: there is no such place", file=path, remedy="correct the path"
            )
        if system_error is None:
            raise
        raise system_error from error


def is_uri(source: str) -> bool:
    """Whether the source names an S3 object or prefix rather than a local path."""
    return source.startswith("s3://")


def join(root: str, *parts: str) -> str:
    """A URI or path below `root`."""
    return "/".join([root.rstrip("/"), *parts])


def read_uri(source: str, *, most_bytes: int = MOST_BYTES) -> bytes:
    """The bytes of a local file or an S3 object that is a document or a record.

    Raises:
        NotFoundError: it is not there.
        DamagedError: it is greater than `most_bytes`; no more than those are read.
        CredentialsError: it may not be read.
        UnavailableError: the S3 endpoint cannot be reached.
    """
    if is_uri(source):
        content = S3.from_environment().read(source, most_bytes + 1)
    else:
        with _translate_errors(source), Path(source).open("rb") as file:
            content = file.read(most_bytes + 1)
    return _checked(source, content, most_bytes=most_bytes)


def _checked(source: str, content: bytes, *, most_bytes: int) -> bytes:
    if len(content) > most_bytes:
        raise DamagedError(
            f"{source} is greater than {most_bytes / 1e6:,.0f} MB, which no document or record is",
            file=source,
            remedy="see what was put there, and by whom",
        )
    return content


def write_uri(target: str, content: bytes) -> None:
    """Writes a local file or an S3 object whole; a reader sees the old content or the new, never a part."""
    if is_uri(target):
        S3.from_environment().write(target, content)
        return
    path = Path(target)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with _translate_errors(target, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


def delete_uri(target: str) -> None:
    """Deletes a local file or an S3 object, if it is there."""
    if is_uri(target):
        S3.from_environment().delete(target)
        return
    with _translate_errors(target, "deleted"):
        Path(target).unlink(missing_ok=True)


def create_uri(target: str, content: bytes, *, retain_days: int = 0) -> bool:
    """Writes a local file or an S3 object whole if there is none: of several writers at once exactly one does.

    Args:
        target: A path or URI; a local file is read-only afterwards.
        content: The bytes.
        retain_days: For how long an object must not be removed, where its bucket has object lock and no own rule.

    Returns:
        Whether this call wrote it.
    """
    if is_uri(target):
        return S3.from_environment().create(target, content, retain_days=retain_days)
    path = Path(target)
    with _translate_errors(target, "written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.chmod(0o444)
            os.link(draft, path)  # unlike a file opened with O_EXCL, it is never there in part
        except FileExistsError:
            return False
        finally:
            draft.unlink(missing_ok=True)
    return True


def make_folder(path: Path) -> None:
    """Makes a local folder, and those above it, unless it is there; files can be written to it then.

    Raises:
        ModelwayError: it cannot be made or written to.
    """
    with _translate_errors(str(path), "written"):
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass


def is_exclusive(target: str, content: bytes) -> bool:
    """Whether what `create_uri` has just written cannot be created again; some S3 endpoints allow it.

    Args:
        target: What was written.
        content: Its bytes, with which a second creation is tried.
    """
    return not S3.from_environment().put_new(target, content) if is_uri(target) else True


def list_names(folder: str, after: str = "") -> list[str]:
    """The names of the files directly in a folder or below an S3 prefix that come after one, in order.

    There are none if there is no such folder.
    """
    if is_uri(folder):
        return S3.from_environment().names(f"{folder.rstrip('/')}/", after)
    return [entry.name for entry in _entries(folder) if entry.is_file() and entry.name > after]


def list_folders(folder: str) -> list[str]:
    """The names of the folders directly in a folder or below an S3 prefix, in order; none if it is not there."""
    if is_uri(folder):
        return S3.from_environment().folders(f"{folder.rstrip('/')}/")
    return [entry.name for entry in _entries(folder) if entry.is_dir()]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is directly in a local folder and not hidden, in order; nothing if there is no such folder."""
    with _translate_errors(folder), suppress(FileNotFoundError):
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        return [entry for entry in entries if not entry.name.startswith(".")]
    return []


def read_all(sources: Iterable[str]) -> list[bytes]:
    """The bytes of several local files or S3 objects, in their order; objects are read eight at a time."""
    uris = list(sources)
    if not any(map(is_uri, uris)):
        return [read_uri(uri) for uri in uris]
    s3 = S3.from_environment()
    with ThreadPoolExecutor(8) as pool:
        contents = pool.map(lambda uri: s3.read(uri, MOST_BYTES + 1), uris)
        return [_checked(uri, content, most_bytes=MOST_BYTES) for uri, content in zip(uris, contents, strict=True)]


@dataclass(frozen=True)
class Listing:
    """What is directly in a folder or below an S3 prefix, by name.

    Attributes:
        states: Of each file, in order, what changes when it is written anew: of an object its version, ETag, size and
            time; of a local file its device, inode, size and times, of which the kernel sets that of the last change.
            File systems' clocks tick, so that a file which changed just now may change again within the same tick:
            its state is empty, and says nothing.
        tampered: Of each object that a bucket with versions shows as ``deleted`` or ``replaced``, which of the two.
            Empty for local folders and for buckets that keep no versions.
    """

    states: dict[str, str]
    tampered: dict[str, str]


def list_states(folder: str) -> Listing:
    """What is directly in a folder or below an S3 prefix; nothing if there is no such folder. No file is read."""
    if is_uri(folder):
        return Listing(*S3.from_environment().states(f"{folder.rstrip('/')}/"))
    return Listing(_states_in_folder(folder), {})


def _states_in_folder(folder: str) -> dict[str, str]:
    settled = time.time_ns() - _SETTLED_NS
    states: dict[str, str] = {}
    for entry in filter(os.DirEntry.is_file, _entries(folder)):
        with _translate_errors(folder), suppress(FileNotFoundError):
            stat = entry.stat()
            state = f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"
            states[entry.name] = state if stat.st_ctime_ns < settled else ""
    return states


def content_version(source: str) -> str:
    """A token that changes when the content of a file, folder, S3 object or S3 prefix does.

    Local files give the SHA-256 of their content; S3 objects their ETags, which need no download.
    """
    if is_uri(source):
        listing = "\n".join(f"{key} {etag}" for key, etag in S3.from_environment().etags(source))
        return f"etag:{hashlib.sha256(listing.encode()).hexdigest()}"
    check_location(source)
    return f"sha256:{sha256_of(Path(source))}"


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, or of the names and contents of a folder's files."""
    if not path.exists():
        raise missing(str(path))
    if path.is_dir():
        lines = [f"{file.relative_to(path)} {sha256_of(file)}" for file in sorted(path.rglob("*")) if file.is_file()]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(source: str, folder: Path) -> Path:
    """A local path with the content of a file, folder, S3 object or S3 prefix; downloads into `folder` if remote."""
    if is_uri(source):
        return S3.from_environment().download(source, folder)
    check_location(source)
    if not Path(source).exists():
        raise missing(source)
    return Path(source)


def upload(path: Path, target: str) -> None:
    """Copies a local file to a path or URI."""
    if is_uri(target):
        S3.from_environment().upload(path, target)
        return
    with _translate_errors(target, "written"):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
