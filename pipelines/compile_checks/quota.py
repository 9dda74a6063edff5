"""Whether a namespace's quotas and limit ranges admit the tasks of a compiled pipeline.

Argo waits for a quota, so that a task that alone exceeds it stays pending forever; what a limit range refuses fails
at once. Only the tasks' own containers are counted: what Argo and KFP run beside them comes on top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity  # type: ignore[import-untyped]

from modelway.components.core.config.project import DEFAULT_STAGE
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.compile_checks.project import Problem, ProjectLines, enumerated, errors_first
from modelway.pipelines.compile_checks.task_demands import FIELDS, TaskDemand, heaviest, task_demands
from modelway.pipelines.doctor.cluster_reader import ClusterReader, DeniedError
from modelway.pipelines.project.workspace import Workspace

_SHORT = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}  # as quotas call them too
_SETTINGS = {name: name.partition(".")[2] for name in FIELDS}  # the key of project.yaml by which each is set
_OURS = {"NotBestEffort"}  # the scope that every task is in, whatever else is set


def check_quota(specification: Mapping[str, Any], workspace: Workspace, *, namespace: str) -> list[Problem]:
    """What of a compiled pipeline does not fit the ResourceQuotas and LimitRanges of the namespace that it runs in.

    The cluster is the one that ``KUBECONFIG`` names.

    Returns:
        The errors first. A warning where the account may not read them.

    Raises:
        ModelwayError: no cluster is named, it cannot be reached or refuses, or has no such namespace.
    """
    reader = ClusterReader.connect()
    if reader is None:
        raise ModelwayError(
            "no cluster is named to compare the pipeline with its quotas",
            key="KUBECONFIG",
            remedy="name a kubeconfig file as KUBECONFIG, or compile without --cluster",
        )
    if not reader.has_namespace(namespace):
        raise ModelwayError(
            f"the cluster has no namespace {namespace}",
            value=namespace,
            remedy="name that of the runs with --namespace",
        )
    lines = ProjectLines(workspace)
    try:
        ranges = _LimitRanges(reader.list_objects("limitranges", namespace=namespace))
        quotas = reader.list_objects("resourcequotas", namespace=namespace)
    except DeniedError as error:
        message = f"whether the tasks fit the quotas of {namespace} is not known: {error.message}"
        return [lines.problem("warning", message, remedy=error.remedy)]
    tasks = {
        name: replace(task, amounts={**ranges.defaults, **task.amounts})
        for name, task in task_demands(specification).items()
    }
    problems = [*ranges.problems(tasks, lines)]
    for quota in quotas:
        if set(quota["spec"].get("scopes") or ()) <= _OURS and not quota["spec"].get("scopeSelector"):
            problems += _Quota(quota, namespace).problems(tasks, lines, defaults=ranges.defaults)
    return errors_first(problems)


class _LimitRanges:
    """What a namespace's LimitRanges say of a container."""

    def __init__(self, objects: Sequence[Mapping[str, Any]]) -> None:
        self._bounds = [entry for item in objects for entry in item["spec"]["limits"] if entry["type"] == "Container"]
        self.defaults: dict[str, Decimal] = {}  # the amounts of a container that requests nothing
        for kind, quantity in self._all("default"):
            self.defaults[f"limits.{kind}"] = self.defaults[f"requests.{kind}"] = parse_quantity(quantity)
        for kind, quantity in self._all("defaultRequest"):
            self.defaults[f"requests.{kind}"] = parse_quantity(quantity)

    def problems(self, tasks: Mapping[str, TaskDemand], lines: ProjectLines) -> Iterator[Problem]:
        """The tasks that are refused."""
        for task in tasks.values():
            for kind, quantity in self._all("max"):
                name = f"limits.{kind}" if f"limits.{kind}" in task.amounts else f"requests.{kind}"
                if task.amount(name) > parse_quantity(quantity):
                    yield _rejection(lines, task, name=name, bound=f"at most {quantity}")
            for kind, quantity in self._all("min"):
                if task.amount(f"requests.{kind}") < parse_quantity(quantity):
                    yield _rejection(lines, task, name=f"requests.{kind}", bound=f"at least {quantity}")

    def _all(self, key: str) -> list[tuple[str, str]]:
        """The quantities under a key of any of them, each with its kind."""
        return [bound for entry in self._bounds for bound in (entry.get(key) or {}).items()]


