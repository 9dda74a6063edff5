from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from disks import fill, make_read_only

from modelway.components.core.errors import ModelwayError
from modelway.components.core.storage import uri as storage
from modelway.components.core.storage.uri import (
    Listing,
    content_version,
    create_uri,
    delete_uri,
    fetch,
    is_exclusive,
    is_uri,
    join,
    list_names,
    list_states,
    make_folder,
    read_all,
    read_uri,
    upload,
    write_uri,
)


@pytest.mark.parametrize(
    ("root", "parts", "expected"),
    [
        ("/store", ("runs", "a", "b.json"), "/store/runs/a/b.json"),
        ("/store/", ("runs",), "/store/runs"),
        ("s3://bucket", ("a",), "s3://bucket/a"),
        ("s3://bucket/prefix/", ("a", "b"), "s3://bucket/prefix/a/b"),
        ("relative", (), "relative"),
    ],
)
def test_join(root: str, parts: tuple[str, ...], expected: str) -> None:
    assert join(root, *parts) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [("s3://bucket/key", True), ("/a/b", False), ("s3:/x", False), ("https://x/y.csv", False), ("a/s3://b", False)],
)
def test_what_is_a_uri(source: str, expected: bool) -> None:
    assert is_uri(source) is expected


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    target = str(tmp_path / "runs" / "a" / "b.bin")
    write_uri(target, b"\x00one")
    write_uri(target, b"two")
    assert read_uri(target) == b"two"
    assert [file.name for file in (tmp_path / "runs" / "a").iterdir()] == ["b.bin"]


