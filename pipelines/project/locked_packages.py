"""The packages that a project's requirements lock, installed for an image that has others already."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

from modelway.components.core.addresses import without_secrets
from modelway.components.core.code.locked_requirements import REQUIREMENTS_FILE, Lock, LockedRequirement
from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import Image
from modelway.components.core.oci.layout import Images
from modelway.components.core.termination import ending_with_this_process

_DISTRIBUTION = re.compile(r"(?P<site>.*/lib/python(?P<python>3\.\d+)/site-packages)/(?P<name>[^/]+)\.dist-info")
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
Report = Callable[[str], None]


@dataclass(frozen=True)
class InstalledPackages:
    """The Python packages that an image has.

    Attributes:
        platform: The image's platform, ``os/architecture``.
        python: The interpreter's version, ``3.11``.
        versions: Each package's version by its normalised name.
    """

    platform: str
    python: str
    versions: Mapping[str, str]

    @property
    def machine(self) -> str:
        """The architecture, as Python calls it."""
        architecture = self.platform.partition("/")[2]
        return _MACHINES.get(architecture, architecture)

    def need(self, requirement: Requirement, extras: Iterable[str] = ()) -> bool:
        """Whether a requirement's marker holds in the image, for a package that is installed with some extras."""
        system = self.platform.partition("/")[0]
        environment = {
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_system": system.capitalize(),
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": system,
        }
        marker = requirement.marker
        return marker is None or any(marker.evaluate(environment | {"extra": extra}) for extra in ("", *extras))


def packages_of(images: Images, image: Image, *, name: str, platform: str, report: Report) -> InstalledPackages:
    """Reads from an image's layers which packages are installed beside modelway in it.

    Args:
        images: Where the image is.
        image: The image.
        name: Its reference, for errors.
        platform: Its platform, ``os/architecture``.
        report: Called with what is being done.

    Raises:
        ModelwayError: modelway is not in the image, or a layer cannot be read.
    """
    folders: set[str] = set()
    for number, layer in enumerate(image.layers, start=1):
        report(f"reading layer {number} of {len(image.layers)} of the image, {layer.size / 1e6:,.0f} MB")
        try:
            with images.blob(layer.digest) as blob, tarfile.open(fileobj=blob, mode="r|*") as archive:
                folders = _with_layer(folders, (PurePosixPath("/", entry.name) for entry in archive))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ModelwayError(
                f"layer {number} of {name} cannot be read: {error}",
                file=name,
                value=layer.digest,
                remedy="name an image whose layers are tar files, compressed by gzip or not at all",
            ) from error
    parsed = [match for folder in sorted(folders) if (match := _DISTRIBUTION.fullmatch(folder))]
    site = next((match["site"] for match in parsed if match["name"].startswith("modelway-")), None)
    if site is None:
        raise ModelwayError(
            f"{name} is not an image of the components: modelway is not installed in it",
            file=name,
            key="image",
            value=name,
            remedy="name the image that was built from Dockerfile.component, or one that was built FROM it",
        )
    beside = [match for match in parsed if match["site"] == site]
    pairs = (match["name"].rpartition("-") for match in beside)
    versions: dict[str, str] = {canonicalize_name(name): version for name, _, version in pairs}
    return InstalledPackages(platform, beside[0]["python"], versions)


def _with_layer(folders: set[str], entries: Iterable[PurePosixPath]) -> set[str]:
    """The folders of distributions once a layer is applied: with its additions, without its deletions."""
    additions, deletions = set[str](), list[PurePosixPath]()
    for path in entries:
        if path.name == _OPAQUE:
            deletions.append(path.parent)
        elif path.name.startswith(_WHITEOUT):
            deletions.append(path.with_name(path.name.removeprefix(_WHITEOUT)))
        additions.update(str(part) for part in (path, path.parent) if part.suffix == ".dist-info")
    visible = {
        folder for folder in folders if not any(PurePosixPath(folder).is_relative_to(path) for path in deletions)
    }
    return additions | visible


