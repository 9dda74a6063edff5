"""A project's own pipeline on the backend without a cluster: started with no argument, it is `modelway run`'s run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from backend import Backend, Run
from image_layouts import SITE, write_base
from small_projects import edit_yaml, visits, write_small_project

from modelway.components.core.checks import Check
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.evidence.files import BLESSING_FILE
from modelway.components.core.evidence.runs import OUTCOME, Outcome, State
from modelway.components.core.storage.mlflow import Tracking
from modelway.pipelines.local.runner import run_release
from modelway.pipelines.project.image import make_project_image
from modelway.pipelines.project.workspace import Workspace
from modelway.pipelines.project_pipelines import compile_project

pytestmark = pytest.mark.runs

TRAINING = """
from sklearn.tree import DecisionTreeClassifier

import own_depth


def fit(features, label):
    return DecisionTreeClassifier(max_depth=own_depth.DEPTH, random_state=0).fit(features, label)
"""
JUDGING = ("ingest-data", "validate-data", "prepare-features", "train-model", "evaluate-model", "probe-model")


class Project:
    """A project that is run here first, and then compiled and started on the backend with the same store and MLflow."""

    def __init__(self, folder: Path, backend: Backend, tracking: Tracking) -> None:
        self.folder, self.backend, self.tracking = folder, backend, tracking
        self.store = folder / "store"

    def compile(self, project_image: str = "") -> str:
        workspace = Workspace.load(self.folder)
        compile_project(self.folder / "dist", workspace, store=str(self.store), project_image=project_image)
        return (self.folder / "dist" / f"{workspace.project.name}-release.yaml").read_text(encoding="utf-8")

    def start(self, *, project_image: str = "", **arguments: str) -> Run:
        run = self.backend.submit(self.compile(project_image), arguments)
        assert run.state == "SUCCEEDED", {name: task.error for name, task in run.tasks.items()}
        return run

    def outcome(self, run: Run) -> Outcome:
        outcome = Outcome.read(str(self.store), run.identifier, file=OUTCOME)
        assert outcome is not None
        return outcome

    def blessing(self, run: str) -> Blessing:
        content = (self.store / "runs" / run / BLESSING_FILE).read_text(encoding="utf-8")
        return Blessing.model_validate_json(content)


def checks(blessing: Blessing, gate: str) -> tuple[Check, ...]:
    return next(entry.checks for entry in blessing.gates if entry.name == gate)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tracking: Tracking) -> Iterator[Project]:
    folder = write_small_project(tmp_path_factory.mktemp("project"))
    edit_yaml(folder / "project.yaml", {"name": "own-visits"})
    edit_yaml(folder / "policy.yaml", {"serving": {"rows": 8, "warm_up": 2}})
    backend = Backend(
        folder / "backend",
        preloaded={"MLFLOW_TRACKING_URI": tracking.uri},
        config_maps={"modelway": {"mlflow-tracking-uri": tracking.uri}},
    )
    yield Project(folder, backend, tracking)
    backend.close()


@pytest.fixture(scope="module")
def own_code(tmp_path_factory: pytest.TempPathFactory, tracking: Tracking) -> Iterator[Project]:
    """A project with two modules of its own."""
    folder = write_small_project(tmp_path_factory.mktemp("own-code"))
    edit_yaml(folder / "project.yaml", {"name": "own-code", "model": {"entrypoint": "own_training:fit"}})
    edit_yaml(folder / "policy.yaml", {"serving": {"rows": 8, "warm_up": 2}})
    (folder / "own_training.py").write_text(TRAINING, encoding="utf-8")
    (folder / "own_depth.py").write_text("DEPTH = 3\n", encoding="utf-8")
    backend = Backend(
        folder / "backend",
        preloaded={"MLFLOW_TRACKING_URI": tracking.uri, "PYTHONPATH": str(folder)},
        config_maps={"modelway": {"mlflow-tracking-uri": tracking.uri}},
    )
    yield Project(folder, backend, tracking)
    backend.close()


@pytest.fixture(scope="module")
def here(project: Project) -> Outcome:
    """What came of `modelway run`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", project.tracking.uri)
        workspace = Workspace.load(project.folder)
        result = run_release(workspace, project.folder / "home", store=str(project.store), on_event=lambda _: None)
    assert result.outcome is not None
    assert result.outcome.state is State.REGISTERED
    return result.outcome


@pytest.fixture(scope="module")
def first(project: Project, here: Outcome) -> Run:
    """The compiled release, started with no argument."""
    assert here.model is not None
    return project.start()


