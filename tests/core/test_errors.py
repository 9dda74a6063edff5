from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from modelway.components.core.audit.log import BrokenLogError
from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import (
    CrashError,
    CredentialsError,
    DamagedError,
    ModelwayError,
    NotFoundError,
    RejectedError,
    UnavailableError,
    exit_code_of,
    first_line,
    from_fields,
    readable_error,
)
from modelway.components.core.evidence.runs import OUTCOME, Outcome
from modelway.components.core.storage.run_files import record_file
from modelway.components.core.storage.uri import list_folders, read_uri, write_uri


def test_an_error_says_what_where_and_the_remedy() -> None:
    error = ModelwayError(
        "no such metric",
        file="policy.yaml",
        key="model.metrics",
        value="rocauc",
        remedy="did you mean roc_auc?",
    )
    assert str(error) == (
        "no such metric [file: policy.yaml, key: model.metrics, value: rocauc]\n  remedy: did you mean roc_auc?"
    )
    assert error.fields() == {
        "message": "no such metric",
        "file": "policy.yaml",
        "key": "model.metrics",
        "value": "rocauc",
        "remedy": "did you mean roc_auc?",
    }


def test_a_line_stands_behind_its_file() -> None:
    error = ModelwayError("no such metric", file="policy.yaml", line=7, key="model.metrics", remedy="mend it")
    assert str(error) == "no such metric [file: policy.yaml:7, key: model.metrics]\n  remedy: mend it"
    assert error.fields()["line"] == 7
    assert error.details() == {"file": "policy.yaml:7", "key": "model.metrics", "remedy": "mend it"}


def test_what_is_not_known_is_left_out() -> None:
    assert str(ModelwayError("it broke", remedy="mend it")) == "it broke\n  remedy: mend it"


