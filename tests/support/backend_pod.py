"""A task's pod: what the launcher does around a lightweight component's own command.

Inputs are downloaded to a folder of the pod's, the command is given the executor input that the driver made, and what
it leaves is uploaded, only if it succeeds. The command runs in a fork of a warm process.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

from backend_graph import Spec, Task

from modelway.pipelines.local.worker_client import Worker

BUCKET = "minio://mlpipeline/"
SESSION = '{"Provider":"minio","Params":{"fromEnv":"false"}}'
# What the process that runs the tests may have and a pod has not.
FOREIGN = ("AWS_", "KUBECONFIG", "MINIO_", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_", "MODELWAY_")
PRELUDE = """
import os as _os
from kfp.dsl.types import artifact_types as _artifact_types
_artifact_types._MINIO_LOCAL_MOUNT_PREFIX = {mount!r}
for _name in [_name for _name in _os.environ if _name.startswith({foreign!r})]:
    del _os.environ[_name]
_os.environ.update({env!r})
_os.chdir({folder!r})
"""


class TaskError(Exception):
    """A task cannot start, or its end is not taken for a success."""


@dataclass(frozen=True)
class Artifact:
    """What the metadata store has of an artifact.

    Attributes:
        identifier: Its id there, which results are cached by.
        uri: Where it is in the bucket.
        metadata: What it is labelled with.
    """

    identifier: int
    uri: str
    metadata: Mapping[str, Any]

    def as_input(self) -> Spec:
        """How the launcher hands it to a component: without a type."""
        return {"name": str(self.identifier), "uri": self.uri, "metadata": dict(self.metadata)}


@dataclass
class Cluster:
    """Where pods run.

    Attributes:
        folder: The pods' folders, and the bucket.
        worker: The warm process.
        secrets: The Secrets, each with its keys.
        config_maps: The ConfigMaps, each with its keys.
    """

    folder: Path
    worker: Worker
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    config_maps: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._artifact_ids = count(1)
        self._pod_ids = count(1)

    def stored(self, uri: str) -> Path:
        """Where an artifact is in the bucket."""
        return self.folder / "bucket" / uri.removeprefix(BUCKET)

    def environment(self, task: Task, *, run: str, resolved: Callable[[Spec], Any]) -> dict[str, str]:
        """The variables of a task's container; its volumes must be there, but are not mounted.

        Raises:
            TaskError: a Secret or a ConfigMap, or a key of it, is not there, and not optional.
        """
        env = {entry["name"]: entry.get("value", "") for entry in task.container.get("env", ())}
        for entry in task.kubernetes.get("fieldPathAsEnv", ()):
            if entry["fieldPath"] != "metadata.labels['pipeline/runid']":
                raise AssertionError(f"{task.name} reads the pod's {entry['fieldPath']}")
            env[entry["name"]] = run
        for kind, objects in (("secret", self.secrets), ("configMap", self.config_maps)):
            for entry in task.kubernetes.get(f"{kind}AsEnv", ()):
                name = _name_of(entry, kind, resolved)
                for mapping in entry["keyToEnv"]:
                    value = objects.get(name, {}).get(mapping[f"{kind}Key"])
                    if value is not None:
                        env[mapping["envVar"]] = value
                    elif not entry.get("optional"):
                        raise TaskError(f"{kind} {name!r} has no {mapping[f'{kind}Key']!r}: the pod does not start")
            for entry in task.kubernetes.get(f"{kind}AsVolume", ()):
                name = _name_of(entry, kind, resolved)
                if name not in objects and not entry.get("optional"):
                    raise TaskError(f"{kind} {name!r} is not there: the pod does not start")
        return env

    def run(
        self, task: Task, *, root: str, inputs: Spec, env: dict[str, str], log: list[str]
    ) -> tuple[Spec, dict[str, Artifact]]:
        """Runs a task; returns its output parameters and artifacts.

        Args:
            task: The task.
            root: Where its run's artifacts go in the bucket.
            inputs: The executor input's ``inputs``, as the driver makes them.
            env: The container's variables.
            log: Takes the lines that it writes.

        Raises:
            TaskError: it fails, or what it leaves cannot be recorded.
        """
        folder = self.folder / "pods" / f"{next(self._pod_ids):03d}-{task.name}"
        mount = folder / "minio"
        for artifact in inputs["artifacts"].values():
            uri = artifact["artifacts"][0]["uri"]
            _copy(self.stored(uri), _local(mount, uri))
        task_root = f"{root}/{task.name}/{uuid4()}"
        outputs = self._provisioned(task, task_root, folder, mount)
        for artifact in outputs["artifacts"].values():
            _local(mount, artifact["artifacts"][0]["uri"]).parent.mkdir(parents=True, exist_ok=True)
        defaults = {
            key: value["defaultValue"] for key, value in task.inputs("parameters").items() if "defaultValue" in value
        }
        with_defaults = {**inputs, "parameterValues": {**defaults, **inputs["parameterValues"]}}
        executor_input = plain({"inputs": with_defaults, "outputs": outputs})
        source, arguments = _command(task, executor_input, mount)
        prelude = PRELUDE.format(mount=f"{mount}/", foreign=FOREIGN, env=env, folder=str(folder))
        request = {
            "kind": "task",
            "function": arguments[arguments.index("--function_to_execute") + 1],
            "source": prelude + source,
            "arguments": arguments,
            "env": {},
        }
        code, outputs_file = self.worker.ask(request, log.append)
        if code != 0:
            raise TaskError(json.dumps(outputs_file) if outputs_file else f"it ended with {code}")
        return self._recorded(task, outputs, mount)

    def _provisioned(self, task: Task, task_root: str, folder: Path, mount: Path) -> Spec:
        """The executor input's ``outputs``, as the driver makes them."""
        (folder / "outputs").mkdir(parents=True)
        return {
            "artifacts": {
                name: {
                    "artifacts": [
                        {
                            "name": name,
                            "uri": f"{task_root}/{name}",
                            "type": definition["artifactType"],
                            "metadata": definition.get("metadata", {}),
                        }
                    ]
                }
                for name, definition in task.outputs("artifacts").items()
            },
            "parameters": {name: {"outputFile": str(folder / "outputs" / name)} for name in task.outputs("parameters")},
            "outputFile": str(_local(mount, task_root) / "output_metadata.json"),
        }

    def _recorded(self, task: Task, outputs: Spec, mount: Path) -> tuple[Spec, dict[str, Artifact]]:
        """Reads and uploads what a task left."""
        outputs_file: Spec = {}
        if Path(outputs["outputFile"]).is_file():
            text = Path(outputs["outputFile"]).read_text(encoding="utf-8")
            outputs_file = json.loads(text, parse_constant=_refuse_number)
        parameters = dict(outputs_file.get("parameterValues", {}))
        for name, parameter in outputs["parameters"].items():
            if name not in parameters:
                file = Path(parameter["outputFile"])
                if not file.is_file():
                    raise TaskError(f"it left no output parameter {name!r}")
                parameters[name] = _parsed(file.read_text(encoding="utf-8"), task.outputs("parameters")[name])
        artifacts = {}
        for name, provisioned in outputs["artifacts"].items():
            artifact = dict(provisioned["artifacts"][0])
            for written in outputs_file.get("artifacts", {}).get(name, {}).get("artifacts", ())[:1]:
                if written.get("custom_path"):
                    raise AssertionError(f"{task.name}'s {name} has a path of its own: {written['custom_path']}")
                artifact["uri"] = written.get("uri") or artifact["uri"]
                artifact["metadata"] = {**artifact["metadata"], **(written.get("metadata") or {})}
            _copy(_local(mount, artifact["uri"]), self.stored(artifact["uri"]))
            labels = {key: _as_recorded(f"{name}.{key}", value) for key, value in artifact["metadata"].items()}
            labels = {"display_name": name, "store_session_info": SESSION, **labels}
            artifacts[name] = Artifact(next(self._artifact_ids), artifact["uri"], labels)
        return parameters, artifacts