def test_started_with_no_argument_it_is_the_same_run(project: Project, here: Outcome, first: Run) -> None:
    outcome = project.outcome(first)
    assert (outcome.state, outcome.error, outcome.git_commit) == (here.state, "", here.git_commit)
    there, blessing = project.blessing(first.identifier), project.blessing(here.run)
    but = {"model"}  # a folder in which MLflow writes the id that it gives the model
    assert there.hashes.model_dump(exclude=but) == blessing.hashes.model_dump(exclude=but)
    assert (there.compared_with, there.git_commit) == (blessing.compared_with, blessing.git_commit)
    for name in ("data", "model"):
        assert checks(there, name) == checks(blessing, name)
    assert [check.name for check in checks(there, "serving")] == [check.name for check in checks(blessing, "serving")]


def test_panels_show_what_reads(first: Run, project: Project) -> None:
    """What a task was given is short, and a file's name is its content's hash."""
    facts: dict[str, Any] = first.tasks["resolve-inputs"].parameters
    assert facts["policy_file"] == str(project.store / "config" / Path(facts["policy_file"]).name)
    assert all(len(str(value)) < 200 and "\n" not in str(value) for value in facts.values())


def test_started_again_it_comes_from_cache(project: Project, first: Run) -> None:
    assert first.state == "SUCCEEDED"
    again = project.start(reason="nothing is new")
    assert {again.states[task] for task in JUDGING} == {"CACHED"}
    assert project.outcome(again).request_reason == "nothing is new"


def test_more_memory_neither_trains_again_nor_changes_a_blessing(project: Project, first: Run) -> None:
    before = project.compile()
    settings: dict[str, Any] = {"resources": {"default": {"memory": "6Gi"}}, "labels": {"team": "risk"}}
    edit_yaml(project.folder / "project.yaml", settings)
    assert project.compile() != before
    again = project.start()
    assert {again.states[task] for task in JUDGING} == {"CACHED"}
    assert project.blessing(again.identifier).identity == project.blessing(first.identifier).identity


def test_other_data_can_be_named_when_it_is_started(project: Project, first: Run) -> None:
    more = project.folder / "more.csv"
    visits(700).write_csv(more)
    run = project.start(data=str(more), reason="the week's data")
    assert run.states["train-model"] == "SUCCEEDED"
    assert project.outcome(run).model != project.outcome(first).model
    (summary,) = run.tasks["resolve-inputs"].artifacts.values()
    text = project.backend.content(summary).read_text(encoding="utf-8")
    assert str(more) in text
    assert "the week's data" in text


def test_a_changed_module_changes_its_image_and_trains_again_and_the_rest_comes_from_cache(own_code: Project) -> None:
    components = write_base(own_code.folder / "components", [f"{SITE}/modelway-0.1.0.dist-info/METADATA"])

    def make_image() -> str:
        workspace, target = Workspace.load(own_code.folder), str(own_code.folder / "images")
        return make_project_image(workspace, components, target=target, report=lambda _: None).image

    first_image = make_image()
    assert own_code.start(project_image=first_image).state == "SUCCEEDED"
    first = own_code.start(project_image=first_image, champion="1")
    before = own_code.compile(first_image)
    (own_code.folder / "own_depth.py").write_text("DEPTH = 4\n", encoding="utf-8")
    second_image = make_image()
    second = own_code.start(project_image=second_image, champion="1")

    assert first_image != second_image
    executors, other_parts = differences(before, own_code.compile(second_image))
    assert executors == {
        **{f"exec-{task}": {"image"} for task in ("train-model", "evaluate-model", "probe-model")},
        **{f"exec-{task}": {"env"} for task in ("enforce-gate", "register-model")},  # which image trains
    }
    assert other_parts == {"resolve-inputs": {"project_code"}}
    assert {second.states[task] for task in JUDGING[:3]} == {"CACHED"}
    assert {second.states[task] for task in JUDGING[3:]} == {"SUCCEEDED"}
    blessings = [own_code.blessing(run.identifier) for run in (first, second)]
    assert [blessing.image for blessing in blessings] == [first_image, second_image]
    assert len({blessing.hashes.code for blessing in blessings}) == 2


def differences(before: str, after: str) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
    """What differs of two compiled releases: keys of containers by executor, and input parameters by task."""
    specifications = [next(yaml.safe_load_all(text)) for text in (before, after)]
    containers: list[dict[str, Any]] = [
        {label: executor["container"] for label, executor in entry.pop("deploymentSpec")["executors"].items()}
        for entry in specifications
    ]
    tasks = []
    for entry in specifications:
        (group,) = [part["dag"]["tasks"] for part in entry["components"].values() if "dag" in part]
        tasks.append({name: task["inputs"].pop("parameters") for name, task in group.items()})
    assert specifications[0] == specifications[1]
    changes = [
        {name: {key for key in old if old[key] != new[name][key]} for name, old in earlier.items()}
        for earlier, new in (containers, tasks)
    ]
    executors, parameters = ({name: keys for name, keys in change.items() if keys} for change in changes)
    return executors, parameters