def missing_packages(lock: Lock, image_packages: InstalledPackages, *, folder: Path) -> tuple[LockedRequirement, ...]:
    """The packages locked in a folder's requirements file that an image needs and lacks.

    Raises:
        ModelwayError: the image has one of them in another version.
    """
    missing = []
    for requirement in lock.requirements:
        if not image_packages.need(requirement.requirement):
            continue
        version = image_packages.versions.get(requirement.name)
        if version is None:
            missing.append(requirement)
        elif Version(version) != Version(requirement.version):
            raise ModelwayError(
                f"{REQUIREMENTS_FILE} locks {requirement.name} {requirement.version}, but the image of the components "
                f"has {version}, which the gates run on",
                file=str(folder / REQUIREMENTS_FILE),
                line=requirement.line,
                value=f"{requirement.name}=={requirement.version}",
                remedy=f"write {requirement.name}=={version} into requirements.in and lock it again, or make an image "
                "of the components from a lock with your version",
            )
    return tuple(missing)


def install(
    lock: Lock,
    missing: Sequence[LockedRequirement],
    *,
    image_packages: InstalledPackages,
    target: Path,
    folder: Path,
    report: Report,
) -> None:
    """Installs packages into a folder, for an image's machine, so that the same lock gives the same files.

    Args:
        lock: Where they are locked; names the indexes.
        missing: The packages to install.
        image_packages: The packages in the image already.
        target: The folder to make.
        folder: Where the requirements file is.
        report: Called with what is being done.

    Raises:
        ModelwayError: one does not exist for the platform or does not match its hash, or needs a package that neither
            the lock nor the image has.
    """
    report(f"installing {len(missing)} packages")
    platform = f"{image_packages.machine}-unknown-linux-gnu"
    with TemporaryDirectory() as work:
        requirements = Path(work) / REQUIREMENTS_FILE
        requirements.write_text("\n".join([*lock.indexes, *map(str, missing)]) + "\n", encoding="utf-8")
        command = [
            *(find_uv_bin(), "pip", "install", "--quiet", "--color", "never", "--no-progress"),
            *("--target", str(target), "--python", sys.executable, "--no-deps", "--require-hashes"),
            *("--only-binary", ":all:", "--no-compile-bytecode", "--link-mode", "copy"),
            *("--python-platform", platform, "--python-version", image_packages.python),
            *("--requirements", str(requirements)),
        ]
        result = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=ending_with_this_process(),
        )
    if result.returncode != 0:
        raise ModelwayError(
            f"the locked packages cannot be installed for {image_packages.platform} and Python "
            f"{image_packages.python}: {without_secrets(' '.join(result.stderr.split()))[:1000]}",
            file=str(folder / REQUIREMENTS_FILE),
            remedy=f"lock them for it: uv pip compile --generate-hashes --python-platform {platform} "
            f"--python-version {image_packages.python} requirements.in -o requirements.txt",
        )
    _remove_what_varies(target)
    _check_needs(missing, image_packages, target=target, folder=folder)


def _remove_what_varies(target: Path) -> None:
    """Takes commands and the installer's notes away: they name this machine's paths, and times."""
    shutil.rmtree(target / "bin", ignore_errors=True)
    for name in (".lock", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/uv_*.json"):
        for file in target.glob(name):
            file.unlink()
    for folder in [*target.rglob("__pycache__")]:
        shutil.rmtree(folder)
    for record in target.glob("*.dist-info/RECORD"):
        lines = record.read_text(encoding="utf-8").splitlines()
        there = [line for line in lines if (target / line.split(",")[0].strip('"')).is_file()]
        record.write_text("".join(f"{line}\n" for line in sorted(there)), encoding="utf-8")


def _check_needs(
    missing: Sequence[LockedRequirement], image_packages: InstalledPackages, *, target: Path, folder: Path
) -> None:
    by_name = {package.name: package for package in missing}
    versions = {**image_packages.versions, **{name: package.version for name, package in by_name.items()}}
    for distribution in distributions(path=[str(target)]):
        requirement = by_name[canonicalize_name(distribution.name)]
        for need in map(Requirement, distribution.requires or ()):
            version = versions.get(canonicalize_name(need.name))
            is_met = version is not None and need.specifier.contains(version, prereleases=True)
            if is_met or not image_packages.need(need, requirement.requirement.extras):
                continue
            reason = f"there is {version}" if version else "neither the lock nor the image of the components has it"
            raise ModelwayError(
                f"{requirement.name} {requirement.version} needs {need.name}{need.specifier}, but {reason}",
                file=str(folder / REQUIREMENTS_FILE),
                line=requirement.line,
                value=str(need),
                remedy="lock all that it needs: uv pip compile --generate-hashes requirements.in -o requirements.txt",
            )
