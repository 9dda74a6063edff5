"""The settings of tasks on a cluster: addresses, keys, resources. A local run takes none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kfp import kubernetes

import modelway.components
from modelway.components.core.config.project import Project
from modelway.components.core.config.resources import (
    Amount,
    Cpu,
    Memory,
    StageResources,
    in_seconds,
    size,
)
from modelway.components.core.decorator import IMAGE
from modelway.components.core.evidence.blessing import IMAGE_VARIABLE
from modelway.components.core.instructions import CONFIG_MAP, S3_SECRET, S3_SECRET_VARIABLE, s3_secret_of
from modelway.components.core.oci.image import is_pinned
from modelway.components.core.storage.mlflow import RUN_VARIABLE

_SERVICES = {
    "s3-endpoint": "AWS_ENDPOINT_URL",
    "s3-region": "AWS_REGION",
    "mlflow-tracking-uri": "MLFLOW_TRACKING_URI",
}
_MOUNTS = "/var/run/modelway"  # where `core.bundle.keys` and `core.oci.registry` look
_REGISTRY = ("modelway-registry", f"{_MOUNTS}/registry")  # ``config.json`` as Docker keeps it
_RUN_LABEL = "metadata.labels['pipeline/runid']"  # KFP labels every pod of a run with the run's id
# What the nodes of a provider's spot capacity are labelled with, and tainted with where the provider taints them.
_SPOT_LABELS = {
    "cloud.google.com/gke-spot": "true",
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "kubernetes.azure.com/scalesetpriority": "spot",
}
_SPOT_TAINTS = {
    name: _SPOT_LABELS[name] for name in ("cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority")
}

# The libraries take 200 to 300 MiB once they are imported; the rest is the table. A request is what a small project
# needs, so that two tasks side by side fit a small node; a memory limit leaves room for tables of a few million rows.
_RECORDS = StageResources(cpu=Cpu(request="100m", limit="1"), memory=Memory(request="256Mi", limit="1Gi"))
_SERVICES_ONLY = StageResources(cpu=Cpu(request="250m", limit="2"), memory=Memory(request="512Mi", limit="2Gi"))
_TABLES = StageResources(cpu=Cpu(request="250m", limit="4"), memory=Memory(request="512Mi", limit="4Gi"))
_MODELS = StageResources(cpu=Cpu(request="500m", limit="4"), memory=Memory(request="1Gi", limit="8Gi"))
_STAGES = {
    "enforce_gate": _RECORDS,
    "evaluate_model": _MODELS,
    "ingest_data": _TABLES,
    "prepare_features": _TABLES,
    "probe_model": _TABLES,
    "record_outcome": _RECORDS,
    "train_model": _MODELS,
    "validate_data": _TABLES,
}
# Whose account of S3 a stage has, where each concern has its own; the others only read the store: `runner`.
_S3_CONCERNS = {
    "resolve_inputs": "registrar",
    "enforce_gate": "registrar",
    "register_model": "registrar",
    "record_outcome": "registrar",
    "package_model": "packager",
    "deploy_model": "deployer",
}
CODE_STAGES = ("train_model", "evaluate_model", "probe_model", "package_model")
"""The stages that run or load the project's own code."""


@dataclass(frozen=True)
class TaskSettings:
    """A project's settings for the tasks of its pipelines; the rest are each stage's defaults.

    Attributes:
        resources: By stage, what its pod requests, may use, and where it runs.
        images: By stage, the image that it runs in, by digest.
        labels: The labels of every pod.
        separate_s3: Whether each concern has an account of S3 of its own.
    """

    resources: Mapping[str, StageResources] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    separate_s3: bool = False

    @classmethod
    def of(cls, project: Project, *, code_image: str = "") -> TaskSettings:
        """A project's settings.

        Args:
            project: The project.
            code_image: The image with the project's code, by digest, which `CODE_STAGES` run in that have no image of
                their own in the project. Empty: none.
        """
        resources = {stage: project.resources_for(stage) for stage in modelway.components.__all__}
        images = {stage: keys.image for stage, keys in resources.items() if keys.image}
        if code_image:
            own = {stage for stage, keys in project.resources.items() if keys.image}
            images |= dict.fromkeys(set(CODE_STAGES) - own, code_image)
        return cls(resources, images, project.labels, project.s3_accounts == "separate")

    def s3_secret_for(self, stage: str) -> str:
        """The Secret with the S3 keys of a stage."""
        return s3_secret_of(_S3_CONCERNS.get(stage, "runner")) if self.separate_s3 else S3_SECRET

    def resources_for(self, stage: str) -> StageResources:
        """The resources of a stage's pod: the project's over the stage's defaults, with requests within limits.

        Args:
            stage: The component's name, such as ``train_model``.
        """
        default = _STAGES.get(stage, _SERVICES_ONLY)
        resources = self.resources.get(stage, StageResources()).over(default)
        cpu, memory = _completed(resources.cpu, default.cpu), _completed(resources.memory, default.memory)
        return resources.model_copy(update={"cpu": cpu, "memory": memory})


