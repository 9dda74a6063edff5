"""The bill of materials of a release image, in CycloneDX: the model, its files, and the base's packages."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from modelway.components.core.bundle.bundle import Release
from modelway.components.package.serving_base import ServingBase

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

_PURL_TYPES = {"debian": "deb", "ubuntu": "deb", "alpine": "apk", "wolfi": "apk", "fedora": "rpm", "rhel": "rpm"}


def write_sbom(
    release: Release, serving_base: ServingBase, *, base: str, base_digest: str, at: str, files: Mapping[str, bytes]
) -> str:
    """Returns the bill of materials as CycloneDX 1.6 JSON; the same inputs give the same text.

    Args:
        release: The packaged version.
        serving_base: The packages of the serving base.
        base: The base's reference.
        base_digest: Its digest.
        at: When the model was blessed, ISO 8601; as the document's time, it keeps the text of a release the same.
        files: The release's files by their names; their hashes are listed.
    """
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    sha256 = partial(HashType, alg=HashAlgorithm.SHA_256)
    image = Component(
        name=release.name, version=release.version, type=ComponentType.CONTAINER, bom_ref=f"image:{release.name}"
    )
    model = Component(
        name=release.name,
        version=release.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{release.name}",
        hashes=[sha256(content=release.model_hash)],
        properties=[Property(name="modelway:blessing", value=release.blessing_sha256)],
        components=[
            Component(
                name=name,
                type=ComponentType.FILE,
                bom_ref=f"file:{name}",
                hashes=[sha256(content=hashlib.sha256(content).hexdigest())],
            )
            for name, content in sorted(files.items())
        ],
    )
    base_image = Component(
        name=base.partition("@")[0],
        version=base_digest,
        type=ComponentType.CONTAINER,
        bom_ref="base",
        components=_packages(serving_base),
    )
    identity = f"{release} {at} {base} {base_digest} {sorted(files)} {serving_base}"
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, identity),
        metadata=BomMetaData(component=image, timestamp=datetime.fromisoformat(at)),
        components=[model, base_image],
    )
    bom.register_dependency(image, [model, base_image])
    return JsonV1Dot6(bom).output_as_string(indent=2)


def _packages(serving_base: ServingBase) -> list[Component]:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    python = Component(
        name="python",
        version=serving_base.python,
        type=ComponentType.PLATFORM,
        bom_ref=f"pkg:generic/python@{serving_base.python}",
        purl=PackageURL("generic", None, "python", serving_base.python),
    )
    urls = [PackageURL("pypi", None, package.name, package.version) for package in serving_base.packages]
    urls.append(PackageURL("pypi", None, "modelway", serving_base.modelway))
    distribution = serving_base.distribution
    purl_type = _PURL_TYPES.get(distribution, "generic")
    for package in serving_base.system:
        architecture = {"arch": package["architecture"]}
        urls.append(PackageURL(purl_type, distribution, package["name"], package["version"], architecture))
    return [python] + [
        Component(name=url.name, version=url.version, type=ComponentType.LIBRARY, bom_ref=str(url), purl=url)
        for url in urls
    ]