def test_a_reader_sees_the_old_content_or_the_new(tmp_path: Path) -> None:
    target = str(tmp_path / "state.json")
    contents = [bytes([letter]) * 200_000 for letter in b"abcd"]
    write_uri(target, contents[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_uri(target, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reads, until = set(), time.monotonic() + 10
        for number in itertools.count():
            reads.add(read_uri(target))
            if number >= 300 and (len(reads) > 1 or time.monotonic() > until):
                break
    finally:
        stop.set()
        writer.join()
    assert reads <= set(contents)
    assert len(reads) > 1


@pytest.mark.parametrize("read", [read_uri, content_version])
def test_what_is_not_there_is_named(tmp_path: Path, read: object) -> None:
    missing = str(tmp_path / "none.csv")
    with pytest.raises(ModelwayError, match="cannot be read") as error:
        read(missing)  # type: ignore[operator]
    assert error.value.file == missing
    assert error.value.remedy


def test_a_folder_is_not_read_as_a_file(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="it is a folder"):
        read_uri(str(tmp_path))


def test_a_version_changes_with_the_content_alone(tmp_path: Path) -> None:
    file = tmp_path / "data.csv"
    file.write_text("a\n1\n", encoding="utf-8")
    before = content_version(str(file))
    os.utime(file, (1, 1))
    assert content_version(str(file)) == before
    file.write_text("a\n2\n", encoding="utf-8")
    os.utime(file, (1, 1))
    assert content_version(str(file)) != before
    file.write_text("a\n1\n", encoding="utf-8")
    assert content_version(str(file)) == before
    assert before.startswith("sha256:")


def test_the_version_of_a_folder_covers_names_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text("1", encoding="utf-8")
    (folder / "sub" / "b.csv").write_text("2", encoding="utf-8")
    versions = [content_version(str(folder))]
    (folder / "a.csv").write_text("3", encoding="utf-8")
    versions.append(content_version(str(folder)))
    (folder / "a.csv").rename(folder / "c.csv")
    versions.append(content_version(str(folder)))
    (folder / "sub" / "d.csv").write_text("", encoding="utf-8")
    versions.append(content_version(str(folder)))
    assert len(set(versions)) == 4
    new_place = tmp_path / "elsewhere"
    folder.rename(new_place)
    assert content_version(str(new_place)) == versions[-1]


def test_a_local_source_is_used_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1", encoding="utf-8")
    assert fetch(str(tmp_path / "a.csv"), tmp_path / "work") == tmp_path / "a.csv"
    with pytest.raises(ModelwayError, match="cannot be read"):
        fetch(str(tmp_path / "b.csv"), tmp_path / "work")


def test_a_report_is_copied_in(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>", encoding="utf-8")
    upload(tmp_path / "report.html", str(tmp_path / "runs" / "a" / "data.html"))
    assert (tmp_path / "runs" / "a" / "data.html").read_text(encoding="utf-8") == "<p>"


def test_what_is_there_is_not_created_again(tmp_path: Path) -> None:
    target = str(tmp_path / "audit" / "1.json")
    assert create_uri(target, b"one")
    assert not create_uri(target, b"two")
    assert not create_uri(target, b"one")
    assert read_uri(target) == b"one"
    assert is_exclusive(target, b"one")
    assert [file.name for file in (tmp_path / "audit").iterdir()] == ["1.json"]
    assert not Path(target).stat().st_mode & 0o222


def test_of_several_that_create_at_once_one_does_and_nobody_sees_a_part(tmp_path: Path) -> None:
    contents = [bytes([letter]) * 100_000 for letter in b"abcd"]
    wins: list[bytes] = []
    begin = threading.Barrier(len(contents))

    def create(content: bytes) -> None:
        for number in range(30):
            begin.wait(timeout=30)
            target = str(tmp_path / f"{number}.bin")
            if create_uri(target, content):
                wins.append(content)
            assert read_uri(target) in contents

    threads = [threading.Thread(target=create, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(wins) == 30
    assert len(list_names(str(tmp_path))) == 30
    assert sum(read_uri(str(tmp_path / f"{number}.bin")) == wins[number] for number in range(30)) == 30


def test_names_are_those_of_files_directly_below_in_order(tmp_path: Path) -> None:
    for name in ("b.json", "a.json", "c.json", ".draft", "deep/d.json"):
        write_uri(str(tmp_path / name), name.encode())
    assert list_names(str(tmp_path)) == ["a.json", "b.json", "c.json"]
    assert list_names(f"{tmp_path}/", after="a.json") == ["b.json", "c.json"]
    assert list_names(str(tmp_path / "missing")) == []
    assert read_all([str(tmp_path / "b.json"), str(tmp_path / "a.json")]) == [b"b.json", b"a.json"]
    assert list_states(str(tmp_path)) == Listing({"a.json": "", "b.json": "", "c.json": ""}, {})
    assert list_states(str(tmp_path / "missing")) == Listing({}, {})


def test_a_file_that_is_written_anew_has_another_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_SETTLED_NS", 0)
    file = tmp_path / "a.json"
    states = []
    for content in ("one", "two", "three"):
        file.write_text(content, encoding="utf-8")
        states.append(list_states(str(tmp_path)).states["a.json"])
        assert list_states(str(tmp_path)).states["a.json"] == states[-1]
        time.sleep(0.02)
    (tmp_path / "b.json").write_text("three", encoding="utf-8")
    (tmp_path / "b.json").replace(file)
    states.append(list_states(str(tmp_path)).states["a.json"])
    assert len(set(states)) == 4


WRITERS: dict[str, Callable[[str], object]] = {
    "a record": lambda place: write_uri(place, CONTENT),
    "an entry of the audit log": lambda place: create_uri(place, CONTENT),
    "a file that is copied": lambda place: upload(Path(__file__), place),
}
CONTENT = b"x" * 10_000


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_named_and_leaves_what_was_there_and_no_part(writer: str, disk: Callable[[str], Path]) -> None:
    place = disk("64k")
    (place / "runs").mkdir()
    (place / "runs" / "old.json").write_bytes(b"old")
    fill(place)
    for name in ("new.json", "old.json"):
        if (name, writer) == ("old.json", "an entry of the audit log"):  # which is never replaced
            continue
        file = place / "runs" / name
        with pytest.raises(ModelwayError) as error:
            WRITERS[writer](str(file))
        assert error.value.message == f"{file} cannot be written: the disk is full (No space left on device)"
        assert error.value.file == str(file)
    there = {file.name: file.read_bytes() for file in (place / "runs").iterdir()}
    if writer != "a file that is copied":
        assert there == {"old.json": b"old"}


def test_a_read_only_disk_can_be_read_and_is_named_when_it_is_written(disk: Callable[[str], Path]) -> None:
    place = disk("64k")
    write_uri(f"{place}/record.json", b"old")
    make_read_only(place)
    assert read_uri(f"{place}/record.json") == b"old"
    for write in (write_uri, create_uri):
        with pytest.raises(ModelwayError, match="the file system is read-only"):
            write(f"{place}/record.json", b"new")
    with pytest.raises(ModelwayError, match="cannot be deleted: the file system is read-only"):
        delete_uri(f"{place}/record.json")
    with pytest.raises(ModelwayError, match=f"{place}/home cannot be written: the file system is read-only"):
        make_folder(place / "home")
    assert read_uri(f"{place}/record.json") == b"old"
