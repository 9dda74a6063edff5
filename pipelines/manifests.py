"""The manifests that are compiled from the policy: how versions are rolled out, and which alerts watch them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from modelway.components.core.config.policy import Policy
from modelway.components.core.storage.uri import write_uri
from modelway.components.deploy.alerts import alert_rules
from modelway.components.deploy.analysis import analysis_templates, prometheus_address
from modelway.components.deploy.objects import deployment, inference_service, rollout, services


def compile_manifests(policy: Policy, model: str) -> dict[str, str]:
    """The files below ``manifests/`` that are compiled from the policy, each path with its text.

    Images have the model's name, which an overlay's `images` replaces by a digest.
    """
    rules = alert_rules(policy, model)
    files: dict[str, list[dict[str, Any]]] = {
        "base/analysis/templates.yaml": analysis_templates(policy, model, prometheus=prometheus_address()),
        "base/monitoring/alerts.yaml": [rules["spec"]],
        "base/serving/rollout.yaml": [rollout(policy, model, image=model)],
        "base/serving/services.yaml": services(model),
        "components/deployment/deployment.yaml": [deployment(policy, model, image=model)],
        "components/kserve/inference-service.yaml": [inference_service(policy, model, image=model)],
        "components/prometheusrule/alerts.yaml": [rules],
    }
    return {path: _text(contents) for path, contents in files.items()}


def write_manifests(policy: Policy, model: str, *, folder: Path) -> list[Path]:
    """Writes the manifests that are compiled from the policy below `folder`; returns the files."""
    files = []
    for path, text in compile_manifests(policy, model).items():
        file = folder / path
        write_uri(str(file), text.encode())
        files.append(file)
    return files


def _text(contents: list[dict[str, Any]]) -> str:
    plain = json.loads(json.dumps(contents))  # so that YAML repeats shared parts instead of using references
    return "# Compiled from the policy by `modelway manifests`: change the policy, not this.\n" + yaml.safe_dump_all(
        plain, sort_keys=False, width=10_000, allow_unicode=True
    )
