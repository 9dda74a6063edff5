"""A Kubeflow Pipelines backend without a cluster: runs compiled pipelines as API server, driver and launcher do.

kfp.local is kinder than they are, and what it hides fails on a cluster: here input artifacts come without a type,
placeholders are replaced only where they are the whole constant, a failed task's outputs are lost, and results are
cached by the ids of artifacts. The behaviour is that of Kubeflow Pipelines 2.17, as far as a flat graph needs it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from uuid import uuid4

from backend_graph import Graph, Spec, Task
from backend_pod import BUCKET, Artifact, Cluster, TaskError, plain
from kfp import compiler

from modelway.pipelines.local.worker_client import Worker

LARGEST_PARAMETER = 10_000  # bytes; MAX_PARAMETER_BYTES of the API server
TaskState = Literal["SUCCEEDED", "CACHED", "FAILED", "OMITTED"]
TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int, float),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def compiled(pipeline: Any) -> str:
    """The package that the compiler writes of a pipeline."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / "package.yaml"
        compiler.Compiler().compile(pipeline, str(package))
        return package.read_text(encoding="utf-8")


class RefusedError(Exception):
    """The API server takes no such run."""


@dataclass
class TaskRun:
    """How a task went.

    Attributes:
        state: Whether it ran to its end, was served from cache, failed, or was never started.
        parameters: Its output parameters; none if it failed.
        artifacts: Its output artifacts; none if it failed.
        log: The lines that it wrote.
        error: Why it failed: the error's fields as JSON, where it is one of ours.
    """

    state: TaskState
    parameters: Spec = field(default_factory=dict)
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    error: str = ""

    @property
    def succeeded(self) -> bool:
        return self.state in {"SUCCEEDED", "CACHED"}


@dataclass
class Run:
    """A run of a pipeline.

    Attributes:
        identifier: Its id, which a retry keeps.
        name: Its display name, as its tasks see it: empty if a schedule started it.
        package: The compiled pipeline.
        arguments: The values of the pipeline's parameters that it was started with.
        tasks: How each task went, the exit task among them.
    """

    identifier: str
    name: str
    package: str
    arguments: Mapping[str, Any]
    tasks: dict[str, TaskRun] = field(default_factory=dict)

    @property
    def state(self) -> Literal["SUCCEEDED", "FAILED"]:
        return "SUCCEEDED" if all(task.succeeded for task in self.tasks.values()) else "FAILED"

    @property
    def states(self) -> dict[str, TaskState]:
        return {name: task.state for name, task in self.tasks.items()}


class Backend:
    """Runs pipelines one after the other, and keeps what a later run may take from cache.

    Args:
        folder: For the bucket, the pods' folders and the logs.
        preloaded: Variables of the warm process that tasks are forked from, for what it imports; no task sees them.
        secrets: The Secrets of the namespace, each with its keys.
        config_maps: The ConfigMaps of the namespace, each with its keys.
    """

    def __init__(
        self,
        folder: Path,
        *,
        preloaded: dict[str, str] | None = None,
        secrets: dict[str, dict[str, str]] | None = None,
        config_maps: dict[str, dict[str, str]] | None = None,
    ) -> None:
        worker = Worker(folder / "logs", preloaded or {})
        self.cluster = Cluster(folder, worker, secrets or {}, config_maps or {})
        self._cache: dict[tuple[str, str], TaskRun] = {}

    def close(self) -> None:
        """Ends the warm process."""
        self.cluster.worker.close()

    def submit(
        self, package: str, arguments: Mapping[str, Any], *, name: str = "by hand", scheduled: bool = False
    ) -> Run:
        """Starts a run and waits for its end.

        Args:
            package: The compiled pipeline, as the compiler writes it.
            arguments: The values of its parameters.
            name: The run's display name.
            scheduled: Whether a schedule starts it: then its tasks are given an empty name.

        Raises:
            RefusedError: the API server does not take the arguments.
            AssertionError: the pipeline is no flat graph below an exit handler.
        """
        graph = Graph.read(package)
        _check_arguments(graph.parameters, arguments)
        run = Run(str(uuid4()), "" if scheduled else name, package, dict(arguments))
        self._execute(run, graph)
        return run

    def clone(self, run: Run) -> Run:
        """Starts a run with another's pipeline and arguments."""
        return self.submit(run.package, run.arguments, name=f"Clone of {run.name}")

    def retry(self, run: Run) -> Run:
        """Runs again what failed in a run and what was not started, with the run's id, and then the exit task.

        Raises:
            RefusedError: the run did not fail.
        """
        if run.state != "FAILED":
            raise RefusedError("only failed runs can be retried")
        graph = Graph.read(run.package)
        finished = {name: task for name, task in run.tasks.items() if task.succeeded and name in graph.tasks}
        again = Run(run.identifier, run.name, run.package, run.arguments, finished)
        self._execute(again, graph)
        return again

    def content(self, artifact: Artifact) -> Path:
        """Where an artifact's file or folder is."""
        return self.cluster.stored(artifact.uri)

    def _execute(self, run: Run, graph: Graph) -> None:
        defaults = {name: definition.get("defaultValue") for name, definition in graph.parameters.items()}
        root = _Group({**defaults, **run.arguments}, run)
        below = _Group({name: root.resolved(source) for name, source in graph.handler.items()}, run)
        for name, task in graph.tasks.items():
            if name in run.tasks:
                continue
            if all(run.tasks[upstream].succeeded for upstream in task.upstream):
                run.tasks[name] = self._task(task, below, graph.pipeline)
            else:
                run.tasks[name] = TaskRun("OMITTED")
        run.tasks[graph.exit_task.name] = self._task(graph.exit_task, root, graph.pipeline)

    def _task(self, task: Task, group: _Group, pipeline: str) -> TaskRun:
        """The driver: resolves what a task is given, looks for it in the cache, and starts its pod."""
        log: list[str] = []
        try:
            inputs = group.inputs(task)
            key = (pipeline, _fingerprint(task, inputs))
            if task.cached and key in self._cache:
                earlier = self._cache[key]
                return TaskRun("CACHED", earlier.parameters, earlier.artifacts)
            env = self.cluster.environment(task, run=group.run.identifier, resolved=group.resolved)
            root = f"{BUCKET}v2/artifacts/{pipeline}/{group.run.identifier}"
            parameters, artifacts = self.cluster.run(task, root=root, inputs=inputs, env=env, log=log)
        except TaskError as error:
            return TaskRun("FAILED", log=log, error=str(error))
        result = TaskRun("SUCCEEDED", parameters, artifacts, log)
        if task.cached:
            self._cache[key] = result
        return result


