"""What a run works on is found out once: what is wrong with it, and what everything after is cached by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from registered_versions import register_version

from modelway.components.core.config.user_files import UserFiles
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import RunContext, request_hash
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.storage.uri import sha256_of
from modelway.components.resolve.stage import Resolution, resolve, resolve_in_task
from modelway.pipelines.project.workspace import Workspace

Edit = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'no.db'}")


def _resolve(folder: Path, champion: str = "", data: str | None = None) -> Resolution:
    workspace = Workspace.load(folder, data)
    return resolve(workspace.files, champion=champion, names=workspace.names())


@pytest.mark.parametrize(
    ("keys", "says", "expected"),
    [
        (
            {"model": {"entrypoint": "absent.module:fit"}},
            "the module 'absent.module' cannot be found",
            {"key": "model.entrypoint", "remedy": "absent/module.py"},
        ),
        ({"data.source": "gone.csv"}, "gone.csv cannot be read", {"file": "gone.csv"}),
        ({"model.estimator": "nowhere.to.be.Found"}, "cannot be imported", {"file": "project.yaml"}),
    ],
)
def test_what_would_fail_later_is_refused(
    keys: dict[str, Any], says: str, expected: dict[str, str], small: Path, edit: Edit
) -> None:
    edit(small / "project.yaml", keys)
    with pytest.raises(ModelwayError) as error:
        _resolve(small)
    assert says in error.value.message
    fields = error.value.fields()
    assert {name: part for name, part in expected.items() if part not in fields.get(name, "")} == {}


def _append(folder: Path) -> None:
    with (folder / "visits.csv").open("a", encoding="utf-8") as table:
        table.write("601,40.0,1.0,Ulm,2025-05-05,0\n")


def test_the_version_of_the_data_changes_with_the_data(small: Path) -> None:
    inputs = _resolve(small)
    assert inputs.source_version == f"sha256:{sha256_of(small / 'visits.csv')}"
    assert _resolve(small).source_version == inputs.source_version
    _append(small)
    assert _resolve(small).source_version != inputs.source_version


def test_a_database_that_is_not_there_yet_holds_no_champion_and_is_not_made(small: Path, tmp_path: Path) -> None:
    inputs = _resolve(small)
    assert inputs.champion == ""
    assert "there is no champion to compare with" in inputs.notes[0]
    assert not (tmp_path / "no.db").exists()


def test_a_registry_that_cannot_be_reached_is_no_registry_without_a_champion(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ModelwayError, match="cannot be reached"):
        _resolve(small)


def test_other_code_of_ones_own_is_another_version_and_is_not_run(
    small: Path, edit: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(small)
    versions = [_resolve(small).code_version]
    edit(small / "project.yaml", {"model": {"entrypoint": "resolve_own:fit"}})
    for text in ("raise SystemExit('imported')\n", "raise SystemExit('imported again')\n"):
        (small / "resolve_own.py").write_text(text, encoding="utf-8")
        versions.append(_resolve(small).code_version)
    assert len(set(versions)) == 3
    assert all(version.startswith(versions[0]) for version in versions)


@pytest.fixture
def registry(small: Path, tracking: Tracking, monkeypatch: pytest.MonkeyPatch, edit: Edit) -> Callable[..., str]:
    """Registers a version of the project under a name of the test's own, with tags; returns its number."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    name = f"visits-{small.parent.name[-40:].lower().replace('_', '-').strip('-')}"
    edit(small / "project.yaml", {"name": name})

    return lambda alias="", **tags: register_version(tracking, name, alias=alias, tags=tags)


def test_a_champion_is_found_although_nobody_named_it(small: Path, registry: Callable[..., str]) -> None:
    version = registry("champion")
    inputs = _resolve(small)
    assert (inputs.champion, inputs.notes) == (version, ())


def test_a_repeat_of_the_champions_own_request_is_compared_with_what_it_was_compared_with(
    small: Path, registry: Callable[..., str]
) -> None:
    first = _resolve(small)
    request = request_hash(first.files, source_version=first.source_version, code_version=first.code_version)
    older, champion = registry(), registry("champion", request_hash=request, compared_with="1")
    inputs = _resolve(small)
    assert inputs.champion == older == "1"
    assert f"champion version {champion} came from this very request" in inputs.notes[0]
    _append(small)
    assert _resolve(small).champion == champion


def test_a_champion_that_is_named_is_taken_and_a_stale_one_is_said(small: Path, registry: Callable[..., str]) -> None:
    older, champion = registry(), registry("champion")
    inputs = _resolve(small, champion=older)
    assert inputs.champion == older
    assert inputs.notes == (f"the run names version {older} as champion, but version {champion} holds 'champion'",)
    assert _resolve(small, champion=champion).notes == ()


@pytest.mark.parametrize("champion", ["99", "champion"])
def test_a_champion_that_is_not_registered_is_refused(champion: str, small: Path, registry: Callable[..., str]) -> None:
    registry("champion")
    with pytest.raises(ModelwayError, match=f"has no version {champion}") as error:
        _resolve(small, champion=champion)
    assert error.value.key == "champion"
    assert "'champion'" in error.value.remedy


def test_waivers_end_with_their_day_and_nothing_else_does(small: Path, edit: Edit) -> None:
    assert _resolve(small).as_of == ""
    waiver = {"gate": "data", "check": "drift[age]", "reason": "known", "by": "ada", "until": "2999-01-01"}
    edit(small / "policy.yaml", {"waivers": [waiver]})
    assert _resolve(small).as_of == datetime.now(UTC).date().isoformat()


def _texts(folder: Path) -> dict[str, str]:
    return {name: document.canonical() for name, document in Workspace.load(folder).files.documents()}


def test_files_are_handed_on_by_their_content_so_that_a_change_at_their_address_is_seen(
    small: Path, tmp_path: Path, edit: Edit
) -> None:
    context = RunContext(run="id-1", store=str(tmp_path / "store"), name="weekly")
    addresses = {name: str(small / f"{name}.yaml") for name in ("contract", "policy")}
    addresses["project"] = _texts(small)["project"]
    first, uris = resolve_in_task(addresses, champion="", context=context)
    assert UserFiles.load(**uris) == first.files
    assert resolve_in_task(addresses, champion="", context=context)[1] == uris
    edit(small / "policy.yaml", {"model.minimum_rows": 101})
    uris_after = resolve_in_task(addresses, champion="", context=context)[1]
    assert {name for name in uris if uris_after[name] != uris[name]} == {"policy"}


def test_a_run_without_a_store_is_refused_at_once(small: Path) -> None:
    with pytest.raises(ModelwayError, match="the pipeline has no store") as error:
        resolve_in_task(_texts(small), champion="", context=RunContext(run="id-1", store=""))
    assert error.value.key == "store"


def test_the_summary_says_what_identifies_the_run(small: Path) -> None:
    inputs = _resolve(small)
    context = RunContext(run="id-1", store="s", name="weekly", git_commit="c0ffee", requested_by="ada@example.org")
    text = inputs.markdown(context, "week | 32")
    for fact in ("weekly", "id-1", "week \\| 32", "c0ffee", "ada@example.org", inputs.source_version):
        assert fact in text
    for _, document in inputs.files.documents():
        assert document.sha256() in text
