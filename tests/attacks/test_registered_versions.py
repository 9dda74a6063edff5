"""Attacks by who can write MLflow's registry and artifacts, but not the audit log."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import skops.io
import yaml
from registered_versions import release_version
from sklearn.dummy import DummyClassifier
from user_files import minimal_policy, minimal_project

from modelway.components.core.audit.approvals import approve, promotion_blockers
from modelway.components.core.audit.opened_version import open_champion, open_version
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.errors import DamagedError, NotFoundError, RejectedError
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.evaluate.champion import champion_predictions, policy_checks
from modelway.components.package.contents import gather
from modelway.components.validate.baseline import approved_baseline

ROOT = Path(__file__).resolve().parent.parent.parent
EVIDENCE = {
    file: f"{file} as it was blessed".encode()
    for file in (
        *(f"{gate}.{kind}" for gate in ("data", "model", "serving") for kind in ("json", "html")),
        *("card.md", "card.html", "baseline.json", "sample.parquet", "project.json", "contract.json"),
    )
}


class Marker:
    """Unpickled, it touches a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return Path.touch, (self.mark,)


@pytest.fixture
def model(tracking: Tracking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RegisteredModel:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking.uri)
    return RegisteredModel(f"attacked-{tmp_path.name}", str(tmp_path / "store"), tracking)


def write_model(folder: Path, serialization: str, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "model.bin").write_bytes(content)
    flavor = {"pickled_model": "model.bin", "serialization_format": serialization}
    (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"sklearn": flavor}}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("file", ["policy.json", *EVIDENCE])
@pytest.mark.parametrize("content", [b"", b"{}"], ids=["deleted", "edited"])
def test_evidence_is_what_was_blessed_or_nothing_is_used(model: RegisteredModel, file: str, content: bytes) -> None:
    number = release_version(model.tracking, model.name, store=model.store, bound=EVIDENCE, replaced={file: content})
    version = model.version(number)
    with pytest.raises((DamagedError, NotFoundError), match=file.replace(".", r"\.")):
        open_version(version)
    assert file in promotion_blockers(version, "staging")[0]


def test_a_replaced_model_is_not_loaded(model: RegisteredModel, tmp_path: Path) -> None:
    honest = skops.io.dumps(DummyClassifier().fit([[0], [1]], [0, 1]))
    folder = write_model(tmp_path / "model", "skops", honest)
    number = release_version(model.tracking, model.name, model=folder, store=model.store)
    source = str(model.tracking.client.get_model_version(model.name, number).source).removeprefix("models:/")
    folder = Path(str(model.tracking.client.get_logged_model(source).artifact_location).removeprefix("file://"))
    mark = tmp_path / "mark"
    write_model(folder, "cloudpickle", pickle.dumps(Marker(mark)))
    champion = open_champion(model.name, number, blessing_sha256="")
    with pytest.raises(DamagedError, match="is not the one that was blessed"):
        champion_predictions(pl.DataFrame({"x": [1.0]}), minimal_project(), champion=champion)
    with pytest.raises(DamagedError, match="is not the one that was blessed"):
        gather(model.version(number), tmp_path / "bundle")
    assert not mark.exists()


def test_a_version_that_no_gate_judged_goes_nowhere(model: RegisteredModel, tmp_path: Path) -> None:
    """Its blessing is a copy, and the two tags are set: there is no registration of it."""
    judged = model.version(release_version(model.tracking, model.name, store=model.store))
    forged = model.version(release_version(model.tracking, model.name))
    says = f"the audit log has no registration of {forged}"
    with pytest.raises(RejectedError, match=says):
        approve(forged, "production", by="bob@example.org", reason="good")
    with pytest.raises(RejectedError, match=says):
        gather(forged, tmp_path / "bundle")
    assert says in promotion_blockers(forged, "staging")[0]
    assert promotion_blockers(judged, "staging") == []


def test_a_blessing_that_is_replaced_with_its_tag_is_no_champion(model: RegisteredModel) -> None:
    number = release_version(model.tracking, model.name, store=model.store)
    registered = open_version(model.version(number)).blessing_sha256
    forged = release_version(model.tracking, model.name, blessing={"requested_by": "eve"})
    with pytest.raises(DamagedError, match="was registered with another blessing"):
        open_champion(model.name, forged, blessing_sha256=registered)


def test_a_version_of_a_narrower_blessing_is_compared_with_and_not_promoted_again(
    model: RegisteredModel, tmp_path: Path
) -> None:
    narrow: dict[str, Any] = {"evidence": {}}
    others = {file: content for file, content in EVIDENCE.items() if file not in {"project.json", "contract.json"}}
    version = model.version(
        release_version(model.tracking, model.name, store=model.store, bound=others, blessing=narrow)
    )
    champion = open_version(version)
    assert not champion.binds_all
    assert [check.name for check in policy_checks(minimal_policy(), champion)] == ["policy"]
    assert champion.files["card.md"] == EVIDENCE["card.md"]
    says = "was registered when a blessing did not bind all of its evidence"
    assert says in promotion_blockers(version, "staging")[0]
    for deed in (lambda: approve(version, "staging", by="bob", reason="good"), lambda: gather(version, tmp_path / "b")):
        with pytest.raises(RejectedError, match=says):
            deed()
    edited = release_version(model.tracking, model.name, replaced={"policy.json": b"{}"}, bound={}, blessing=narrow)
    with pytest.raises(DamagedError, match=r"another policy\.json"):
        open_version(model.version(edited))


def test_a_deleted_baseline_is_not_taken_for_none(model: RegisteredModel) -> None:
    number = release_version(model.tracking, model.name, bound=EVIDENCE, replaced={"baseline.json": b""})
    with pytest.raises(DamagedError, match=r"blessed with baseline\.json, which is not in its evidence"):
        approved_baseline(open_champion(model.name, number, blessing_sha256=""))


def test_there_is_no_other_way_to_a_registered_version() -> None:
    """`opened_version` alone reads MLflow's evidence and models; those load a model who compared its hash."""
    allowed = {
        "download_model": {"core/audit/opened_version.py"},
        "evidence": {"core/audit/opened_version.py"},
        "load_model": {
            "evaluate/champion.py",  # as `OpenedVersion.download` verified it
            "evaluate/stage.py",  # the candidate, once its hash is the trained one's
            "package/onnx/convert.py",  # as above
            "probe/stage.py",  # the candidate, as above
            "serve/predictor.py",  # of a verified bundle, or with the hash that the probe gives
            "validate/checks/concept_drift.py",  # the champion, as `OpenedVersion.download` verified it
        },
    }
    callers: dict[str, set[str]] = {name: set() for name in allowed}
    for folder in ("components", "pipelines"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                    if name in allowed:
                        callers[name].add(file.relative_to(ROOT / folder).as_posix())
    assert callers == allowed