@dataclass(frozen=True)
class _Group:
    """What the tasks of the root, or of the group below the exit handler, can be given.

    Attributes:
        parameters: The group's own parameters; None where an optional one has no value.
        run: The run.
    """

    parameters: Spec
    run: Run

    def resolved(self, source: Spec, task: str = "") -> Any:
        """The value of a parameter from where it comes from; None where it has none."""
        if "componentInputParameter" in source:
            return self.parameters[source["componentInputParameter"]]
        if "taskOutputParameter" in source:
            output = source["taskOutputParameter"]
            return self.run.tasks[output["producerTask"]].parameters[output["outputParameterKey"]]
        constant = source["runtimeValue"]["constant"]
        placeholders = {
            "{{$.pipeline_job_name}}": self.run.name,
            "{{$.pipeline_job_uuid}}": self.run.identifier,
            "{{$.pipeline_job_resource_name}}": f"run-{self.run.identifier[:5]}",
            "{{$.pipeline_job_create_time_utc}}": datetime.now(UTC).isoformat(timespec="seconds"),
            "{{$.pipeline_task_name}}": task,
        }
        return placeholders.get(constant, constant) if isinstance(constant, str) else constant

    def inputs(self, task: Task) -> Spec:
        """The executor input's ``inputs`` of a task.

        Raises:
            TaskError: the driver cannot resolve them.
        """
        values = {name: self.resolved(source, task.name) for name, source in task.parameters.items()}
        parameters = {}
        for name, definition in task.inputs("parameters").items():
            value = values.get(name)
            if value is not None:
                parameters[name] = _converted(name, value, definition["parameterType"])
            elif not definition.get("isOptional") and "defaultValue" not in definition:
                raise TaskError(f"there is neither a value nor a default for the parameter {name!r}")
        artifacts = {}
        for name, source in task.artifacts.items():
            output = source["taskOutputArtifact"]
            artifact = self.run.tasks[output["producerTask"]].artifacts[output["outputArtifactKey"]]
            artifacts[name] = {"artifacts": [artifact.as_input()]}
        return {"parameterValues": parameters, "artifacts": artifacts}


def _check_arguments(definitions: Spec, arguments: Mapping[str, Any]) -> None:
    """Refuses what the API server refuses."""
    unknown_names = sorted(set(arguments) - set(definitions))
    if unknown_names:
        raise RefusedError(f"the pipeline has no parameter {', '.join(unknown_names)}")
    for name, definition in definitions.items():
        if name not in arguments:
            if not definition.get("isOptional") and "defaultValue" not in definition:
                raise RefusedError(f"the parameter {name} has no value")
            continue
        value, kind = arguments[name], definition["parameterType"]
        if not _is(value, kind):
            raise RefusedError(f"the parameter {name} is to be a {kind}, and is {value!r}")
        if len(json.dumps(value, ensure_ascii=False).encode()) > LARGEST_PARAMETER:
            raise RefusedError(f"the parameter {name} has more than {LARGEST_PARAMETER} bytes")


def _is(value: Any, kind: str) -> bool:
    return isinstance(value, TYPES[kind]) and (kind == "BOOLEAN" or not isinstance(value, bool))


def _converted(name: str, value: Any, kind: str) -> Any:
    """A parameter's value as its component takes it: anything becomes a text where it takes one."""
    if kind == "STRING" and not isinstance(value, str):
        return json.dumps(value)
    if not _is(value, kind):
        raise TaskError(f"the parameter {name!r} is to be a {kind}, and is {value!r}")
    return plain(value)


def _fingerprint(task: Task, inputs: Spec) -> str:
    """What a task's result is cached by: its component, its parameters' values and its artifacts' ids."""
    parts = {
        "parameters": inputs["parameterValues"],
        "artifacts": {name: artifact["artifacts"][0]["name"] for name, artifact in inputs["artifacts"].items()},
        "outputs": {
            kind: {name: definition.get(key) for name, definition in task.outputs(kind).items()}
            for kind, key in (("parameters", "parameterType"), ("artifacts", "artifactType"))
        },
        "container": {key: task.container[key] for key in ("image", "command", "args")},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
