"""The flat graph in a compiled pipeline, read as a Kubeflow Pipelines backend reads it.

A run is one group of tasks below an exit handler, and the exit task. Whatever else the intermediate representation can
say (conditions, loops, nested groups, optional artifacts, a final status) is refused by its name, so that a pipeline
that can be read is known to have none of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import yaml

Spec = dict[str, Any]

ALWAYS = {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
KEYS = {
    "task": {"cachingOptions", "componentRef", "dependentTasks", "inputs", "taskInfo", "triggerPolicy"},
    "inputs": {"parameters", "artifacts"},
    "parameter": {"componentInputParameter", "runtimeValue", "taskOutputParameter"},
    "artifact": {"taskOutputArtifact"},
    "input artifact": {"artifactType", "description"},
    "output artifact": {"artifactType", "description", "metadata"},
    "executor": {"container"},
    "container": {"args", "command", "env", "image", "resources"},
    "kubernetes": {
        "activeDeadlineSeconds",
        "configMapAsEnv",
        "configMapAsVolume",
        "fieldPathAsEnv",
        "imagePullPolicy",
        "imagePullSecret",
        "nodeAffinity",
        "nodeSelector",
        "podMetadata",
        "secretAsEnv",
        "secretAsVolume",
        "securityContext",
        "tolerations",
    },
}


@dataclass(frozen=True)
class Task:
    """A task that runs a lightweight component.

    Attributes:
        name: Its name in the graph.
        display_name: Its name in the dashboard.
        component: Its component's specification.
        container: What its pod runs.
        kubernetes: What the platform gives its pod.
        parameters: Where each input parameter comes from.
        artifacts: Where each input artifact comes from.
        upstream: The tasks that must succeed first.
        cached: Whether an earlier run's outputs may be taken.
    """

    name: str
    display_name: str
    component: Spec
    container: Spec
    kubernetes: Spec
    parameters: Spec
    artifacts: Spec
    upstream: frozenset[str]
    cached: bool

    def inputs(self, kind: str) -> Spec:
        """The definitions of its input ``parameters`` or ``artifacts``."""
        return dict(self.component.get("inputDefinitions", {}).get(kind, {}))

    def outputs(self, kind: str) -> Spec:
        """The definitions of its output ``parameters`` or ``artifacts``."""
        return dict(self.component.get("outputDefinitions", {}).get(kind, {}))


@dataclass(frozen=True)
class Graph:
    """A pipeline.

    Attributes:
        pipeline: Its name, which results are cached by.
        parameters: The definitions of its parameters.
        handler: Where the parameters of the group below the exit handler come from.
        tasks: The group's tasks by name, each after those that it waits for.
        exit_task: What runs after the group, however that ends.
    """

    pipeline: str
    parameters: Spec
    handler: Spec
    tasks: Mapping[str, Task]
    exit_task: Task

    @classmethod
    def read(cls, package: str) -> Graph:
        """Reads what the compiler wrote: the pipeline, and in a second document what is special to Kubernetes.

        Raises:
            AssertionError: there is something in it that a flat graph below an exit handler has not.
        """
        spec, *platforms = yaml.safe_load_all(package)
        kubernetes = platforms[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if platforms else {}
        reader = _Reader(spec, kubernetes)
        root = spec["root"]["dag"]["tasks"]
        groups = [name for name, task in root.items() if "dag" in reader.component(task)]
        exits = [name for name, task in root.items() if task.get("triggerPolicy") == ALWAYS]
        if len(groups) != 1 or len(exits) != 1 or len(root) != 2:
            raise AssertionError(f"the root is to have a group below an exit handler and its exit task: {sorted(root)}")
        handler, last_group = root[groups[0]], dict(root[exits[0]])
        _only("inputs", handler.get("inputs", {}), of=groups[0], beside={"parameters"})
        for name, source in handler.get("inputs", {}).get("parameters", {}).items():
            _only("parameter", source, of=f"{groups[0]}'s {name}")
        tasks = {name: reader.task(name, task) for name, task in reader.component(handler)["dag"]["tasks"].items()}
        order = TopologicalSorter({name: sorted(task.upstream) for name, task in sorted(tasks.items())}).static_order()
        del last_group["triggerPolicy"], last_group["dependentTasks"]
        return cls(
            pipeline=spec["pipelineInfo"]["name"],
            parameters=spec["root"].get("inputDefinitions", {}).get("parameters", {}),
            handler=handler.get("inputs", {}).get("parameters", {}),
            tasks={name: tasks[name] for name in order},
            exit_task=reader.task(exits[0], last_group),
        )


class _Reader:
    """Reads tasks with what they refer to."""

    def __init__(self, spec: Spec, kubernetes: Spec) -> None:
        self.components: Spec = spec["components"]
        self.executors: Spec = spec["deploymentSpec"]["executors"]
        self.kubernetes = kubernetes

    def component(self, task: Spec) -> Spec:
        return dict(self.components[task["componentRef"]["name"]])

    def task(self, name: str, task: Spec) -> Task:
        _only("task", task, of=name)
        if "triggerPolicy" in task:
            kind = "condition" if "condition" in task["triggerPolicy"] else "trigger policy"
            raise AssertionError(f"{name} has a {kind}: {task['triggerPolicy']}")
        component, inputs = self.component(task), task.get("inputs", {})
        if "dag" in component:
            raise AssertionError(f"{name} is a nested group: {sorted(component['dag']['tasks'])}")
        label = component["executorLabel"]
        executor, platform = self.executors[label], self.kubernetes.get(label, {})
        _only("executor", executor, of=name)
        _only("container", executor["container"], of=name)
        _only("kubernetes", platform, of=name)
        _only("inputs", inputs, of=name)
        for kind in ("parameter", "artifact"):
            for key, source in inputs.get(f"{kind}s", {}).items():
                _only(kind, source, of=f"{name}'s {key}")
            for way in ("input", "output"):
                definitions = component.get(f"{way}Definitions", {}).get("artifacts", {})
                for key, definition in definitions.items():
                    _only(f"{way} artifact", definition, of=f"{name}'s {key}")
        producers = {
            source["producerTask"]
            for kind in inputs.values()
            for way in kind.values()
            for key, source in way.items()
            if key.startswith("taskOutput")
        }
        return Task(
            name=name,
            display_name=task["taskInfo"]["name"],
            component=component,
            container=executor["container"],
            kubernetes=platform,
            parameters=inputs.get("parameters", {}),
            artifacts=inputs.get("artifacts", {}),
            upstream=frozenset(task.get("dependentTasks", ())) | producers,
            cached=task.get("cachingOptions", {}).get("enableCache", False),
        )


def _only(kind: str, spec: Spec, *, of: str, beside: set[str] | None = None) -> None:
    """Refuses keys that are not known."""
    unsupported = set(spec) - (KEYS[kind] if beside is None else beside)
    if unsupported:
        raise AssertionError(f"{of} has what no flat graph has ({kind}): {', '.join(sorted(unsupported))}")
