"""What can be known to be wrong before a run starts, and what a run has to be told: checked in one place."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

from modelway.components.core.contract import Contract, check_agreement
from modelway.components.core.errors import ModelwayError
from modelway.components.core.policy import Policy
from modelway.components.core.project import Project
from modelway.components.core.records import request_hash
from modelway.components.core.tracking import TAG, Tracking
from modelway.pipelines.workspace import code_hash


def preflight(
    project: str, contract: str, policy: str, names: dict[str, str], folder: str, *, first: bool = False
) -> dict[str, str]:
    """Checks the three files against each other and against what is installed and reachable.

    Args:
        project: The project file's text, with an absolute data source.
        contract: The contract file's text.
        policy: The policy file's text.
        names: What to call ``project``, ``contract`` and ``policy`` in errors.
        folder: The project's folder, where the user's own modules are looked for.
        first: Whether the tracking database is only now being created, so that it can hold no champion.

    Returns:
        What the pipeline takes beside the files: ``data_version``, ``champion``, ``code_version`` and ``as_of``, which
        is today where there are waivers, so that none outlives its day in the cache.

    Raises:
        ModelwayError: whatever would make the run fail later; names file and key.
    """
    from modelway.components.core.estimators import build_estimator
    from modelway.components.core.metrics import check_metric
    from modelway.components.core.row_rules import check_rules
    from modelway.components.core.sources import source_version

    described, asked, rules = Project.parse(project), Contract.parse(contract), Policy.parse(policy)
    check_agreement(described, asked, names["project"], names["contract"])
    check_rules(asked, names["contract"])
    for metric in rules.metric_names:
        check_metric(metric, f"model.metrics.{metric}", names["policy"])
    _check_columns(described, asked, rules, names)
    try:
        if described.model.estimator is not None:
            build_estimator(described)
    except ModelwayError as error:
        error.file = names["project"]
        raise
    data_version = source_version(described.data)
    code_version = _code_version(described, folder, names["project"])
    request = request_hash(described, asked, rules, data_version, code_version)
    champion = "" if first else _champion(described.name, rules.registration.alias, request)
    as_of = datetime.now(UTC).date().isoformat() if rules.waivers else ""
    return {"data_version": data_version, "code_version": code_version, "champion": champion, "as_of": as_of}


def _check_columns(project: Project, contract: Contract, policy: Policy, names: dict[str, str]) -> None:
    """Checks that every column that the policy names is described."""
    model = policy.model
    named = [("model.slices.columns", name) for name in (model.slices.columns if model.slices else ())]
    named += [("model.fairness.columns", name) for name in (model.fairness.columns if model.fairness else ())]
    named += [(f"model.rules.{rule.name}", rule.invariant_to or rule.monotone or "") for rule in model.rules]
    named += [("data.drift.columns", name) for name in policy.data.drift.columns]
    named += [("data.leakage.groups", name) for name in policy.data.leakage.groups]
    for key, column in named:
        if column and column not in contract.columns:
            raise ModelwayError(
                f"the policy names {column!r} at {key}, which {names['contract']} does not describe",
                file=names["policy"],
                key=key,
                column=column,
                remedy=f"choose among {', '.join(list(contract.columns)[:12])}",
            )
    if model.fairness is not None and not (model.fairness.columns or project.sensitive):
        raise ModelwayError(
            "the policy asks for fairness, but no column makes groups",
            file=names["policy"],
            key="model.fairness.columns",
            remedy=f"name columns there, or under `sensitive` in {names['project']}",
        )
    if model.fairness is not None and model.fairness.metrics and project.task != "binary":
        raise ModelwayError(
            f"fairlearn's measures are for binary labels, and the task is {project.task}",
            file=names["policy"],
            key="model.fairness.metrics",
            remedy="judge groups by other metrics, under `model.fairness.groups`",
        )
    label_time = project.data.label_time
    if label_time is not None and label_time not in contract.columns:
        raise ModelwayError(
            f"{names['project']} names the label's time {label_time!r}, which {names['contract']} does not describe",
            file=names["project"],
            key="data.label_time",
            column=label_time,
            remedy=f"describe it under `columns` in {names['contract']}, or correct the key",
        )


def _code_version(project: Project, folder: str, file: str) -> str:
    """The hash of our own code, and of the module with the user's function, which is found but not imported."""
    ours = code_hash()
    if project.model.entrypoint is None:
        return ours
    module = project.model.entrypoint.partition(":")[0]
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise ModelwayError(
            f"the module {module!r} cannot be found",
            file=file,
            key="model.entrypoint",
            value=project.model.entrypoint,
            remedy=f"put {module.replace('.', '/')}.py beside {file}, or install its package",
        )
    theirs = hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:16]
    return f"{ours}-{theirs}"


def _champion(name: str, alias: str, request: str) -> str:
    """The version to compare with; empty if there is none.

    Where the champion came from this very request, that is what it was compared with itself, so that asking again
    gives the same answer.
    """
    holder = Tracking.from_environment().holder(name, alias)
    if holder is None:
        return ""
    if holder.tags.get(f"{TAG}request_hash") == request:
        return str(holder.tags.get(f"{TAG}compared_with", ""))
    return str(holder.version)
