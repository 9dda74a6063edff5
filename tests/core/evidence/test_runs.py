from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from modelway.components.core.checks import Gate, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import CredentialsError, ModelwayError
from modelway.components.core.evidence.blessing import Hashes
from modelway.components.core.evidence.runs import (
    DECISION,
    OUTCOME,
    DeploymentRecord,
    Outcome,
    RegisteredVersion,
    RunContext,
    State,
    record_blessing,
    request_hash,
)

Text = Callable[..., str]
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


@pytest.fixture
def outcome() -> Outcome:
    gates = (
        Gate(name="data", checks=(inconclusive("drift", "no baseline", rule=OnInconclusive.BLOCK),)),
        Gate(name="model", checks=(passed_or_failed("metric[f1]", False, message="0.1", observed=0.1, threshold=0.5),)),
    )
    return Outcome(
        run="release-7",
        project="loans",
        state=State.REJECTED,
        gates=gates,
        reports={"data": "s3://bucket/data.html"},
        model=RegisteredVersion(name="loans", version="3", alias="champion", model_hash="abc"),
        git_commit="1234",
        error="größer",
    )


def test_an_outcome_is_read_back_as_it_was_written(tmp_path: Path, outcome: Outcome) -> None:
    file = outcome.write(str(tmp_path), OUTCOME)
    assert file == f"{tmp_path}/runs/release-7/outcome.json"
    assert Outcome.read(str(tmp_path), "release-7", file=OUTCOME) == outcome


def test_a_run_without_an_id_keeps_no_records(tmp_path: Path) -> None:
    with pytest.raises(ModelwayError, match="the run's id is empty") as error:
        RunContext(run="", store=str(tmp_path))
    assert error.value.key == "run"
    assert RunContext(run="", store="").store == ""


def test_the_reasons_are_those_of_all_gates(outcome: Outcome) -> None:
    assert outcome.reasons == ["drift: no baseline", "metric[f1]: 0.1"]


def test_the_time_is_in_utc(outcome: Outcome) -> None:
    time = datetime.fromisoformat(outcome.at)
    assert time.tzinfo == UTC
    assert abs((datetime.now(UTC) - time).total_seconds()) < 60


def test_a_run_without_a_record_has_none(tmp_path: Path, outcome: Outcome) -> None:
    outcome.write(str(tmp_path), OUTCOME)
    assert Outcome.read(str(tmp_path), "release-7", file=DECISION) is None
    assert Outcome.read(str(tmp_path), "release-8", file=OUTCOME) is None


def test_a_store_that_refuses_is_not_a_missing_record(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError):
        Outcome.read("s3://bucket/store", "release-7", file=OUTCOME)


DOCUMENTS = ("project.json", "contract.json", "policy.json")


def test_the_blessing_the_card_and_the_reports_are_kept_beside_the_record(
    tmp_path: Path, project_text: Text, contract_text: Text, policy_text: Text
) -> None:
    (tmp_path / "made.html").write_text("<p>", encoding="utf-8")
    files = UserFiles.load(project=project_text(), contract=contract_text(), policy=policy_text())
    hashes = Hashes(**{name: document.sha256() for name, document in files.documents()})
    context = RunContext(run="release-7", store=str(tmp_path / "store"), requested_by="ada", champion="3")
    reports = {"data": str(tmp_path / "made.html")}
    evidence = {"data.json": tmp_path / "made.html"}
    blessing, contents, locations = record_blessing(
        [], hashes, reports=reports, evidence=evidence, files=files, context=context
    )
    assert blessing.evidence == {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    assert set(contents) == {
        "card.html",
        "card.md",
        "contract.json",
        "data.html",
        "data.json",
        "policy.json",
        "project.json",
    }
    assert contents["data.json"] == b"<p>"
    assert (blessing.requested_by, blessing.compared_with) == ("ada", "3")
    folder = tmp_path / "store" / "runs" / "release-7"
    assert locations == {"data": f"{folder}/data.html", "card": f"{folder}/card.html"}
    kept = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert kept == {
        "blessing.json": blessing.content().decode(),
        "card.html": contents["card.html"].decode(),
        "card.md": contents["card.md"].decode(),
        "data.html": "<p>",
    }


def test_the_same_request_has_the_same_hash(project_text: Text, contract_text: Text, policy_text: Text) -> None:
    def hash_of(data: str = "d", code: str = "c", **changes: dict[str, Any]) -> str:
        return request_hash(
            UserFiles.load(
                project=project_text(changes.get("project")),
                contract=contract_text(changes.get("contract")),
                policy=policy_text(changes.get("policy")),
            ),
            source_version=data,
            code_version=code,
        )

    assert hash_of() == hash_of()
    different = {
        hash_of(),
        hash_of(data="other"),
        hash_of(code="other"),
        hash_of(project={"model.seed": 1}),
        hash_of(contract={"minimum_rows": 2}),
        hash_of(policy={"model.minimum_rows": 2}),
    }
    assert len(different) == 6


def test_a_run_is_called_by_its_name_and_its_id(outcome: Outcome) -> None:
    assert outcome.label == "release-7"
    assert outcome.model_copy(update={"name": "weekly"}).label == "weekly (release-7)"


def test_a_deployment_is_read_back_as_it_was_written_and_the_latest_counts(tmp_path: Path) -> None:
    assert DeploymentRecord.read(str(tmp_path), "run-7") is None
    assert UNDONE.write(str(tmp_path), "run-7") == f"{tmp_path}/runs/run-7/deployment.json"
    assert DeploymentRecord.read(str(tmp_path), "run-7") == UNDONE
    assert DeploymentRecord.read(str(tmp_path), "run-8") is None
    later = UNDONE.model_copy(update={"verdict": "promoted", "reasons": ()})
    later.write(str(tmp_path), "run-7")
    assert DeploymentRecord.read(str(tmp_path), "run-7") == later


def test_a_deployment_has_its_time_in_utc() -> None:
    time = datetime.fromisoformat(DeploymentRecord(**UNDONE.model_dump(exclude={"at"})).at)
    assert time.tzinfo == UTC
    assert abs((datetime.now(UTC) - time).total_seconds()) < 300


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": "run-7"}', '{"verdict": "lost"}'])
def test_a_damaged_record_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    file = Path(UNDONE.write(str(tmp_path), "run-7"))
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ModelwayError, match="is damaged, or was written by another version") as error:
        DeploymentRecord.read(str(tmp_path), "run-7")
    assert error.value.file == str(file)


def test_a_store_that_refuses_is_not_a_missing_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "MINIO_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(CredentialsError):
        DeploymentRecord.read("s3://bucket/store", "run-7")
