from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import DamagedError
from modelway.components.core.storage.run_files import RunRecord, store_of

KEPT = "config/project-0123456789abcdef.json"


def test_a_store_is_known_by_the_files_that_are_kept_in_it(
    tmp_path: Path, project_text: Any, contract_text: Any, policy_text: Any
) -> None:
    files = UserFiles.load(project=project_text(), contract=contract_text(), policy=policy_text())
    assert store_of(files.keep(str(tmp_path))["project"]) == str(tmp_path)


@pytest.mark.parametrize(
    ("location", "store"),
    [
        (f"s3://models/claims/{KEPT}", "s3://models/claims"),
        ("s3://models/claims/project.yaml", ""),
        (f"/{KEPT}", ""),
        ("name: loans\ntask: binary\n", ""),
        ("", ""),
    ],
)
def test_another_location_tells_no_store(location: str, store: str) -> None:
    assert store_of(location) == store


class Note(RunRecord):
    file = "note.json"

    text: str


def test_a_record_is_read_back_unless_it_is_missing_or_damaged(tmp_path: Path) -> None:
    store = str(tmp_path)
    assert Note.read(store, "run-1") is None
    file = Note(text="größer").write(store, "run-1")
    assert file == f"{store}/runs/run-1/note.json"
    assert Note.read(store, "run-1") == Note(text="größer")
    Path(file).write_text("{}", encoding="utf-8")
    with pytest.raises(DamagedError, match="is damaged") as error:
        Note.read(store, "run-1")
    assert error.value.file == file
