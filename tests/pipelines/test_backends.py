"""Servers of each version take what is compiled for them, by their own messages; nothing else is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from kfp import compiler

from modelway.components.core.config.resources import StageResources
from modelway.components.core.errors import ModelwayError
from modelway.pipelines.backends import DEFAULT, OLDEST, Backend, fit
from modelway.pipelines.cluster_settings import TaskSettings
from modelway.pipelines.compile import Compilation, compile_all
from modelway.pipelines.release import release_pipeline

SERVERS = ("2.14.0", "2.14.6", "2.15.0", "2.15.2", "2.16.0", "2.16.1")
PARSER = Path(__file__).resolve().parents[1] / "support" / "parse_strictly.py"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "modelway-tests"

Documents = list[dict[str, Any]]
Compilations = Callable[[Backend], tuple[Compilation, Documents]]


def _wheels(name: str, *packages: str) -> Path:
    """A folder with wheels, which are fetched once."""
    folder = CACHE / name
    if folder.exists():
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as work:
        fetched = subprocess.run(
            [
                sys.executable,
                "-m",
                "uv",
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--target",
                f"{work}/wheels",
                *packages,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if fetched.returncode != 0:
            missing = pytest.fail if os.environ.get("CI") else pytest.skip
            missing(f"{', '.join(packages)} cannot be fetched: {fetched.stderr}")
        Path(work, "wheels").rename(folder)
    return folder


@pytest.fixture(scope="module")
def refusal() -> Callable[[str, Documents], str]:
    """What a server of some version says against documents; empty where it takes them."""

    @cache
    def path(server: str) -> list[str]:
        libraries = [f"{name}=={version(name)}" for name in ("protobuf", "googleapis-common-protos")]
        wheels = _wheels(f"kfp-{server}", f"kfp-pipeline-spec=={server}", f"kfp-kubernetes=={server}")
        return [str(wheels), str(_wheels("-".join(libraries), *libraries))]

    def parse(server: str, documents: Documents) -> str:
        wheels, libraries = path(server)
        parsed = subprocess.run(
            [sys.executable, "-S", str(PARSER), wheels],
            input=json.dumps(documents),
            env={**os.environ, "PYTHONPATH": f"{wheels}:{libraries}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert parsed.returncode in {0, 1}, parsed.stderr
        assert bool(parsed.stdout) == bool(parsed.returncode)
        assert not parsed.stderr
        return parsed.stdout

    return parse


@pytest.fixture(scope="module")
def compilations(tmp_path_factory: pytest.TempPathFactory) -> Compilations:
    """Everything for a server: what was written, and its documents, those inside Kubernetes objects too."""

    @cache
    def compile_for(backend: Backend) -> tuple[Compilation, Documents]:
        compilation = compile_all(tmp_path_factory.mktemp("compiled"), kubernetes=True, backend=backend)
        documents: Documents = []
        for file in compilation.files:
            for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader):
                if document.get("kind") == "PipelineVersion":
                    documents += [document["spec"]["pipelineSpec"], document["spec"]["platformSpec"]]
                elif document.get("kind") != "Pipeline":
                    documents.append(document)
        return compilation, documents

    return compile_for


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_takes_all_that_is_compiled_for_it(
    server: str,
    compilations: Compilations,
    refusal: Callable[[str, Documents], str],
) -> None:
    _, documents = compilations(Backend.parse(server))
    assert len([document for document in documents if "platforms" in document]) == 4
    assert refusal(server, documents) == ""


@pytest.fixture(scope="module")
def with_every_setting(tmp_path_factory: pytest.TempPathFactory) -> Documents:
    """A release whose tasks have all that a project can give them."""
    keys = {
        "cpu": {"request": "250m", "limit": 2},
        "memory": {"request": "1Gi", "limit": "4G"},
        "gpu": {"type": "nvidia.com/gpu", "count": 2},
        "node_selector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-t4"},
        "tolerations": [{"key": "gpu", "value": "t4", "effect": "NoExecute", "seconds": 60}, {"operator": "Exists"}],
        "spot": True,
        "timeout": "1h30m",
        "image": f"registry.example.com/cuda@sha256:{'da' * 32}",
    }
    assert set(keys) == set(StageResources.model_fields)
    resources = StageResources.model_validate(keys)
    settings = TaskSettings(
        {"train_model": resources}, {"train_model": str(resources.image)}, {"team": "risk"}, separate_s3=True
    )
    assert all(vars(settings).values())
    file = tmp_path_factory.mktemp("settings") / "release.yaml"
    compiler.Compiler().compile(release_pipeline("staging", settings), str(file))
    return list(yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader))


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_takes_all_that_a_project_can_set(
    server: str, with_every_setting: Documents, refusal: Callable[[str, Documents], str]
) -> None:
    specification, platform = with_every_setting
    compatible, losses = fit(platform, Backend.parse(server), pipeline="release")
    assert refusal(server, [specification, compatible]) == ""
    assert {loss.field for loss in losses} <= {"securityContext", "configMapAsEnv.optional", "secretAsEnv.optional"}
    train = compatible["platforms"]["kubernetes"]["deploymentSpec"]["executors"]["exec-train-model"]
    assert set(train) >= {"activeDeadlineSeconds", "nodeAffinity", "nodeSelector", "podMetadata", "tolerations"}


@pytest.mark.parametrize(
    ("server", "field"),
    [
        ("2.14.0", '"optional"'),
        ("2.14.6", '"optional"'),
        ("2.15.0", '"securityContext"'),
        ("2.15.2", '"securityContext"'),
    ],
)
def test_an_older_server_refuses_what_is_compiled_for_a_newer(
    server: str,
    field: str,
    compilations: Compilations,
    refusal: Callable[[str, Documents], str],
) -> None:
    newer = Backend(2, Backend.parse(server).minor + 1)
    _, documents = compilations(newer)
    assert f"has no field named {field}" in refusal(server, documents)


def test_the_default_leaves_nothing_out(compilations: Compilations) -> None:
    compilation, documents = compilations(DEFAULT)
    assert compilation.losses == []
    later, later_documents = compilations(Backend(2, 99))
    assert later.losses == []
    assert later_documents == documents
    assert compilations(Backend(2, DEFAULT.minor - 1))[0].losses != []


def test_nothing_but_what_is_lost_is_left_out(compilations: Compilations) -> None:
    compilation, documents = compilations(OLDEST)
    _, whole = compilations(DEFAULT)
    expected = deepcopy(whole)
    for document in expected:
        for executor in (
            document.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {}).values()
        ):
            del executor["securityContext"]
            for reference in [*executor["configMapAsEnv"], *executor["secretAsEnv"]]:
                del reference["optional"]
    assert documents == expected
    volumes = [
        volume
        for document in documents
        if "platforms" in document
        for executor in document["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values()
        for kind in ("configMapAsVolume", "secretAsVolume")
        for volume in executor.get(kind, ())
    ]
    assert volumes
    assert all(volume["optional"] for volume in volumes)
    tasks = {
        ("release", label.removeprefix("exec-"))
        for label in documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    } | {("promote", "deploy-model"), ("promote", "record-outcome")}
    for field in ("securityContext", "configMapAsEnv.optional", "secretAsEnv.optional"):
        assert {(loss.pipeline, loss.task) for loss in compilation.losses if loss.field == field} == tasks


def test_what_was_optional_is_said_to_be_needed() -> None:
    reference = {"secretName": "a-secret", "keyToEnv": [{"secretKey": "key", "envVar": "KEY"}]}
    mandatory = {"configMapName": "a-map", "keyToEnv": [{"configMapKey": "other", "envVar": "OTHER"}]}
    settings = {"secretAsEnv": [{**reference, "optional": True}], "configMapAsEnv": [mandatory]}
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-a-task": settings}}}}}
    before = deepcopy(platform)
    compatible, losses = fit(platform, OLDEST, pipeline="a-pipeline")
    assert platform == before
    executors = compatible["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors == {"exec-a-task": {"secretAsEnv": [reference], "configMapAsEnv": [mandatory]}}
    (loss,) = losses
    assert (loss.pipeline, loss.task, loss.field) == ("a-pipeline", "a-task", "secretAsEnv.optional")
    assert "Secret 'a-secret' must exist with 'key'" in loss.consequence


@pytest.mark.parametrize(
    ("version", "backend"), [("2.14", (2, 14)), ("2.14.3", (2, 14)), ("2.16.1", (2, 16)), ("2.100", (2, 100))]
)
def test_a_version_is_read_with_and_without_its_patch(version: str, backend: tuple[int, int]) -> None:
    assert Backend.parse(version) == Backend(*backend)


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("", "is not a version"),
        ("2", "is not a version"),
        ("latest", "is not a version"),
        ("2.16.1-rc.1", "is not a version"),
        ("2.13.0", "needs? 2.14 or later"),
        ("1.8", "needs? 2.14 or later"),
        ("3.0", "is not supported"),
    ],
)
def test_another_version_is_an_error_that_names_a_remedy(version: str, message: str) -> None:
    with pytest.raises(ModelwayError, match=message) as error:
        Backend.parse(version)
    assert error.value.key == "--backend"
    assert "2.14" in error.value.remedy or "2.16" in error.value.remedy
