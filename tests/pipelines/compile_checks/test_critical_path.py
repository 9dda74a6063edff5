"""The critical path is counted pod by pod, as KFP's compiler for Argo Workflows makes them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from modelway.pipelines.compile_checks.critical_path import levels


def _ir(root: str, *, graphs: dict[str, str] | None = None, executors: dict[str, dict[str, Any]] | None = None) -> Any:
    """A specification of graphs as ``task: [dependencies]``; a task is a graph's or an executor's by its name."""

    def graph(text: str) -> dict[str, Any]:
        tasks = {}
        for name, dependencies in yaml.safe_load(text).items():
            component = name.split("-")[0]
            tasks[name] = {"componentRef": {"name": component}}
            if dependencies:
                tasks[name]["dependentTasks"] = dependencies
            if component == "loop":
                tasks[name]["parameterIterator"] = {"itemInput": "item"}
        return {"dag": {"tasks": tasks}}

    plain = {"container": {"image": "registry.example/image"}}
    components: dict[str, Any] = {name: graph(text) for name, text in (graphs or {}).items()}
    leaves = {"task": plain, **(executors or {})}
    components |= {name: {"executorLabel": f"exec-{name}"} for name in leaves}
    return {
        "root": graph(root),
        "components": components,
        "deploymentSpec": {"executors": {f"exec-{name}": executor for name, executor in leaves.items()}},
    }


@pytest.mark.parametrize(
    ("root", "pods"),
    [
        ("{task-a: []}", 3),
        ("{task-a: [], task-b: [task-a], task-c: [task-b]}", 7),
        ("{task-a: [], task-b: [], task-c: []}", 3),
        ("{task-c: [task-a, task-b], task-b: [task-a], task-a: []}", 7),
        ("{task-a: [], task-b: [task-a], task-c: [task-a], task-d: [task-c, task-b]}", 7),
    ],
    ids=["one", "chain", "beside", "shortcut", "diamond"],
)
def test_a_flat_pipeline_is_the_root_and_two_for_each_task_of_its_longest_chain(root: str, pods: int) -> None:
    assert levels(_ir(root)) == pods


def test_an_exit_task_follows_its_handler() -> None:
    ir = _ir(
        "{handler: [], task-exit: [handler]}", graphs={"handler": "{task-a: [], task-b: [task-a], task-c: [task-a]}"}
    )
    ir["root"]["dag"]["tasks"]["task-exit"]["triggerPolicy"] = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert levels(ir) == 1 + (1 + 2 + 2) + 2


def test_every_group_has_a_driver_of_its_own() -> None:
    graphs = {
        "branches": "{good: [], bad: []}",
        "good": "{task-a: [], branches_below: [task-a]}",
        "branches_below": "{deep: []}",
        "deep": "{task-b: []}",
        "bad": "{task-c: []}",
    }
    assert levels(_ir("{task: [], branches: [task]}", graphs=graphs)) == 1 + 2 + (1 + 1) + 2 + (1 + 1) + 2


def test_a_groups_length_counts_where_it_stands_in_the_chain() -> None:
    ir = _ir("{group: [], task-a: [], task-b: [task-a, group]}", graphs={"group": "{task-c: [], task-d: [task-c]}"})
    assert levels(ir) == 1 + (1 + 2 + 2) + 2


def test_a_loop_has_one_more_driver() -> None:
    assert levels(_ir("{loop: []}", graphs={"loop": "{task-a: []}"})) == 1 + (1 + 1) + 2


def test_what_is_one_pod_is_counted_as_one() -> None:
    executors = {"import": {"importer": {}}, "volume": {"container": {"image": "argostub/createpvc"}}}
    assert levels(_ir("{import-a: [], task-a: [import-a]}", executors=executors)) == 1 + 1 + 2
    assert levels(_ir("{volume-a: [], task-a: [volume-a]}", executors=executors)) == 1 + 1 + 2
