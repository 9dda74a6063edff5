from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from user_files import minimal_policy, minimal_project_text

from modelway.components.core.audit.approvals import approve, promotion_blockers
from modelway.components.core.audit.opened_version import OpenedVersion, open_version
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.config.project import Split
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.files import PROJECT_FILE
from modelway.components.core.storage.mlflow import Tracking

Release = Callable[..., str]
ONE: dict[str, Any] = {"production": {"approvals": {"quorum": 1}}}


def _without_blessing(release: Release, name: str) -> str:
    return release(name, ONE, blessing=b"")


def _other_blessing(release: Release, name: str) -> str:
    return release(name, ONE, blessing=b'{"blessed": true}')


def _other_tag(release: Release, name: str) -> str:
    return release(name, ONE, tags={"blessing_sha256": "0" * 64})


def _unreadable(release: Release, name: str) -> str:
    return release(name, ONE, blessing=b"{", tags={"blessing_sha256": hashlib.sha256(b"{").hexdigest()})


def _weaker_policy(release: Release, name: str) -> str:
    text = minimal_policy(environments={"production": {"approvals": {"quorum": 0}}}).canonical()
    return release(name, ONE, policy=text.encode())


def _not_blessed(release: Release, name: str) -> str:
    return release(name, ONE, blessed=False)


@pytest.mark.parametrize(
    ("make_version", "problem"),
    [
        (_without_blessing, "has no blessing.json in its evidence"),
        (_other_blessing, "was registered with another blessing"),
        (_other_tag, "was registered with another blessing"),
        (_unreadable, "has a blessing that cannot be read"),
        (_weaker_policy, r"was blessed with another policy\.json than is stored"),
        (_not_blessed, "is not blessed"),
    ],
)
def test_evidence_that_is_incomplete_or_damaged_is_refused(
    tracking: Tracking, release: Release, tmp_path: Path, make_version: Callable[[Release, str], str], problem: str
) -> None:
    name = f"evidence-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    version = RegisteredModel(name, str(tmp_path / "store"), tracking).version(make_version(release, name))
    with pytest.raises(ModelwayError, match=problem) as error:
        open_version(version)
    assert promotion_blockers(version, "production") == [error.value.message]
    with pytest.raises(ModelwayError, match=problem):
        approve(version, "production", by="bob", reason="it is better")


def test_how_a_versions_rows_were_split_is_what_its_project_says_where_that_can_be_read() -> None:
    text = minimal_project_text(data={"source": "x.csv", "split": {"equal_rows": "apart"}})
    files: list[dict[str, bytes]] = [{PROJECT_FILE: text.encode()}, {}, {PROJECT_FILE: b"written: by another"}]
    nothing: Any = None
    splits = [OpenedVersion(nothing, nothing, "", content).split for content in files]
    assert splits == [Split(equal_rows="apart"), None, None]
