"""The packages of a serving base, as its Dockerfile lists them in the image; read without pulling the whole image.

The folder ``/opt/modelway/bill`` holds ``requirements.txt``, which the image was installed from: the Python packages
with versions and hashes; and ``packages.json``: the versions of ``modelway`` and ``python``; the ``distribution``, such
as ``debian``; and ``system``, its packages, each with name, version and architecture. So packaging a release resolves
nothing and needs no package index.
"""

from __future__ import annotations

import re
import sys
import tarfile
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from typing import Any

from packaging.utils import canonicalize_name

from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import Image
from modelway.components.core.oci.layout import Images
from modelway.components.core.parsing import parse_json

BILL_FOLDER, REQUIREMENTS, PACKAGES = "opt/modelway/bill", "requirements.txt", "packages.json"
_MAX_BYTES = 16 << 20
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)")


@dataclass(frozen=True)
class PinnedPackage:
    """A Python package of one version; its name is normalised, as in PEP 503."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServingBase:
    """The packages of a serving base.

    Attributes:
        requirements: The text of the requirements file that the Python packages were installed from.
        modelway: The version of Modelway.
        python: The interpreter's version.
        distribution: The operating system's distribution.
        system: The distribution's packages, each with name, version and architecture.
    """

    requirements: str
    modelway: str
    python: str
    distribution: str
    system: tuple[dict[str, str], ...]

    @property
    def packages(self) -> tuple[PinnedPackage, ...]:
        """The Python packages."""
        return parse_requirements(self.requirements)


def read_serving_base(images: Images, image: Image, *, name: str) -> ServingBase:
    """Reads the lists of packages from the topmost layer that has them.

    Args:
        images: The registry or layout that holds the base.
        image: The base.
        name: Its reference, for errors.

    Raises:
        ModelwayError: the base has no such lists, or a Python package in them is not pinned by hashes.
    """
    paths = {f"{BILL_FOLDER}/{REQUIREMENTS}", f"{BILL_FOLDER}/{PACKAGES}"}
    for layer in reversed(image.layers):
        files: dict[str, bytes] = {}
        with images.blob(layer.digest) as blob, tarfile.open(fileobj=blob, mode="r|*") as archive:
            for entry in archive:
                path = entry.name.removeprefix("./")
                readable = path in paths and entry.isfile() and entry.size <= _MAX_BYTES
                if readable and (file := archive.extractfile(entry)):
                    files[path.rpartition("/")[2]] = file.read()
                if len(files) == len(paths):
                    break
        if files:
            return _parse(files, name)
    raise _unreadable(name, f"it has no /{BILL_FOLDER}")


def _parse(files: dict[str, bytes], name: str) -> ServingBase:
    try:
        packages: dict[str, Any] = parse_json(files[PACKAGES])
        system = tuple(
            {key: str(package[key]) for key in ("name", "version", "architecture")} for package in packages["system"]
        )
        serving_base = ServingBase(
            requirements=files[REQUIREMENTS].decode(),
            system=system,
            **{key: str(packages[key]) for key in ("modelway", "python", "distribution")},
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(name, f"/{BILL_FOLDER} is damaged") from error
    if not serving_base.packages:
        raise _unreadable(name, f"/{BILL_FOLDER} lists no packages")
    for package in serving_base.packages:
        if not package.hashes:
            raise _unreadable(name, f"{package.name} is not pinned by hashes")
    return serving_base


def _unreadable(name: str, reason: str) -> ModelwayError:
    return ModelwayError(
        f"the packages of the serving base {name} cannot be read: {reason}",
        file=name,
        key="base",
        remedy="build the base from Dockerfile.serving, or your own FROM an image that was",
    )


def parse_requirements(text: str) -> tuple[PinnedPackage, ...]:
    """Returns the pinned packages of a requirements file with their hashes, sorted by name."""
    packages = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        match = _REQUIREMENT.match(line.strip())
        if match:
            hashes = tuple(sorted(re.findall(r"--hash=(\w+:[0-9a-f]+)", line)))
            packages.append(PinnedPackage(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2], hashes))
    return tuple(sorted(packages, key=lambda package: package.name))


def check_libraries(requirements: str, serving_base: ServingBase, *, base: str) -> None:
    """Checks that a base has the libraries that a model's pipeline needs, in the same versions.

    Args:
        requirements: The model's pinned requirements.
        serving_base: The packages of the base.
        base: The base's reference, for errors.

    Raises:
        ModelwayError: a package is missing or of another version; names it.
    """
    versions = {package.name: package.version for package in serving_base.packages}
    versions["modelway"] = serving_base.modelway
    for package in parse_requirements(requirements):
        if versions.get(package.name) != package.version:
            version = f"has {versions[package.name]}" if package.name in versions else "lacks it"
            raise ModelwayError(
                f"the model is served by its pipeline, which needs {package.name} {package.version}, "
                f"but the base {version}",
                file=base,
                key="base",
                value=f"{package.name}=={package.version}",
                remedy="use a base built with `--target pipeline`, from the lock that the model was trained with",
            )


def check_modules(modules: Collection[str], serving_base: ServingBase, *, base: str) -> None:
    """Checks that a base has the modules that a model's file names and that the model does not bring itself.

    Args:
        modules: The top-level modules' names.
        serving_base: The packages of the base.
        base: The base's reference, for errors.

    Raises:
        ModelwayError: a module is of no package of the base; names it.
    """
    names = {package.name for package in serving_base.packages} | {"modelway"}
    distributions = packages_distributions()
    for module in sorted(set(modules) - sys.stdlib_module_names - {"modelway", "__main__"}):
        if not names & set(map(canonicalize_name, distributions.get(module, [module]))):
            raise ModelwayError(
                f"the model is served by its pipeline, which needs the module {module!r}: neither the release nor the "
                "base has it",
                file=base,
                key="base",
                value=module,
                remedy="put the module beside project.yaml and train again, so that the model brings it; or lock its "
                "package in the base",
            )


def check_can_decrypt(serving_base: ServingBase, base: str) -> None:
    """Checks that a base's server can decrypt models.

    Args:
        serving_base: The packages of the base.
        base: The base's reference, for errors.

    Raises:
        ModelwayError: the base was built before models were encrypted in the age format.
    """
    if all(package.name != "pyrage" for package in serving_base.packages):
        raise ModelwayError(
            "the model is to be encrypted, but the base lacks pyrage, which decrypts it",
            file=base,
            key="base",
            remedy="build the base from this version's Dockerfile.serving",
        )
