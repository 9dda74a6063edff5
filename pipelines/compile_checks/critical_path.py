"""How many pods of a compiled pipeline follow one another, whatever runs beside them.

Each waits for the one before it and for the workflow controller's next look, so this number times 6 to 20 seconds is
what a run takes beside the stages' own work.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

_DRIVER, _EXECUTOR = 1, 1
_DONE_BY_THE_DRIVER = {"argostub/createpvc", "argostub/deletepvc"}  # KFP starts no executor for these


def levels(specification: Mapping[str, Any]) -> int:
    """The pods on the longest chain of dependencies, counted as KFP's compiler for Argo Workflows makes them.

    A task is a driver and an executor; an importer, or a task that only makes or deletes a volume, is one pod. The root
    and every group below it (an exit handler, a condition, a loop, a pipeline used as a component) is a driver and then
    the longest chain inside; a loop has one more driver, for its iteration. An exit task follows its handler. They are
    counted as if every condition held.
    """
    executors = specification["deploymentSpec"]["executors"]

    def length(graph: Mapping[str, Any]) -> int:
        tasks = graph["tasks"]

        @cache
        def end(name: str) -> int:
            before = tasks[name].get("dependentTasks", ())
            return max((end(task) for task in before), default=0) + own(tasks[name])

        return max(end(name) for name in tasks)

    def own(task: Mapping[str, Any]) -> int:
        component = specification["components"][task["componentRef"]["name"]]
        loop = _DRIVER if "parameterIterator" in task or "artifactIterator" in task else 0
        if "dag" in component:
            return loop + _DRIVER + length(component["dag"])
        executor = executors[component["executorLabel"]]
        if "importer" in executor:
            return loop + _EXECUTOR
        if executor["container"]["image"] in _DONE_BY_THE_DRIVER:
            return loop + _DRIVER
        return loop + _DRIVER + _EXECUTOR

    return _DRIVER + length(specification["root"]["dag"])
