"""Compiles the pipelines and every component to YAML, to be applied to a cluster."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import yaml

import modelway.components
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import ReleaseGoal
from modelway.pipelines import backends
from modelway.pipelines.backends import Backend, Loss
from modelway.pipelines.compile_checks.critical_path import levels


@dataclass(frozen=True)
class CompiledPipeline:
    """A pipeline's YAML file.

    Attributes:
        file: Its path.
        bytes: The file's size.
        levels: The pods on its critical path.
        parameters: The parameters of a run with their defaults; None: a run needs a value.
        images: The image that each stage runs in.
    """

    file: Path
    bytes: int
    levels: int
    parameters: dict[str, Any]
    images: dict[str, str]


@dataclass(frozen=True)
class Compilation:
    """The files that were written.

    Attributes:
        files: Every file.
        pipelines: The pipelines by their names.
        backend: The oldest server that takes them.
        losses: The fields that were left out, since that server does not know them.
    """

    files: list[Path]
    pipelines: dict[str, CompiledPipeline]
    backend: Backend
    losses: list[Loss]


def compile_all(
    folder: Path,
    *,
    until: ReleaseGoal = "registered",
    kubernetes: bool = False,
    backend: Backend = backends.DEFAULT,
) -> Compilation:
    """Writes the pipelines of any project, which take its files as arguments, and every component.

    Args:
        folder: Where to: ``release.yaml``, ``promote.yaml``, and every ``components/<name>/component.yaml``.
        until: How far a release goes.
        kubernetes: Also write the pipelines as objects for GitOps.
        backend: The server that they are for. Fields that it does not know are left out.

    Raises:
        ModelwayError: the folder cannot be written.
    """
    from modelway.pipelines.promote import promote_pipeline
    from modelway.pipelines.release import release_pipeline

    specs = {"release": compile_spec(release_pipeline(until)), "promote": compile_spec(promote_pipeline())}
    components = {name: compile_spec(getattr(modelway.components, name)) for name in modelway.components.__all__}
    return write_pipelines(
        folder, specs, components=components, kubernetes=kubernetes, backend=backend, prefix="modelway-"
    )


@dataclass(frozen=True)
class CompiledSpec:
    """What KFP's compiler makes of a pipeline or a component.

    Attributes:
        comments: The comments on top of its YAML.
        specification: The intermediate representation.
        platform: The settings for Kubernetes; empty: there are none.
        description: What the pipeline does.
    """

    comments: str
    specification: dict[str, Any]
    platform: dict[str, Any]
    description: str | None


def compile_spec(pipeline: Any) -> CompiledSpec:
    """Compiles a pipeline or a component."""
    from kfp import compiler

    with TemporaryDirectory() as folder:
        file = Path(folder, "compiled.yaml")
        compiler.Compiler().compile(pipeline, str(file))
        text = file.read_text(encoding="utf-8")
    comments = "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    specification, *platform = yaml.load_all(text, yaml.CSafeLoader)
    return CompiledSpec(comments, specification, platform[0] if platform else {}, pipeline.description)


def write_pipelines(
    folder: Path,
    specs: Mapping[str, CompiledSpec],
    *,
    components: Mapping[str, CompiledSpec] = MappingProxyType({}),
    kubernetes: bool = False,
    backend: Backend = backends.DEFAULT,
    prefix: str = "",
) -> Compilation:
    """Writes each pipeline's ``<name>.yaml``.

    Args:
        folder: The folder to write to.
        specs: The pipelines by the names of their files.
        components: Components by their names, for ``components/<name>/component.yaml``.
        kubernetes: Also write the pipelines as Pipeline and PipelineVersion objects for GitOps,
            ``<name>.kubernetes.yaml``.
        backend: The server that they are for. Fields that it does not know are left out.
        prefix: What the names of the objects for GitOps begin with.

    Raises:
        ModelwayError: the folder cannot be written.
    """
    texts: dict[Path, str] = {}
    summaries: dict[str, CompiledPipeline] = {}
    losses: list[Loss] = []
    for name, spec in specs.items():
        platform, pipeline_losses = backends.fit(spec.platform, backend, pipeline=name)
        losses += pipeline_losses
        target = folder / f"{name}.yaml"
        texts[target] = spec.comments + _yaml(spec.specification, platform)
        summaries[name] = _summary(spec.specification, target, size=len(texts[target].encode()))
        if kubernetes:
            objects = pipeline_objects(
                f"{prefix}{name}", spec.specification, platform=platform, description=spec.description
            )
            texts[folder / f"{name}.kubernetes.yaml"] = _yaml(*objects)
    for name, spec in components.items():  # these have no settings for Kubernetes: a pipeline's tasks do
        texts[folder / "components" / name / "component.yaml"] = spec.comments + _yaml(spec.specification)
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ModelwayError(
            f"{folder} cannot be written: {error.strerror}", file=str(folder), remedy="choose another folder with -o"
        ) from error
    return Compilation(list(texts), summaries, backend, losses)


def _summary(specification: Mapping[str, Any], file: Path, *, size: int) -> CompiledPipeline:
    definitions = specification["root"].get("inputDefinitions", {}).get("parameters", {})
    executors = specification["deploymentSpec"]["executors"]
    images = {label.removeprefix("exec-"): executor["container"]["image"] for label, executor in executors.items()}
    return CompiledPipeline(
        file,
        size,
        levels(specification),
        parameters={name: definition.get("defaultValue") for name, definition in definitions.items()},
        images={task.replace("-", "_"): image for task, image in images.items()},
    )


def pipeline_objects(
    name: str, specification: Mapping[str, Any], *, platform: Mapping[str, Any], description: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A compiled pipeline as the Pipeline and PipelineVersion of Kubeflow Pipelines' Kubernetes-native API.

    A version's spec can never be changed on a cluster, so its name says what is in it: the same pipeline is the same
    object, which can be applied again, and a changed one is another version of the same Pipeline.
    """
    metadata = {"description": description} if description else {}
    content = {
        "pipelineName": name,
        "pipelineSpec": specification,
        **({"platformSpec": platform} if platform else {}),
        **metadata,
    }
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return _object("Pipeline", name, metadata), _object("PipelineVersion", f"{name}-{digest[:12]}", content)


def _object(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "pipelines.kubeflow.org/v2beta1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"displayName": name, **spec},
    }


def _yaml(*documents: Mapping[str, Any]) -> str:
    """YAML documents, the same for the same content; short, since servers bound what they store."""
    return yaml.dump_all(
        documents, Dumper=yaml.CSafeDumper, default_flow_style=None, sort_keys=True, allow_unicode=True, width=120
    )
