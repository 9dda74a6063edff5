"""What a compiled pipeline's tasks ask for, and which of them may run at the same time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from modelway.components.core.config.resources import StageResources
from modelway.pipelines.cluster_settings import TaskSettings
from modelway.pipelines.compile import compile_spec
from modelway.pipelines.compile_checks.task_demands import TaskDemand, heaviest, task_demands
from modelway.pipelines.release import release_pipeline


@pytest.fixture(scope="module")
def tasks() -> dict[str, TaskDemand]:
    training = StageResources.model_validate({"gpu": {"count": 2}, "cpu": 3, "memory": {"limit": "6Gi"}})
    settings = TaskSettings(resources={"train_model": training})
    return task_demands(compile_spec(release_pipeline("registered", settings)).specification)


def test_the_amounts_are_those_that_are_compiled(tasks: dict[str, TaskDemand]) -> None:
    assert tasks["train-model"].stage == "train_model"
    assert tasks["train-model"].amounts == {
        "requests.cpu": 3,
        "limits.cpu": 3,
        "requests.memory": 2**30,
        "limits.memory": 6 * 2**30,
        "requests.nvidia.com/gpu": 2,
        "pods": 1,
    }
    assert tasks["resolve-inputs"].amounts["requests.cpu"] == Decimal("0.25")


def test_a_task_comes_after_all_that_lead_to_it(tasks: dict[str, TaskDemand]) -> None:
    assert tasks["resolve-inputs"].before == frozenset()
    assert tasks["prepare-features"].before == {"resolve-inputs", "ingest-data", "validate-data"}
    assert tasks["record-outcome"].before == set(tasks) - {"record-outcome"}


@pytest.mark.parametrize(
    ("resource", "group"),
    [
        ("limits.memory", ("evaluate-model", "probe-model")),
        ("requests.nvidia.com/gpu", ("train-model",)),
        ("requests.example.com/fpga", ()),
    ],
)
def test_the_tasks_that_together_ask_for_the_most(
    resource: str, group: tuple[str, ...], tasks: dict[str, TaskDemand]
) -> None:
    assert heaviest(tasks, resource) == group


def test_a_chain_beside_a_task_counts_with_its_heaviest_only() -> None:
    def task(amount: int, *before: str) -> TaskDemand:
        return TaskDemand("train_model", {"pods": Decimal(amount)}, frozenset(before))

    tasks = {"a": task(2), "b": task(5, "a"), "c": task(3, "a", "b"), "d": task(4), "e": task(9, "a", "b", "c", "d")}
    assert heaviest(tasks, "pods") == ("b", "d")
    assert heaviest({**tasks, "e": task(10, "a", "b", "c", "d")}, "pods") == ("e",)


def test_a_limit_is_the_request_where_there_is_none() -> None:
    container = {"resources": {"resourceMemoryLimit": "1Gi"}}
    specification = {
        "deploymentSpec": {"executors": {"exec-a": {"container": container}, "exec-b": {"importer": {}}}},
        "components": {"comp-a": {"executorLabel": "exec-a"}, "comp-b": {"executorLabel": "exec-b"}},
        "root": {"dag": {"tasks": {name: {"componentRef": {"name": f"comp-{name}"}} for name in ("a", "b")}}},
    }
    tasks = task_demands(specification)
    assert {name: dict(task.amounts) for name, task in tasks.items()} == {
        "a": {"requests.memory": 2**30, "limits.memory": 2**30, "pods": 1}
    }
