"""A project's code becomes one layer on the image of the components: the same each time, and nothing that clashes."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from image_layouts import write_base
from small_projects import edit_yaml

from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import Image
from modelway.components.core.oci.layout import Layout, Reference, pull
from modelway.components.core.oci.registry import images_at
from modelway.pipelines.project.image import ProjectImage, code_of_image, make_project_image
from modelway.pipelines.project.workspace import Workspace


@dataclass(frozen=True)
class Index:
    """Wheels in a folder, in place of a package index."""

    folder: Path

    def add(self, name: str, version: str, *needs: str, tag: str = "py3-none-any") -> str:
        """Adds a wheel with a module and a command; returns the line that locks it."""
        info = f"{name}-{version}.dist-info"
        files = {
            f"{name}/__init__.py": f"version = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
            + "".join(f"Requires-Dist: {need}\n" for need in needs),
            f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: a-test\nRoot-Is-Purelib: true\nTag: {tag}\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
        }
        files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
        wheel = self.folder / f"{name}-{version}-{tag}.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for file, text in files.items():
                archive.writestr(zipfile.ZipInfo(file), text)
        return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    folder = tmp_path / "wheels"
    folder.mkdir()
    variables = {"UV_OFFLINE": "1", "UV_FIND_LINKS": str(folder), "UV_CACHE_DIR": str(tmp_path / "cache")}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Index(folder)


@pytest.fixture
def make(own: Path, components: str, tmp_path: Path) -> Callable[..., ProjectImage]:
    def project_image(target: str = "images", base: str = components, **options: Any) -> ProjectImage:
        to = target if ":" in target else str(tmp_path / target)
        return make_project_image(Workspace.load(own), base, target=to, report=lambda _: None, **options)

    return project_image


def lock(project: Path, *lines: str) -> None:
    (project / "requirements.txt").write_text("# locked\n" + "\n".join(lines) + "\n", encoding="utf-8")


def image_at(reference: str) -> tuple[Layout, Image]:
    parsed = Reference.parse(reference, "image")
    layout = Layout(Path(parsed.repository))
    return layout, pull(layout, parsed, platform="linux/amd64")


def layer_of(result: ProjectImage) -> dict[str, bytes]:
    """The files of the topmost layer."""
    layout, image = image_at(result.image)
    with layout.blob(image.layers[-1].digest) as blob, tarfile.open(fileobj=blob) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive if entry.isfile()}
        return {name: file.read() for name, file in files.items() if file is not None}


def test_the_modules_become_one_layer_on_the_image_of_the_components(
    make: Callable[..., ProjectImage], own: Path, components: str
) -> None:
    result = make()
    files = layer_of(result)
    manifest = json.loads(files.pop("opt/project/code.json"))
    assert files == {f"opt/project/code/{name}": (own / name).read_bytes() for name in result.modules}
    assert (manifest["folder"], tuple(manifest["files"])) == ("/opt/project/code", result.modules)
    assert result.modules == ("own_helpers.py", "own_training.py")
    _, below = image_at(components)
    layout, image = image_at(result.image)
    assert image.layers[:-1] == below.layers
    assert all(layout.has(layer) for layer in image.layers)
    assert result.layer_bytes == image.layers[-1].size
    config = image.config_json["config"]
    assert config["Env"] == [
        "PATH=/opt/modelway/bin",
        "HOME=/tmp",
        "MODELWAY_PROJECT_CODE=/opt/project/code.json",
        "PYTHONPATH=/opt/project/code:/opt/project/packages:/opt/site",
    ]
    assert config["User"] == "10001:10001"
    assert config["Labels"] == {"io.modelway.code": result.code}
    assert json.loads(image.manifest)["annotations"]["org.opencontainers.image.base.digest"] == below.digest
    assert result.code == Workspace.load(own).project_code
    assert code_of_image(result.image) == result.code
    assert code_of_image(components) is None
    assert result.packages == ()


def test_the_same_code_gives_the_same_digest_and_other_code_another(
    make: Callable[..., ProjectImage], own: Path, index: Index
) -> None:
    lock(own, index.add("tinypkg", "1.0"))
    digests = [make("one").image.partition("@")[2]]
    for path in (*own.iterdir(), *index.folder.iterdir()):
        os.utime(path, (1, 1))
    (own / "own_notes.py").write_text("changed", encoding="utf-8")
    digests.append(make("two").image.partition("@")[2])
    assert digests[0] == digests[1] != ""
    (own / "own_helpers.py").write_text("DEPTH = 4\n", encoding="utf-8")
    assert make("three").image.partition("@")[2] != digests[0]


def test_locked_packages_are_installed_without_what_varies(
    make: Callable[..., ProjectImage], own: Path, index: Index
) -> None:
    lines = [index.add("tinypkg", "1.0", "numpy>=2", "tinygone; extra == 'all'"), index.add("tinygone", "2.0")]
    other_platform = f"colorama==0.4.6 ; sys_platform == 'win32' --hash=sha256:{'0' * 64}"
    lock(own, *lines, "NumPy==2.3 --hash=sha256:" + "0" * 64, other_platform)
    result = make()
    assert result.packages == ("tinygone==2.0", "tinypkg==1.0")  # of an older tinygone only a lower layer tells
    files = {name.removeprefix("opt/project/packages/"): content for name, content in layer_of(result).items()}
    names = ("METADATA", "RECORD", "WHEEL", "entry_points.txt")
    infos = {f"{package}.dist-info/{name}" for package in ("tinypkg-1.0", "tinygone-2.0") for name in names}
    modules = {f"{package}/__init__.py" for package in ("tinypkg", "tinygone")}
    assert {name for name in files if not name.startswith("opt/")} == infos | modules
    record = files["tinypkg-1.0.dist-info/RECORD"].decode().splitlines()
    assert {line.split(",")[0] for line in record} == {name for name in infos | modules if name.startswith("tinypkg")}


def test_a_project_of_requirements_alone_has_an_image_too(
    make: Callable[..., ProjectImage], own: Path, index: Index
) -> None:
    edit_yaml(own / "project.yaml", {"model": {"estimator": "tinypkg.Estimator"}})
    lock(own, index.add("tinypkg", "1.0"))
    result = make()
    assert result.code[0] == "r"
    assert (result.modules, result.packages) == ((), ("tinypkg==1.0",))


def test_a_target_without_a_tag_is_tagged_by_the_code(make: Callable[..., ProjectImage], registry: Any) -> None:
    result = make(f"{registry.host}/team/visits")
    assert result.image.startswith(f"{registry.host}/team/visits@sha256:")
    assert code_of_image(result.image) == result.code
    tagged = Reference.parse(f"{registry.host}/team/visits:{result.code}", "image")
    assert (
        pull(images_at(tagged, insecure=False), tagged, platform="linux/amd64").digest == result.image.partition("@")[2]
    )


def refusal(make: Callable[..., ProjectImage], tmp_path: Path, **options: Any) -> ModelwayError:
    with pytest.raises(ModelwayError) as error:
        make("refused", **options)
    assert not (tmp_path / "refused").exists()
    return error.value


def test_a_project_without_code_needs_no_image(make: Callable[..., ProjectImage], own: Path, tmp_path: Path) -> None:
    edit_yaml(own / "project.yaml", {"model": {"estimator": "sklearn.tree.DecisionTreeClassifier"}})
    (own / "uv.lock").write_text("version = 1\n", encoding="utf-8")  # which no image is made of
    error = refusal(make, tmp_path)
    assert "this project needs no image of its own" in error.message
    assert error.file == str(own / "project.yaml")


def test_an_image_that_is_not_pinned_is_refused(make: Callable[..., ProjectImage], tmp_path: Path) -> None:
    error = refusal(make, tmp_path, base="registry.example/components:1")
    assert "the image of the components registry.example/components:1 is not pinned" in error.message
    assert error.key == "image"
    with pytest.raises(ModelwayError, match="is not pinned") as unpinned:
        code_of_image("registry.example/loans:1")
    assert unpinned.value.key == "project-image"


def test_a_projects_image_is_no_base_of_another(make: Callable[..., ProjectImage], tmp_path: Path) -> None:
    error = refusal(make, tmp_path, base=make().image)
    assert "already contains a project's code" in error.message


def test_an_image_of_something_else_is_refused(
    make: Callable[..., ProjectImage], own: Path, index: Index, tmp_path: Path
) -> None:
    lock(own, index.add("tinypkg", "1.0"))
    error = refusal(make, tmp_path, base=write_base(tmp_path / "other", ["bin/sh"]))
    assert "modelway is not installed in it" in error.message


def test_a_layer_that_is_no_tar_is_refused(
    make: Callable[..., ProjectImage], own: Path, index: Index, components: str, tmp_path: Path
) -> None:
    lock(own, index.add("tinypkg", "1.0"))
    _, image = image_at(components)
    (Path(components) / "blobs" / "sha256" / image.layers[1].digest.removeprefix("sha256:")).write_bytes(b"zstd")
    error = refusal(make, tmp_path)
    assert "layer 2 of" in error.message
    assert error.value == image.layers[1].digest


@pytest.mark.parametrize(
    ("change", "message", "line"),
    [
        (lambda line: line.replace("1.0 ", "3.0 "), "there is no version of tinypkg==3.0", ""),
        (lambda line: line[:-64] + "0" * 64, "Hash mismatch for `tinypkg==1.0`", ""),
        (lambda line: line + f"\nnumpy==2.2 --hash=sha256:{'0' * 64}", "locks numpy 2.2, but the image", ":3"),
        (lambda line: line.split(" ")[0], "has no `--hash`", ":2"),
        (lambda _: "tinypkg>=1", "is not pinned to one version", ":2"),
    ],
)
def test_a_lock_that_cannot_be_installed_is_refused(
    make: Callable[..., ProjectImage],
    own: Path,
    index: Index,
    tmp_path: Path,
    change: Callable[[str], str],
    message: str,
    line: str,
) -> None:
    lock(own, change(index.add("tinypkg", "1.0")))
    error = refusal(make, tmp_path)
    assert message in error.message
    assert error.details()["file"] == f"{own / 'requirements.txt'}{line}"
    assert error.remedy


def test_a_wheel_for_another_platform_is_refused(
    make: Callable[..., ProjectImage], own: Path, index: Index, tmp_path: Path
) -> None:
    lock(own, index.add("tinypkg", "1.0", tag="cp311-cp311-win_amd64"))
    error = refusal(make, tmp_path)
    assert "cannot be installed for linux/amd64 and Python 3.11" in error.message
    assert "--python-platform x86_64-unknown-linux-gnu" in error.remedy


@pytest.mark.parametrize(
    ("need", "reason"),
    [
        ("tinymore>=2", "needs tinymore>=2, but neither the lock nor the image of the components has it"),
        ("numpy<2", "needs numpy<2, but there is 2.3.0"),
        ("tinygone", "needs tinygone, but neither the lock"),
    ],
)
def test_a_package_that_lacks_what_it_needs_is_refused(
    make: Callable[..., ProjectImage], own: Path, index: Index, tmp_path: Path, need: str, reason: str
) -> None:
    elsewhere = f"tinymore==2.0 ; sys_platform == 'win32' --hash=sha256:{'0' * 64}"
    lock(own, index.add("tinypkg", "1.0", need), elsewhere)
    error = refusal(make, tmp_path)
    assert f"tinypkg 1.0 {reason}" in error.message
    assert (error.file, error.line, error.value) == (str(own / "requirements.txt"), 2, need)
