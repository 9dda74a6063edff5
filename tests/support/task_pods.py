"""The pods of a compiled pipeline's tasks, as Kubeflow Pipelines and Argo Workflows make them, but for what they run.

What they add is that of KFP 2.17's ``backend/src/v2/compiler/argocompiler`` (the launcher and its resources, the
security contexts) and ``backend/src/v2/driver`` (what becomes of a task's settings), and of Argo Workflows 4.0: an init
container and a sidecar of its own, whose resources are the controller's ``executor.resources``, and none unless set.
Volumes and variables are left out.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from kfp import compiler

Spec = dict[str, Any]

LAUNCHER = {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m", "memory": "256Mi"}}
_CONTEXT = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def task_pods(pipeline: Any, image: str, *, executor: Spec | None = None) -> dict[str, Spec]:
    """By task, the pods of a pipeline.

    Args:
        pipeline: What KFP's compiler compiles.
        image: What every container runs instead of its own image; a node has it.
        executor: ``executor.resources`` of Argo's controller. None: they are not set.
    """
    with TemporaryDirectory() as folder:
        file = Path(folder, "pipeline.yaml")
        compiler.Compiler().compile(pipeline, str(file))
        specification, platform = yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader)
    settings = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {
        label.removeprefix("exec-"): _pod(
            label.removeprefix("exec-"), task["container"], settings[label], image=image, executor=executor or {}
        )
        for label, task in specification["deploymentSpec"]["executors"].items()
    }


def _pod(task: str, container: Spec, settings: Spec, *, image: str, executor: Spec) -> Spec:
    def runs(name: str, resources: Spec, context: Spec) -> Spec:
        return {
            "name": name,
            "image": image,
            "imagePullPolicy": "Never",
            "resources": resources,
            "securityContext": _CONTEXT | context,
        }

    kfp = {"runAsNonRoot": True, "runAsUser": 65532}
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "initContainers": [runs("init", executor, kfp), runs("kfp-launcher", LAUNCHER, kfp)],
        "containers": [
            runs("wait", executor, kfp),
            runs("main", _resources(container["resources"]), _user(settings["securityContext"])),
        ],
        **_place(settings),
    }
    labels = {
        **settings.get("podMetadata", {}).get("labels", {}),
        "pipeline/runid": "6c5b0c5e-3f0b-4f3b-9d0a-0d6b1f7f5a3e",
        "pipelines.kubeflow.org/v2_component": "true",
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": task, "labels": labels}, "spec": spec}


def _resources(spec: Spec) -> Spec:
    """As the driver's ``initPodSpecPatch`` has them: Kubernetes requests an accelerator that is limited."""
    limits = {"cpu": spec["resourceCpuLimit"], "memory": spec["resourceMemoryLimit"]}
    accelerator = spec.get("accelerator")
    if accelerator is not None:
        limits[accelerator["resourceType"]] = accelerator["resourceCount"]
    requests = {"cpu": spec["resourceCpuRequest"], "memory": spec["resourceMemoryRequest"]}
    return {"requests": requests, "limits": limits}


def _user(context: Spec) -> Spec:
    """Protobuf writes 64-bit numbers as text."""
    return {key: value if isinstance(value, bool) else int(value) for key, value in context.items()}


def _place(settings: Spec) -> Spec:
    """As the driver's ``extendPodSpecPatch`` has it: each term of node affinity is an alternative."""
    place: Spec = {}
    if "nodeSelector" in settings:
        place["nodeSelector"] = settings["nodeSelector"]["labels"]
    if "tolerations" in settings:
        place["tolerations"] = [
            {key: int(value) if key == "tolerationSeconds" else value for key, value in toleration.items()}
            for toleration in settings["tolerations"]
        ]
    if "nodeAffinity" in settings:
        terms = {"nodeSelectorTerms": settings["nodeAffinity"]}
        place["affinity"] = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    if "activeDeadlineSeconds" in settings:
        place["activeDeadlineSeconds"] = int(settings["activeDeadlineSeconds"])
    return place
