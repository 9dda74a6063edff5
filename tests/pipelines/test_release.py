"""The road is one flat graph that its users can read, keyed by the run's id."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from kfp import compiler

from modelway.components.core.evidence.runs import ReleaseGoal
from modelway.pipelines.release import release_pipeline

UNCACHED = {
    "resolve-inputs",
    "enforce-gate",
    "register-model",
    "package-model",
    "deploy-model",
    "record-outcome",
}
STAGES = {
    "resolve-inputs",
    "ingest-data",
    "validate-data",
    "enforce-gate",
    "prepare-features",
    "train-model",
    "evaluate-model",
    "probe-model",
    "register-model",
}
GOALS: tuple[ReleaseGoal, ...] = get_args(ReleaseGoal)
BY_GOAL: dict[ReleaseGoal, set[str]] = {
    "registered": STAGES,
    "packaged": STAGES | {"package-model"},
    "staging": STAGES | {"package-model", "deploy-model"},
}


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[ReleaseGoal, dict[str, Any]]:
    folder: Path = tmp_path_factory.mktemp("compiled")
    specifications = {}
    for goal in GOALS:
        compiler.Compiler().compile(release_pipeline(goal), str(folder / f"{goal}.yaml"))
        specifications[goal] = next(yaml.safe_load_all((folder / f"{goal}.yaml").read_text(encoding="utf-8")))
    return specifications


@pytest.fixture(params=GOALS)
def goal(request: pytest.FixtureRequest) -> ReleaseGoal:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def pipeline(goal: ReleaseGoal, pipelines: dict[ReleaseGoal, dict[str, Any]]) -> dict[str, Any]:
    return pipelines[goal]


def _groups(pipeline: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tasks of each group below the root, by the group's component."""
    return {name: part["dag"]["tasks"] for name, part in pipeline["components"].items() if "dag" in part}


def _stages(pipeline: dict[str, Any]) -> dict[str, Any]:
    (tasks,) = _groups(pipeline).values()
    return tasks


def _all_tasks(pipeline: dict[str, Any]) -> dict[str, Any]:
    return _stages(pipeline) | {"record-outcome": pipeline["root"]["dag"]["tasks"]["record-outcome"]}


def test_there_is_one_group_with_all_stages_in_it(goal: ReleaseGoal, pipeline: dict[str, Any]) -> None:
    root = pipeline["root"]["dag"]["tasks"]
    (group,) = _groups(pipeline)
    assert {task["componentRef"]["name"] for task in root.values()} == {group, "comp-record-outcome"}
    assert root["record-outcome"]["triggerPolicy"]["strategy"] == "ALL_UPSTREAM_TASKS_COMPLETED"
    assert set(_stages(pipeline)) == BY_GOAL[goal]


def test_nothing_is_decided_while_it_runs(pipeline: dict[str, Any]) -> None:
    for name, task in _stages(pipeline).items():
        assert "triggerPolicy" not in task, name
        assert not {"iteratorPolicy", "parameterIterator", "artifactIterator"} & set(task), name


def test_no_artifact_may_be_missing_and_no_task_asks_the_orchestrator_for_its_word(pipeline: dict[str, Any]) -> None:
    for name, part in pipeline["components"].items():
        inputs = part.get("inputDefinitions", {})
        assert not [key for key, definition in inputs.get("artifacts", {}).items() if definition.get("isOptional")], (
            name
        )
        kinds = {definition["parameterType"] for definition in inputs.get("parameters", {}).values()}
        assert "TASK_FINAL_STATUS" not in kinds, name


def test_records_are_kept_by_the_runs_id_and_never_by_its_name(pipeline: dict[str, Any]) -> None:
    keyed = {
        name: task["inputs"]["parameters"]
        for name, task in _all_tasks(pipeline).items()
        if "run" in task["inputs"]["parameters"]
    }
    assert set(keyed) == {name for name in _all_tasks(pipeline) if name in UNCACHED}
    for name, parameters in keyed.items():
        assert parameters["run"] == {"runtimeValue": {"constant": "{{$.pipeline_job_uuid}}"}}, name
        for key, parameter in parameters.items():
            constant = str(parameter.get("runtimeValue", {}).get("constant", ""))
            assert "{{" not in constant or constant == (
                "{{$.pipeline_job_name}}" if key == "run_name" else "{{$.pipeline_job_uuid}}"
            ), (name, key)


def test_what_touches_the_world_is_never_cached_and_knows_the_run_and_the_rest_is_and_does_not(
    pipeline: dict[str, Any],
) -> None:
    for name, task in _all_tasks(pipeline).items():
        assert task["cachingOptions"].get("enableCache", False) is (name not in UNCACHED), name


def test_everything_after_resolving_is_keyed_by_what_was_resolved(pipeline: dict[str, Any]) -> None:
    files = {"project", "contract", "policy", "champion"}
    for name, task in _stages(pipeline).items():
        if name == "resolve-inputs":
            continue
        for key in files & set(task["inputs"]["parameters"]):
            source = task["inputs"]["parameters"][key]
            assert source["taskOutputParameter"]["producerTask"] == "resolve-inputs", (name, key)


def test_training_waits_for_the_data_gate_and_registering_for_every_gate(pipeline: dict[str, Any]) -> None:
    stages = _stages(pipeline)
    assert {"enforce-gate", "prepare-features"} <= set(stages["train-model"]["dependentTasks"])
    assert {"validate-data", "evaluate-model", "probe-model"} <= set(stages["register-model"]["dependentTasks"])
    assert "enforce-gate" not in stages["prepare-features"]["dependentTasks"]


def test_tasks_have_names_that_people_read(pipeline: dict[str, Any]) -> None:
    names = {name: task["taskInfo"]["name"] for name, task in _all_tasks(pipeline).items()}
    assert names["validate-data"] == "validate data"
    assert names["evaluate-model"] == "judge model"
    assert all("-" not in title and title == title.lower() for title in names.values())


def test_only_what_a_release_cannot_do_without_must_be_given(goal: ReleaseGoal, pipeline: dict[str, Any]) -> None:
    parameters = pipeline["root"]["inputDefinitions"]["parameters"]
    mandatory = {name for name, definition in parameters.items() if not definition.get("isOptional")}
    packaging = set() if goal == "registered" else {"serving_base", "image"}
    assert mandatory == {"project", "contract", "policy", "store"} | packaging
    assert set(parameters) - mandatory == {
        *("data", "data_version", "champion", "reason", "requested_by"),
        *("git_commit", "project_code"),
    }
    assert all(definition["description"] for definition in parameters.values())


def test_how_far_it_is_to_go_is_what_the_record_is_compared_with(goal: ReleaseGoal, pipeline: dict[str, Any]) -> None:
    parameters = pipeline["root"]["dag"]["tasks"]["record-outcome"]["inputs"]["parameters"]
    assert parameters["goal"] == {"runtimeValue": {"constant": goal}}
