"""What is compiled from the policy into the manifests."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from user_files import minimal_policy

from modelway.components.core.config.policy import Policy
from modelway.components.core.config.project import Project
from modelway.pipelines.manifests import compile_manifests, write_manifests


def test_the_committed_manifests_are_those_of_the_example(root: Path) -> None:
    example = root / "examples" / "insurance"
    policy, project = Policy.load(example / "policy.yaml"), Project.load(example / "project.yaml")
    files = compile_manifests(policy, project.name)
    assert {path: (root / "manifests" / path).read_text(encoding="utf-8") for path in files} == files


def test_what_is_written_is_what_is_compiled(tmp_path: Path) -> None:
    paths = write_manifests(minimal_policy(), "claims", folder=tmp_path)
    files = compile_manifests(minimal_policy(), "claims")
    assert {str(file.relative_to(tmp_path)): file.read_text(encoding="utf-8") for file in paths} == files
    rules = yaml.safe_load(files["base/monitoring/alerts.yaml"])
    assert rules == yaml.safe_load(files["components/prometheusrule/alerts.yaml"])["spec"]


def test_how_versions_roll_out_is_compiled_too() -> None:
    policy = minimal_policy(deployment={"strategy": "blue-green"}, serving={"sla": {"p95_ms": 250}})
    files = {path: list(yaml.safe_load_all(text)) for path, text in compile_manifests(policy, "claims").items()}
    (rollout,) = files["base/serving/rollout.yaml"]
    analyses = rollout["spec"]["strategy"]["blueGreen"]
    (template,) = analyses["prePromotionAnalysis"]["templates"]
    templates = {obj["metadata"]["name"]: obj["spec"]["metrics"] for obj in files["base/analysis/templates.yaml"]}
    assert "latency-p95-seconds" in {metric["name"] for metric in templates[template["templateName"]]}
    services = {obj["metadata"]["name"] for obj in files["base/serving/services.yaml"]}
    assert services == {analyses["activeService"], analyses["previewService"]}
    # An overlay's `images` finds it by this name.
    (deployment,) = files["components/deployment/deployment.yaml"]
    for obj in (rollout, deployment):
        assert obj["spec"]["template"]["spec"]["containers"][0]["image"] == "claims"


def test_nothing_compiled_refers_to_other_places_of_its_text() -> None:
    for path, text in compile_manifests(minimal_policy(), "claims").items():
        assert not re.search(r"[&*]id\d{3}", text), path
