from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.storage.run_files import store_of

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
