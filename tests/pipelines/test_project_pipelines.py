"""A project's own pipelines: what is settled when they are compiled, and what is left to whoever starts a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_projects import write_small_project

from modelway.components.core.config.user_files import UserFiles

Command = Callable[..., Any]
FILES = ("project", "contract", "policy")
IMAGE = f"registry.example/modelway@sha256:{'a' * 64}"
BASE = f"registry.example/serving@sha256:{'b' * 64}"


def documents(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    specification, platform = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    return specification, platform


def parameters(file: Path) -> dict[str, Any]:
    definitions = documents(file)[0]["root"]["inputDefinitions"]["parameters"]
    return {name: definition.get("defaultValue") for name, definition in definitions.items()}


def constants(file: Path, task: str) -> dict[str, Any]:
    (group,) = [part["dag"]["tasks"] for part in documents(file)[0]["components"].values() if "dag" in part]
    inputs = group[task]["inputs"]["parameters"]
    return {name: value["runtimeValue"]["constant"] for name, value in inputs.items() if "runtimeValue" in value}


class Compiling:
    """A small project that is compiled.

    Args:
        folder: The project's.
        modelway: The command.
    """

    def __init__(self, folder: Path, modelway: Command) -> None:
        self.folder, self.modelway = folder, modelway
        self.dist, self.store = folder / "dist", folder / "store"
        self.output: dict[str, Any] = {}
        self.release, self.promote = self.dist / "visits-release.yaml", self.dist / "visits-promote.yaml"

    def run(self, *options: object) -> Any:
        """Runs the command; returns the finished process."""
        common = ("--store", self.store, "--image", IMAGE, "--json")
        return self.modelway("compile", self.folder, "-o", self.dist, *common, *options, cwd=self.folder.parent)

    def __call__(self, *options: object) -> dict[str, Any]:
        """Compiles; returns what was printed."""
        ran = self.run(*options)
        assert ran.returncode == 0, ran.stderr + ran.stdout
        output: dict[str, Any] = json.loads(ran.stdout)
        return output

    def error(self, *options: object) -> dict[str, Any]:
        """Compiles in vain; returns the error, and makes sure that nothing was written."""
        ran = self.run(*options)
        assert ran.returncode == 2, ran.stderr + ran.stdout
        assert not self.dist.exists()
        assert not self.store.exists()
        error: dict[str, Any] = json.loads(ran.stdout)["error"]
        return error


@pytest.fixture
def project(small: Path, modelway: Command) -> Compiling:
    return Compiling(small, modelway)


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory, modelway: Command) -> Compiling:
    """One that is compiled once, with all that can be written, and that nobody changes."""
    project = Compiling(write_small_project(tmp_path_factory.mktemp("compiled")), modelway)
    project.output = project("--kubernetes")
    return project


def test_a_release_starts_without_an_argument(visits: Compiling) -> None:
    names = ["visits-release.yaml", "visits-release.kubernetes.yaml"]
    assert [Path(file).name for file in visits.output["files"][:2]] == names
    assert documents(visits.release)[0]["pipelineInfo"]["name"] == "visits-release"
    values = parameters(visits.release)
    optional = ("data", "champion", "reason", "requested_by")
    assert set(values) == {"project", "contract", "policy", "store", "git_commit", *optional}
    assert None not in values.values()
    assert {values[name] for name in optional} == {""}
    assert values["store"] == str(visits.store)
    assert visits.output["pipelines"]["visits-release"]["parameters"] == values
    assert constants(visits.release, "resolve-inputs")["data_version"] == ""


def test_its_files_are_in_the_store_by_their_content(visits: Compiling) -> None:
    values = parameters(visits.release)
    stored_files = UserFiles.load(**{name: values[name] for name in FILES})
    own = UserFiles.load(**{name: str(visits.folder / f"{name}.yaml") for name in FILES})
    assert stored_files == own.with_data(str(visits.folder / "visits.csv"))
    for name, document in stored_files.documents():
        assert Path(values[name]).name == f"{name}-{document.sha256()[:16]}.json"


def test_a_release_is_no_deeper_and_no_larger_than_any(visits: Compiling) -> None:
    release = visits.output["pipelines"]["visits-release"]
    assert release["levels"] <= 18
    assert release["bytes"] <= 100_000


def test_a_promotion_is_left_version_and_environment(visits: Compiling) -> None:
    values = parameters(visits.promote)
    assert {name for name, value in values.items() if value is None} == {"version", "environment"}
    assert (values["model"], values["store"]) == ("visits", str(visits.store))


def test_the_objects_for_gitops_are_the_projects(visits: Compiling) -> None:
    file = visits.dist / "visits-release.kubernetes.yaml"
    pipeline, version = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    assert pipeline["metadata"]["name"] == "visits-release"
    assert version["spec"]["pipelineName"] == "visits-release"
    assert version["spec"]["pipelineSpec"] == documents(visits.release)[0]


def test_the_blessing_is_told_the_image_that_trains(visits: Compiling) -> None:
    executors = documents(visits.release)[0]["deploymentSpec"]["executors"]
    envs = {label: executor["container"].get("env") for label, executor in executors.items()}
    variable = [{"name": "MODELWAY_IMAGE", "value": IMAGE}]
    assert {label for label, env in envs.items() if env == variable} == {
        "exec-register-model",
        "exec-enforce-gate",
    }
    assert {label for label, env in envs.items() if env} == {"exec-register-model", "exec-enforce-gate"}


def test_in_a_projects_folder_it_need_not_be_named(project: Compiling, modelway: Command) -> None:
    ran = modelway("compile", "--store", project.store, cwd=project.folder)
    assert ran.returncode == 0, ran.stderr
    assert {file.name for file in project.dist.iterdir()} == {"visits-release.yaml", "visits-promote.yaml"}
    assert "visits-release starts without an argument; optional: " in " ".join(ran.stdout.split())
    assert "is not pinned" in ran.stderr


def settled(project: Compiling) -> Any:
    """A compiled release without its defaults."""
    specification, platform = documents(project.release)
    del specification["root"]["inputDefinitions"]
    return specification, platform


def test_a_changed_file_is_another_default_and_nothing_else(project: Compiling, edit: Callable[..., None]) -> None:
    project()
    before, rest = parameters(project.release), settled(project)
    edit(project.folder / "policy.yaml", {"model.minimum_rows": 120})
    project()
    after = parameters(project.release)
    assert {name for name in after if after[name] != before[name]} == {"policy"}
    assert settled(project) == rest


def test_compiling_again_writes_the_same_bytes(project: Compiling) -> None:
    files = {name: Path(name).read_bytes() for name in project()["files"]}
    assert {name: Path(name).read_bytes() for name in project()["files"]} == files


def test_where_it_is_packaged_base_and_target_are_defaults(project: Compiling) -> None:
    target = "registry.example/visits"
    project("--until", "packaged", "--base", BASE, "--target", target)
    values = parameters(project.release)
    assert (values["serving_base"], values["image"]) == (BASE, target)


@pytest.mark.parametrize(
    ("options", "key"),
    [
        ((), "base"),
        (("--base", BASE), "target"),
        (("--base", "registry.example/serving:1", "--target", "registry.example/visits"), "base"),
    ],
)
def test_a_release_that_is_packaged_needs_base_and_target(
    project: Compiling, options: tuple[str, ...], key: str
) -> None:
    assert project.error("--until", "packaged", *options)["key"] == key


def test_a_mistake_in_the_files_is_said_and_nothing_is_written(project: Compiling, edit: Callable[..., None]) -> None:
    edit(project.folder / "project.yaml", {"model.parameters": {"max_deep": 3}})
    error = project.error()
    assert (error["file"], error["key"]) == (str(project.folder / "project.yaml"), "model.parameters.max_deep")