def with_services(task: Any, title: str, *, cached: bool = True, settings: TaskSettings = TaskSettings()) -> Any:
    """Gives a task its title, services' addresses and keys, the run's id and resources, and a user other than root.

    One that is cached is served from KFP's cache where its inputs are the same. Resources are no part of the key.
    """
    task.set_display_name(title)
    task.set_caching_options(enable_caching=cached)
    secret = settings.s3_secret_for(_stage_of(task))
    kubernetes.use_secret_as_env(
        task, secret, {"accesskey": "AWS_ACCESS_KEY_ID", "secretkey": "AWS_SECRET_ACCESS_KEY"}, optional=True
    )
    if secret != S3_SECRET:
        task.set_env_variable(S3_SECRET_VARIABLE, secret)
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, _SERVICES, optional=True)
    kubernetes.use_config_map_as_volume(task, CONFIG_MAP, f"{_MOUNTS}/services", optional=True)
    kubernetes.set_security_context(task, run_as_user=10001, run_as_group=10001, run_as_non_root=True)
    # The run's id is the pod's label: as a parameter it would end caching.
    kubernetes.use_field_path_as_env(task, env_name=RUN_VARIABLE, field_path=_RUN_LABEL)
    return _with_settings(task, settings)


def with_training_image(task: Any, *, settings: TaskSettings = TaskSettings()) -> Any:
    """Tells a task that writes the blessing which image the model is trained in, if that is pinned."""
    image = settings.images.get("train_model", IMAGE)
    return task.set_env_variable(IMAGE_VARIABLE, image) if is_pinned(image) else task


def with_signing_keys(task: Any, title: str, *, settings: TaskSettings = TaskSettings()) -> Any:
    """`with_services` for `package_model`: with the key to sign, whom to encrypt to, and the registry's credentials."""
    kubernetes.use_secret_as_volume(task, "modelway-signing-key", f"{_MOUNTS}/signing", optional=True)
    kubernetes.use_config_map_as_volume(task, "modelway-encryption-recipient", f"{_MOUNTS}/recipient", optional=True)
    kubernetes.use_secret_as_volume(task, *_REGISTRY, optional=True)
    return with_services(task, title, cached=False, settings=settings)


def with_deploy_access(task: Any, title: str, *, settings: TaskSettings = TaskSettings()) -> Any:
    """`with_services` for `deploy_model`: with the key to verify by, the registry's credentials, and Prometheus."""
    kubernetes.use_config_map_as_volume(task, "modelway-verifying-key", f"{_MOUNTS}/verifying", optional=True)
    kubernetes.use_config_map_as_env(task, CONFIG_MAP, {"prometheus": "MODELWAY_PROMETHEUS"}, optional=True)
    kubernetes.use_secret_as_volume(task, *_REGISTRY, optional=True)
    return with_services(task, title, cached=False, settings=settings)


def _stage_of(task: Any) -> str:
    """The component's name of a task."""
    return str(task.component_spec.name).replace("-", "_")


def _with_settings(task: Any, settings: TaskSettings) -> Any:
    """Gives a task's pod its resources, its place, its image and its labels."""
    stage = _stage_of(task)
    resources = settings.resources_for(stage)
    if resources.cpu is not None:
        task.set_cpu_request(resources.cpu.request).set_cpu_limit(resources.cpu.limit)
    if resources.memory is not None:
        task.set_memory_request(resources.memory.request).set_memory_limit(resources.memory.limit)
    if resources.gpu is not None:  # one of the two alone compiles to no GPU at all
        task.set_accelerator_type(resources.gpu.type).set_accelerator_limit(resources.gpu.count)
    _place(task, resources)
    if resources.timeout is not None:
        kubernetes.set_timeout(task, in_seconds(resources.timeout))
    if stage in settings.images:
        task.set_container_image(settings.images[stage])
    for key, value in settings.labels.items():
        kubernetes.add_pod_label(task, key, value)
    return task


def _place(task: Any, resources: StageResources) -> None:
    """Chooses the nodes that a task's pod may run on."""
    for key, value in (resources.node_selector or {}).items():
        kubernetes.add_node_selector(task, key, value)
    for toleration in resources.tolerations or ():
        kubernetes.add_toleration(
            task,
            key=toleration.key,
            operator=toleration.operator,
            value=toleration.value,
            effect=toleration.effect,
            toleration_seconds=toleration.seconds,
        )
    if resources.spot:
        for key, value in _SPOT_TAINTS.items():
            kubernetes.add_toleration(task, key=key, operator="Equal", value=value, effect="NoSchedule")
        for key, value in _SPOT_LABELS.items():  # terms of their own: a node needs one of the labels, not all
            kubernetes.add_node_affinity(task, match_expressions=[{"key": key, "operator": "In", "values": [value]}])


def _completed(amount: Amount | None, default: Amount | None) -> Amount | None:
    """An amount with what it leaves open by default, moved to where the request is within the limit."""
    if amount is None or default is None:
        return amount or default
    request, limit = amount.request or default.request, amount.limit or default.limit
    if request is not None and limit is not None and size(request) > size(limit):
        request, limit = (limit, limit) if amount.request is None else (request, request)
    return amount.model_copy(update={"request": request, "limit": limit})
