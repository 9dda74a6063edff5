from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.core.evidence.deployment_record import DeploymentRecord

UNDONE = DeploymentRecord(
    run="run-7",
    model="loans",
    version="4",
    environment="staging",
    verdict="undone",
    image="r/loans@sha256:4",
    restored="r/loans@sha256:3",
    reasons=("error-rate is 0.3, and the analysis asks for <= 0.01", "größer"),
    sentence="version 4 of loans was undone in staging: error-rate is 0.3",
)


def test_a_record_is_read_back_as_it_was_written_and_the_latest_counts(tmp_path: Path) -> None:
    assert DeploymentRecord.read(str(tmp_path), "run-7") is None
    assert UNDONE.write(str(tmp_path)) == f"{tmp_path}/runs/run-7/deployment.json"
    assert DeploymentRecord.read(str(tmp_path), "run-7") == UNDONE
    assert DeploymentRecord.read(str(tmp_path), "run-8") is None
    later = UNDONE.model_copy(update={"verdict": "promoted", "reasons": ()})
    later.write(str(tmp_path))
    assert DeploymentRecord.read(str(tmp_path), "run-7") == later


def test_the_time_is_in_utc() -> None:
    time = datetime.fromisoformat(DeploymentRecord(**UNDONE.model_dump(exclude={"at"})).at)
    assert time.tzinfo == UTC
    assert abs((datetime.now(UTC) - time).total_seconds()) < 300


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "run-7"}', '{"verdict": "lost"}'])
def test_a_damaged_record_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    file = Path(UNDONE.write(str(tmp_path)))
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ModelwayError, match="is damaged, or was written by another version") as error:
        DeploymentRecord.read(str(tmp_path), "run-7")
    assert error.value.file == str(file)


def test_a_store_that_refuses_is_not_a_record_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError):
        DeploymentRecord.read("s3://bucket/store", "run-7")
