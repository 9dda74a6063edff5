"""What is in a serving base: the bill that its Dockerfile leaves in the image, read without pulling the whole image.

Below ``/opt/modelway/bill`` are ``requirements.txt``, the Python packages with their versions and hashes, from which
the image was installed, and ``packages.json``: ``modelway`` and ``python``, their versions; ``distribution``, such as
``debian``; and ``system``, its packages, each with name, version and architecture. So nothing has to be resolved, and
no network is needed, when a release is packaged.
"""

from __future__ import annotations

import json
import re
import tarfile
from dataclasses import dataclass
from typing import Any

from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import Image
from modelway.components.core.oci.layout import Images

BILL_FOLDER, REQUIREMENTS, PACKAGES = "opt/modelway/bill", "requirements.txt", "packages.json"
_MOST_BYTES = 16 << 20
_REQUIREMENT = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;\\]+)")


@dataclass(frozen=True)
class Requirement:
    """A Python package of one version; its name is normalised, as in PEP 503."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bill:
    """What is in a serving base.

    Attributes:
        requirements: The Python packages, as the text that they were installed from.
        modelway: The version of the server's own code.
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
    def packages(self) -> tuple[Requirement, ...]:
        """The Python packages."""
        return parse_requirements(self.requirements)


def read_bill(images: Images, image: Image, *, name: str) -> Bill:
    """Reads a base's bill from its topmost layer that has one.

    Args:
        images: Where the base is.
        image: The base.
        name: Its reference, for errors.

    Raises:
        ModelwayError: it has none, or a Python package in it is not frozen by hashes.
    """
    wanted = {f"{BILL_FOLDER}/{REQUIREMENTS}": REQUIREMENTS, f"{BILL_FOLDER}/{PACKAGES}": PACKAGES}
    for layer in reversed(image.layers):
        found: dict[str, bytes] = {}
        with images.blob(layer.digest) as blob, tarfile.open(fileobj=blob, mode="r|*") as archive:
            for entry in archive:
                short = wanted.get(entry.name.removeprefix("./"))
                file = archive.extractfile(entry) if short and entry.isfile() and entry.size <= _MOST_BYTES else None
                if short and file is not None:
                    found[short] = file.read()
                if len(found) == len(wanted):
                    break
        if found:
            return _parsed(found, name)
    raise _unknown(name, f"it holds no /{BILL_FOLDER}")


def _parsed(found: dict[str, bytes], name: str) -> Bill:
    try:
        packages: dict[str, Any] = json.loads(found[PACKAGES])
        system = tuple(
            {key: str(one[key]) for key in ("name", "version", "architecture")} for one in packages["system"]
        )
        bill = Bill(
            requirements=found[REQUIREMENTS].decode(),
            modelway=str(packages["modelway"]),
            python=str(packages["python"]),
            distribution=str(packages["distribution"]),
            system=system,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(name, "its bill is damaged") from error
    if not bill.packages:
        raise _unknown(name, "its bill lists no packages")
    for one in bill.packages:
        if not one.hashes:
            raise _unknown(name, f"{one.name} is not frozen by its hashes")
    return bill


def _unknown(name: str, why: str) -> ModelwayError:
    return ModelwayError(
        f"what is in the serving base {name} is not known: {why}",
        file=name,
        key="base",
        remedy="build the base from Dockerfile.serving, or your own one FROM an image that was",
    )


def parse_requirements(text: str) -> tuple[Requirement, ...]:
    """The pinned requirements in a requirements file, with their hashes, in order of their names."""
    found = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        pinned = _REQUIREMENT.match(line.strip())
        if pinned:
            hashes = tuple(sorted(re.findall(r"--hash=(\w+:[0-9a-f]+)", line)))
            found.append(Requirement(re.sub(r"[-_.]+", "-", pinned[1]).lower(), pinned[2], hashes))
    return tuple(sorted(found, key=lambda one: one.name))


def check_served(model: str, bill: Bill, *, base: str) -> None:
    """Checks that a base holds what a model's pipeline needs, in the same versions.

    Args:
        model: The model's requirements, pinned.
        bill: What is in the base.
        base: The base's reference, for errors.

    Raises:
        ModelwayError: a package is missing or of another version; names it.
    """
    has = {one.name: one.version for one in bill.packages} | {"modelway": bill.modelway}
    for one in parse_requirements(model):
        if has.get(one.name) != one.version:
            held = f"has {has[one.name]}" if one.name in has else "lacks it"
            raise ModelwayError(
                f"the model is served by its pipeline, which needs {one.name} {one.version}, but the base {held}",
                file=base,
                key="base",
                value=f"{one.name}=={one.version}",
                remedy="take the base that is built with `--target pipeline`, from the lock that the model was "
                "trained with",
            )


def check_decrypts(bill: Bill, base: str) -> None:
    """Checks that a base's server can decrypt models.

    Args:
        bill: What is in the base.
        base: The base's reference, for errors.

    Raises:
        ModelwayError: it was built before models were encrypted in the age format.
    """
    if all(package.name != "pyrage" for package in bill.packages):
        raise ModelwayError(
            "the model is to be encrypted, and the base lacks pyrage, which decrypts it",
            file=base,
            key="base",
            remedy="build the base from this version's Dockerfile.serving",
        )