def plain(value: Any) -> Any:
    """A value of JSON with whole numbers as Go writes them: 3 for 3.0."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _name_of(entry: Spec, kind: str, resolved: Callable[[Spec], Any]) -> str:
    source = entry.get(f"{kind}NameParameter")
    return str(resolved(source)) if source else str(entry[f"{kind}Name"])


def _local(mount: Path, uri: str) -> Path:
    """Where an artifact is in a pod."""
    if not uri.startswith(BUCKET):
        raise TaskError(f"{uri} is not in the bucket")
    return mount / uri.removeprefix("minio://")


def _copy(source: Path, target: Path) -> None:
    """Copies a file or a folder, if it is there: an output may have been left unwritten."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.is_file():
        shutil.copyfile(source, target)


def _command(task: Task, executor_input: Spec, mount: Path) -> tuple[str, list[str]]:
    """The component's source and its command's arguments, with the placeholders that the launcher replaces."""
    command = task.container["command"]
    if len(command) != 4 or "kfp.dsl.executor_main" not in command[2]:
        raise AssertionError(f"{task.name} is no lightweight component: {command[:2]}")
    placeholders = {
        f"{{{{$.inputs.parameters['{name}']}}}}": value if isinstance(value, str) else json.dumps(value)
        for name, value in executor_input["inputs"]["parameterValues"].items()
    }
    for way in ("inputs", "outputs"):
        for name, artifact in executor_input[way]["artifacts"].items():
            uri = artifact["artifacts"][0]["uri"]
            placeholders[f"{{{{$.{way}.artifacts['{name}'].uri}}}}"] = uri
            placeholders[f"{{{{$.{way}.artifacts['{name}'].path}}}}"] = str(_local(mount, uri))
    texts = []
    for text in (command[3], *task.container["args"]):
        argument = text.replace("{{$}}", json.dumps(executor_input, ensure_ascii=False))
        for placeholder, value in placeholders.items():
            argument = argument.replace(placeholder, value)
        texts.append(argument)
    return texts[0], texts[1:]


def _parsed(text: str, definition: Spec) -> Any:
    """An output parameter that was written to its file."""
    return text if definition["parameterType"] == "STRING" else json.loads(text)


def _as_recorded(label: str, value: Any) -> Any:
    """What the metadata store makes of a label's value."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, list):
        return {"list": value}
    if isinstance(value, dict):
        return {"struct": value}
    if value is None:
        raise TaskError(f"{label} is null, which the metadata store does not take")
    return value


def _refuse_number(text: str) -> NoReturn:
    raise TaskError(f"it left {text}, which is no JSON")
