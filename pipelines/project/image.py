"""The image that a project's own code runs in: one layer on the image of the components, without a daemon."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.code.locked_requirements import Lock, LockedRequirement
from modelway.components.core.code.version import MANIFEST_VARIABLE, ProjectCode, trains_elsewhere
from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import CODE_LABEL, Image, append_layer, write_layer
from modelway.components.core.oci.layout import Images, Reference, pull, push
from modelway.components.core.oci.registry import images_at
from modelway.pipelines.project.locked_packages import Report, install, missing_packages, packages_of
from modelway.pipelines.project.workspace import Workspace

ROOT, CODE, PACKAGES, MANIFEST = "opt/project", "code", "packages", "code.json"
_PATH = "PYTHONPATH="


@dataclass(frozen=True)
class ProjectImage:
    """An image with a project's code in it.

    Attributes:
        image: Its reference by digest.
        code: The version of the code, as `ProjectCode.version` gives it.
        modules: The modules' files, relative to project.yaml.
        packages: The locked packages that the image of the components lacked, as ``name==version``.
        layer_bytes: The size of what lies on top of that image.
    """

    image: str
    code: str
    modules: tuple[str, ...]
    packages: tuple[str, ...]
    layer_bytes: int


def make_project_image(
    workspace: Workspace,
    base: str,
    *,
    target: str,
    platform: str = "linux/amd64",
    insecure: bool = False,
    report: Report,
) -> ProjectImage:
    """Puts a project's modules and locked packages as one layer on the image of the components.

    The same inputs give the same digest. Needs no daemon, and no network but the registry's and, for packages that
    the image lacks, the package index's.

    Args:
        workspace: The project.
        base: The image of the components: ``host/repository@sha256:…``, or the folder of an OCI layout.
        target: Where the image goes: ``host/repository:tag``, or the folder of an OCI layout. Without a tag, the tag
            is the code's version.
        platform: The image's platform, ``os/architecture``.
        insecure: Whether plain HTTP is used for the registries; for one on this machine it always is.
        report: Called with what is being done, a sentence at a time.

    Raises:
        ModelwayError: the project has no code of its own, or something is wrong with it; the base is not pinned or is
            no image of the components; or a registry or the package index refuses. Nothing is pushed then.
    """
    from_base, to = Reference.pinned(base, "image", title="image of the components"), Reference.parse(target, "target")
    code = workspace.code
    for note in workspace.code_notes():
        report(note)
    if not trains_elsewhere(code.version):
        raise ModelwayError(
            f"{workspace.folder} has no code of its own: this project needs no image of its own",
            file=str(workspace.folder / "project.yaml"),
            key="model",
            value=workspace.project.model.entrypoint or workspace.project.model.estimator,
            remedy="run its stages in the image of the components; what travels is the module that `model.entrypoint` "
            "names, beside project.yaml, and a requirements.txt there",
        )
    report("looking up the image of the components")
    bases = images_at(from_base, insecure=insecure)
    below = pull(bases, from_base, platform=platform)
    if CODE_LABEL in _labels(below):
        raise ModelwayError(
            f"{base} already contains a project's code",
            key="image",
            value=base,
            remedy="name the image of the components that it was made of",
        )
    with TemporaryDirectory() as work:
        folder = Path(work) / "layer"
        packages = _fill(folder, code, bases=bases, below=below, name=str(from_base), platform=platform, report=report)
        layer_file = Path(work) / "layer.tar"
        layer = write_layer(folder, ROOT, target=layer_file)
        image = append_layer(
            below,
            layer,
            labels={CODE_LABEL: code.version},
            annotations=_annotations(from_base, below),
            created_by="modelway image",
            environment=_environment(below, code),
        )
        report(f"pushing a layer of {layer.size / 1000:,.0f} KB, and those below it where they are not there yet")
        reference = push(
            images_at(to, insecure=insecure), image, layer=layer_file, base=bases, tag=to.tag or code.version
        )
    names = tuple(f"{package.name}=={package.version}" for package in packages)
    return ProjectImage(reference, code.version, code.files, names, layer.size)


def code_of_image(reference: str, *, insecure: bool = False) -> str | None:
    """The version of the project's code in an image, by its label; None: the image has none.

    Args:
        reference: The image: ``host/repository@sha256:…``, or the folder of an OCI layout.
        insecure: Whether plain HTTP is used for its registry; for one on this machine it always is.

    Raises:
        ModelwayError: it is not pinned, or cannot be looked up.
    """
    pinned = Reference.pinned(reference, "project-image", title="project's image")
    return _labels(pull(images_at(pinned, insecure=insecure), pinned, platform="")).get(CODE_LABEL)


def _fill(
    folder: Path, code: ProjectCode, *, bases: Images, below: Image, name: str, platform: str, report: Report
) -> tuple[LockedRequirement, ...]:
    """Puts the modules and the packages that the image below lacks into a folder; returns those packages."""
    for file in code.files:
        copy = folder / CODE / file
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(code.folder / file, copy)
    (folder / PACKAGES).mkdir(parents=True)
    (folder / MANIFEST).write_text(code.manifest(f"/{ROOT}/{CODE}"), encoding="utf-8")
    lock = Lock.read(code.folder)
    if not lock.requirements:
        return ()
    packages = packages_of(bases, below, name=name, platform=platform, report=report)
    missing = missing_packages(lock, packages, folder=code.folder)
    if missing:
        target = folder / PACKAGES
        install(lock, missing, image_packages=packages, target=target, folder=code.folder, report=report)
    return missing


def _labels(image: Image) -> dict[str, str]:
    return image.config_json.get("config", {}).get("Labels") or {}


def _environment(below: Image, code: ProjectCode) -> list[str]:
    """The variables of the image below, with the project's code before what it imports from already."""
    variables: list[str] = below.config_json.get("config", {}).get("Env") or []
    behind = [variable.removeprefix(_PATH) for variable in variables if variable.startswith(_PATH)]
    folders = [f"/{ROOT}/{CODE}", *(f"/{ROOT}/{CODE}/{root}" for root in code.trace.roots)]
    path = ":".join([*folders, f"/{ROOT}/{PACKAGES}", *filter(None, behind)])
    manifest = f"{MANIFEST_VARIABLE}="
    others = [variable for variable in variables if not variable.startswith((_PATH, manifest))]
    return [*others, f"{manifest}/{ROOT}/{MANIFEST}", f"{_PATH}{path}"]


def _annotations(base: Reference, below: Image) -> dict[str, str]:
    # A folder's path is not part of the base's identity.
    name = f"{base.host}/{base.repository}" if base.host else "components"
    return {"org.opencontainers.image.base.digest": below.digest, "org.opencontainers.image.base.name": name}
