"""What every component owes, found by folder: a new stage is held to it without being named here."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler
from kfp.dsl.executor import Executor

import modelway.components
from modelway.components.core.decorator import IMAGE

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(path.parent.name for path in (ROOT / "components").glob("*/component.py"))
NAMES = sorted(modelway.components.__all__)
LONGEST_BODY = 12


def function_of(name: str) -> Any:
    return getattr(modelway.components, name).python_func


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def compiled_spec(name: str, tmp_path: Path) -> dict[str, Any]:
    target = tmp_path / "component.yaml"
    compiler.Compiler().compile(getattr(modelway.components, name), str(target))
    return dict(yaml.safe_load(target.read_text()))


def container(compiled_spec: dict[str, Any]) -> dict[str, Any]:
    (executor,) = compiled_spec["deploymentSpec"]["executors"].values()
    return dict(executor["container"])


def source(compiled_spec: dict[str, Any]) -> str:
    return str(container(compiled_spec)["command"][-1])


def test_every_stage_folder_has_exactly_one_component() -> None:
    assert len(NAMES) == len(STAGES)
    folders = {function_of(name).__module__.split(".")[-2] for name in NAMES}
    assert folders == set(STAGES)
    assert [stage for stage in STAGES if not (ROOT / "components" / stage / "stage.py").is_file()] == []


def test_image_is_ours_and_nothing_is_installed_at_run_time(compiled_spec: dict[str, Any]) -> None:
    assert container(compiled_spec)["image"] == IMAGE
    assert "pip" not in " ".join(container(compiled_spec)["command"][:-1])


def test_source_runs_in_a_clean_namespace(name: str, compiled_spec: dict[str, Any], tmp_path: Path) -> None:
    module = tmp_path / "ephemeral_component.py"
    module.write_text(source(compiled_spec))
    code = (
        "import json, sys, ephemeral_component as module\n"
        f"print(json.dumps([callable(module.{name}), 'kubernetes' in sys.modules]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"_KFP_RUNTIME": "true", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == [True, False]


def test_body_is_a_thin_wrapper_around_its_own_stage_module(name: str, compiled_spec: dict[str, Any]) -> None:
    (definition,) = [node for node in ast.parse(source(compiled_spec)).body if isinstance(node, ast.FunctionDef)]
    statements = definition.body[1:]
    assert len(statements) <= LONGEST_BODY
    imports = [node for node in ast.walk(definition) if isinstance(node, ast.Import | ast.ImportFrom)]
    modules = {node.module for node in imports if isinstance(node, ast.ImportFrom) and node.level == 0}
    assert len(modules) == len(imports), "imports are absolute, by name"
    package = function_of(name).__module__.removesuffix(".component")
    assert modules - {"modelway.components.core.artifacts"} == {f"{package}.stage"}


def test_every_input_and_output_is_described(name: str, compiled_spec: dict[str, Any]) -> None:
    root = compiled_spec["root"]
    for direction in ("inputDefinitions", "outputDefinitions"):
        for kind in ("parameters", "artifacts"):
            for key, spec in root.get(direction, {}).get(kind, {}).items():
                assert spec.get("description"), f"{name} does not describe {key}"


def test_it_takes_input_artifacts_as_the_launcher_hands_them_over(
    name: str, compiled_spec: dict[str, Any], tmp_path: Path
) -> None:
    """A backend's launcher names no type, and kfp then makes the one that the function is annotated with."""
    inputs = compiled_spec["root"].get("inputDefinitions", {}).get("artifacts", {})
    assert not [key for key, artifact in inputs.items() if artifact.get("isOptional")]
    artifacts = {
        key: {"artifacts": [{"name": f"runs/{key}", "uri": f"minio://bucket/{key}", "metadata": {"rows": 3}}]}
        for key in inputs
    }
    outputs = {"outputFile": str(tmp_path / "executor_output.json")}
    executor = Executor({"inputs": {"artifacts": artifacts}, "outputs": outputs}, function_of(name))
    assert set(executor.input_artifacts) == set(inputs)
    for key, artifact in executor.input_artifacts.items():
        assert (artifact.uri, artifact.metadata["rows"]) == (f"minio://bucket/{key}", 3)


def test_docstring_says_what_the_component_does(name: str) -> None:
    first = (function_of(name).__doc__ or "").strip().splitlines()[0]
    assert first.endswith(".")
    assert "Args:" in function_of(name).__doc__


def test_no_postponed_annotations_which_kfp_cannot_read() -> None:
    for path in (ROOT / "components").glob("*/component.py"):
        assert "from __future__ import annotations" not in path.read_text(), path


@pytest.mark.parametrize("heavy", ["mlflow", "sklearn", "pandas", "polars", "skops"])
def test_importing_a_component_loads_none_of_what_it_needs_at_run_time(heavy: str) -> None:
    code = f"import sys\nfrom modelway.components import {', '.join(NAMES)}\nsys.exit('{heavy}' in sys.modules)\n"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_an_unknown_component_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="deploy_to_the_moon"):
        _ = modelway.components.deploy_to_the_moon
