"""The resources that the tasks of a compiled pipeline request, and which of them may run at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from kubernetes.utils.quantity import parse_quantity  # type: ignore[import-untyped]

FIELDS = {
    "requests.cpu": "resourceCpuRequest",
    "limits.cpu": "resourceCpuLimit",
    "requests.memory": "resourceMemoryRequest",
    "limits.memory": "resourceMemoryLimit",
}


@dataclass(frozen=True)
class TaskDemand:
    """The resources that a task's container requests.

    Attributes:
        stage: The component's name, such as ``train_model``.
        amounts: By the name that a ResourceQuota has for it, such as ``limits.memory``.
        before: The tasks that have ended when this one starts.
    """

    stage: str
    amounts: Mapping[str, Decimal]
    before: frozenset[str] = frozenset()

    def amount(self, name: str) -> Decimal:
        """How much of a resource it requests."""
        return self.amounts.get(name, Decimal(0))


def task_demands(specification: Mapping[str, Any]) -> dict[str, TaskDemand]:
    """The requests of each task of a compiled pipeline, and the tasks before it, by the task's name."""
    executors = specification["deploymentSpec"]["executors"]
    demands: dict[str, TaskDemand] = {}

    def walk(graph: Mapping[str, Any], outer: frozenset[str]) -> frozenset[str]:
        """Adds a graph's tasks, which all start after those of `outer`; returns their names."""
        tasks = graph["tasks"]
        finished: dict[str, frozenset[str]] = {}

        def end(name: str) -> frozenset[str]:
            """The tasks that have ended once this one has."""
            if name not in finished:
                before = outer.union(*(end(task) for task in tasks[name].get("dependentTasks", ())))
                component = specification["components"][tasks[name]["componentRef"]["name"]]
                if "dag" in component:
                    finished[name] = before | walk(component["dag"], before)
                else:
                    finished[name] = before | {name}
                    container = executors[component["executorLabel"]].get("container")
                    if container is not None:
                        stage = tasks[name]["componentRef"]["name"].removeprefix("comp-").replace("-", "_")
                        demands[name] = TaskDemand(stage, _amounts(container.get("resources") or {}), before)
            return finished[name]

        return frozenset().union(*(end(name) for name in tasks)) - outer

    walk(specification["root"]["dag"], frozenset())
    return demands


def _amounts(resources: Mapping[str, Any]) -> dict[str, Decimal]:
    amounts = {name: parse_quantity(resources[key]) for name, key in FIELDS.items() if key in resources}
    for kind in ("cpu", "memory"):  # Kubernetes takes the limit for the request where there is none
        if f"limits.{kind}" in amounts:
            amounts.setdefault(f"requests.{kind}", amounts[f"limits.{kind}"])
    accelerator = resources.get("accelerator")
    if accelerator is not None:
        amounts[f"requests.{accelerator['resourceType']}"] = parse_quantity(accelerator["resourceCount"])
    return {**amounts, "pods": Decimal(1)}


def heaviest(tasks: Mapping[str, TaskDemand], name: str) -> tuple[str, ...]:
    """The tasks that may all run at the same time and together request the most of a resource."""

    @cache
    def choose(names: tuple[str, ...]) -> tuple[Decimal, tuple[str, ...]]:
        """The greatest sum, and its tasks, among some tasks: with the first of them or without it."""
        if not names:
            return Decimal(0), ()
        first, rest = names[0], names[1:]
        beside = tuple(task for task in rest if task not in tasks[first].before and first not in tasks[task].before)
        amount, group = choose(beside)
        together = (amount + tasks[first].amount(name), (first, *group))
        return together if beside == rest else max(together, choose(rest), key=lambda option: option[0])

    return choose(tuple(sorted(task for task in tasks if tasks[task].amount(name))))[1]