@pytest.mark.parametrize(("value", "text"), [(None, None), (0, "0"), (False, "False"), ("x" * 1000, "x" * 200)])
def test_a_value_is_kept_as_text_of_bounded_length(value: object, text: str | None) -> None:
    assert ModelwayError("m", value=value, remedy="r").value == text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelwayError("m", remedy="r"), 2),
        (NotFoundError("m", remedy="r"), 2),
        (DamagedError("m", remedy="r"), 2),
        (BrokenLogError("m", remedy="r"), 2),
        (UnavailableError("m", remedy="r"), 2),
        (CredentialsError("m", remedy="r"), 2),
        (RejectedError("m", remedy="r"), 1),
        (CrashError("KeyError: 'x'", "crash.log"), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_command_exits_by_the_class_of_its_error(error: ModelwayError, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ModelwayError("m", key="k", line=3, file="f", remedy="r"), ModelwayError),
        (NotFoundError("m", value="v", remedy="r"), NotFoundError),
        (BrokenLogError("m", file="f", remedy="r"), DamagedError),
        (RejectedError("m", column="c", remedy="r"), RejectedError),
        (UnavailableError("m", remedy="r"), UnavailableError),
        (CredentialsError("m", remedy="r"), CredentialsError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_told_to_another_process_by_its_kind_and_fields(
    error: ModelwayError, kind: type[ModelwayError]
) -> None:
    copy = from_fields(error.kind, error.fields())
    assert type(copy) is kind
    assert copy.fields() == error.fields()


def test_what_is_not_there_is_not_what_is_damaged(tmp_path: Path) -> None:
    store = str(tmp_path)
    assert Outcome.read(store, "run-1", file=OUTCOME) is None
    write_uri(record_file(store, "run-1", name=OUTCOME), b"{}")
    with pytest.raises(DamagedError, match="is damaged") as error:
        Outcome.read(store, "run-1", file=OUTCOME)
    assert error.value.file == record_file(store, "run-1", name=OUTCOME)
    with pytest.raises(NotFoundError):
        Policy.load(tmp_path / "policy.yaml")
    with pytest.raises(DamagedError, match="is not UTF-8 text"):
        Policy.parse(b"model: \xff", "policy.yaml")


def test_a_file_where_a_folder_must_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    for use in (
        lambda: read_uri(f"{tmp_path}/store/runs/outcome.json"),
        lambda: list_folders(f"{tmp_path}/store/runs"),
        lambda: write_uri(f"{tmp_path}/store/runs/outcome.json", b""),
        lambda: read_uri(str(tmp_path)),
    ):
        with pytest.raises(NotFoundError, match=r"it is a folder|a file is where a folder must be"):
            use()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_a_matter_of_credentials(tmp_path: Path) -> None:
    (tmp_path / "outcome.json").touch(mode=0)
    with pytest.raises(CredentialsError, match="has no permission"):
        read_uri(str(tmp_path / "outcome.json"))


def behind(outer: BaseException, inner: BaseException, *, is_context: bool = False) -> BaseException:
    """The outer exception as if raised from the inner one, or while that was handled."""
    if is_context:
        outer.__context__ = inner
    else:
        outer.__cause__ = inner
    return outer


@pytest.mark.parametrize("is_context", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_readable_error_is_found_behind_others(depth: int, is_context: bool) -> None:
    readable = UnavailableError("MLflow cannot be reached", remedy="start it")
    error: BaseException = readable
    for number in range(depth):
        error = behind(RuntimeError(f"task {number} failed"), error, is_context=is_context)
    assert readable_error(error) is readable


def test_that_there_is_no_folder_for_temporary_files_is_said() -> None:
    readable = readable_error(FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"))
    assert readable is not None
    assert readable.key == "TMPDIR"


FILE = "/data/model.skops"


def system_error(number: int) -> OSError:
    return OSError(number, os.strerror(number), FILE)


@pytest.mark.parametrize(
    "error",
    [
        system_error(errno.ENOSPC),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        RuntimeError("polars: No space left on device (os error 28)"),
        RuntimeError("(sqlite3.OperationalError) database or disk is full"),
        behind(ValueError("write failed"), system_error(errno.ENOSPC)),
    ],
    ids=["full", "without a name", "in the message", "sqlite", "behind another"],
)
def test_a_full_disk_is_said_to_be_one_and_nothing_else_is_claimed(error: BaseException) -> None:
    readable = readable_error(error)
    assert readable is not None
    assert "the disk is full" in readable.message
    assert "free some space" in readable.remedy
    assert "registered" not in f"{readable.message} {readable.remedy}"


@pytest.mark.parametrize(
    ("number", "says", "remedy"),
    [
        (errno.ENOSPC, "the disk is full (No space left on device)", "free some space"),
        (errno.EDQUOT, "the disk quota is used up (Disk quota exceeded)", "free some space"),
        (errno.EROFS, "the file system is read-only (Read-only file system)", "name another place: --home"),
        (errno.EACCES, "this account has no permission (Permission denied)", "correct the permissions"),
        (errno.ENOTDIR, "a file is where a folder must be (Not a directory)", "name another place"),
        (errno.EFBIG, "the file would be larger than is allowed (File too large)", "ulimit -f"),
        (errno.EMFILE, "too many files are open (Too many open files)", "ulimit -n"),
        (errno.EIO, "the file system fails (Input/output error)", "check the disk"),
    ],
)
def test_a_file_system_that_fails_is_named_with_the_file_and_the_remedy(number: int, says: str, remedy: str) -> None:
    readable = readable_error(system_error(number))
    assert readable is not None
    assert readable.message == f"{FILE} cannot be used: {says}"
    assert readable.file == FILE
    assert remedy in readable.remedy
    assert exit_code_of(readable) == 2


@pytest.mark.parametrize("error", [ValueError("x"), OSError(errno.ENOENT, "no such file"), KeyError("space left")])
def test_what_is_not_the_users_to_put_right_stays_as_it_is(error: Exception) -> None:
    assert readable_error(error) is None


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("  \n one\n"), "one"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 400), "x" * 300),
    ],
)
def test_the_first_line_of_an_error(error: Exception, line: str) -> None:
    assert first_line(error) == line