def _rejection(lines: ProjectLines, task: TaskDemand, *, name: str, bound: str) -> Problem:
    return _problem(
        lines,
        task,
        name=name,
        consequence=f"a LimitRange allows a container {bound}: its pod is refused",
        remedy="change it in project.yaml, or have the LimitRange changed",
    )


class _Quota:
    """A ResourceQuota: how much there may be in all, and how much of it is taken."""

    def __init__(self, content: Mapping[str, Any], namespace: str) -> None:
        self.title = f"the ResourceQuota {content['metadata']['name']} of {namespace}"
        usage = (content.get("status") or {}).get("used") or {}
        self.bounds = {
            _SHORT.get(name, name): (quantity, usage.get(name, "0"))
            for name, quantity in (content["spec"].get("hard") or {}).items()
        }

    def problems(
        self, tasks: Mapping[str, TaskDemand], lines: ProjectLines, *, defaults: Mapping[str, Decimal]
    ) -> Iterator[Problem]:
        """The tasks that are never admitted, and those that wait."""
        without_default = [name for name in self.bounds if name in FIELDS and name not in defaults]
        if without_default:
            yield lines.problem(
                "warning",
                f"{self.title} counts {enumerated(without_default)}, and Argo's own containers request none unless its "
                "controller is configured to: without a default, every pod of a run is refused",
                remedy="give the namespace a LimitRange with `default` and `defaultRequest` for containers",
            )
        for name, (quantity, usage) in self.bounds.items():
            impossible = [task for task in tasks.values() if task.amount(name) > parse_quantity(quantity)]
            for task in impossible:
                yield _problem(
                    lines,
                    task,
                    name=name,
                    consequence=f"{self.title} allows {quantity} in all: its pod stays pending for ever",
                    remedy="ask for less in project.yaml, or have the quota raised",
                )
            if not impossible:
                yield from self._waiting(tasks, lines, name=name, hard=quantity, usage=usage)

    def _waiting(
        self, tasks: Mapping[str, TaskDemand], lines: ProjectLines, *, name: str, hard: str, usage: str
    ) -> Iterator[Problem]:
        """Tasks that may run at the same time, for which there is not enough for all."""
        group = heaviest(tasks, name)
        total = sum((tasks[task].amount(name) for task in group), Decimal(0))
        subject = f"{enumerated([tasks[task].stage for task in group])} ask{'s' * (len(group) == 1)} for "
        subject += f"{_readable(total, name)} of {name}" + " at the same time" * (len(group) > 1)
        if total > parse_quantity(hard):
            message = f"{subject}, and {self.title} allows {hard}: they wait for each other"
        elif total > parse_quantity(hard) - parse_quantity(usage):
            message = f"{subject}, and {self.title} allows {hard}, of which {usage} are in use now"
        else:
            return
        yield lines.problem("warning", message, remedy="ask for less in project.yaml, have the quota raised, or wait")


def _problem(lines: ProjectLines, task: TaskDemand, *, name: str, consequence: str, remedy: str) -> Problem:
    """A problem with a task's request, at its line of project.yaml, if it has one."""
    setting = _SETTINGS.get(name, "gpu" if name.startswith("requests.") else "")
    resources = lines.project.resources
    key = next(
        (
            f"resources.{stage}.{setting}"
            for stage in (task.stage, DEFAULT_STAGE)
            if stage in resources and setting in resources[stage].model_fields_set
        ),
        None,
    )
    amount = _readable(task.amount(name), name)
    subject = f"{task.stage} asks for {amount} of {name}" + (", its default," if setting and not key else "")
    return lines.problem("error", f"{subject} and {consequence}", key=key, value=amount, remedy=remedy)


def _readable(amount: Decimal, name: str) -> str:
    """An amount as Kubernetes writes it."""
    if name.endswith("memory"):
        for unit, size in (("Gi", 2**30), ("Mi", 2**20), ("Ki", 2**10)):
            if amount and amount % size == 0:
                return f"{amount // size}{unit}"
    return f"{amount.normalize():f}"
