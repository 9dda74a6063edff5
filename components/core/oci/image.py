"""OCI images as plain data: a deterministic layer, and an image that is another one with this layer on top.

Written here since olot puts each file into a layer of its own below ``/models``, with the time of packaging in its
history, and tar files written by it or by oras take modes and times from the disk: the digest would change each time.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from modelway.components.core.errors import ModelwayError
from modelway.components.core.parsing import parse_json

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_DOCKER = "application/vnd.docker."
# What Docker calls the same documents in its own format
_OCI_NAMES = {
    f"{_DOCKER}distribution.manifest.v2+json": MANIFEST,
    f"{_DOCKER}distribution.manifest.list.v2+json": INDEX,
    f"{_DOCKER}container.image.v1+json": CONFIG,
    f"{_DOCKER}image.rootfs.diff.tar": LAYER,
    f"{_DOCKER}image.rootfs.diff.tar.gzip": f"{LAYER}+gzip",
}
ACCEPTED = (MANIFEST, INDEX, *(name for name, meant in _OCI_NAMES.items() if meant in {MANIFEST, INDEX}))
_EPOCH = "1970-01-01T00:00:00Z"


def is_pinned(image: str) -> bool:
    """Whether a reference names an image by its digest."""
    return "@sha256:" in image


@dataclass(frozen=True)
class Descriptor:
    """A blob by its content.

    Attributes:
        media_type: What it is.
        digest: ``sha256:`` and its SHA-256 in hex.
        size: Its size in bytes.
    """

    media_type: str
    digest: str
    size: int

    @classmethod
    def of(cls, content: bytes, media_type: str) -> Descriptor:
        """The descriptor of a document."""
        return cls(media_type, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Descriptor:
        """A descriptor from an image's manifest or index, in OCI's names."""
        media_type = str(document.get("mediaType", ""))
        return cls(_OCI_NAMES.get(media_type, media_type), str(document["digest"]), int(document["size"]))

    def as_json(self) -> dict[str, Any]:
        """The descriptor as manifests hold it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


CODE_LABEL = "io.modelway.code"  # of an image that `modelway image` put a project's modules into


@dataclass(frozen=True)
class Image:
    """An image of one platform.

    Attributes:
        manifest: Its manifest, as JSON.
        config: Its configuration, as JSON.
        layers: Its layers, the lowest first.
    """

    manifest: bytes
    config: bytes
    layers: tuple[Descriptor, ...]

    @property
    def digest(self) -> str:
        """What the image is pulled by."""
        return Descriptor.of(self.manifest, MANIFEST).digest

    @property
    def config_json(self) -> dict[str, Any]:
        """The parsed configuration."""
        config: dict[str, Any] = parse_json(self.config)
        return config


def digest_of(file: IO[bytes]) -> str:
    """The digest of a file's content."""
    return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"  # type: ignore[arg-type]


def write_layer(folder: Path, root: str, *, target: Path) -> Descriptor:
    """Writes a folder as an uncompressed layer whose bytes depend on the files' names and contents alone.

    Everything belongs to root and can be written by nobody; the order is by name, the time is 1970. It is not
    compressed, since what a compressor writes depends on its version. In the image it lies at `root`, which has no
    leading slash.
    """
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(_entry(root, None))
        for path in sorted(folder.rglob("*"), key=lambda entry: entry.relative_to(folder).as_posix()):
            name = f"{root}/{path.relative_to(folder).as_posix()}"
            if path.is_dir():
                archive.addfile(_entry(name, None))
                continue
            with path.open("rb") as file:
                archive.addfile(_entry(name, path.stat().st_size), file)
    with target.open("rb") as file:
        return Descriptor(LAYER, digest_of(file), target.stat().st_size)


def _entry(name: str, size: int | None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    if size is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size, entry.mode = size, 0o444
    return entry


def append_layer(
    base: Image,
    layer: Descriptor,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    created_by: str,
    environment: Sequence[str] = (),
) -> Image:
    """An image that is another one with an uncompressed layer on top; the same inputs give the same digest.

    Args:
        base: The image below.
        layer: The layer.
        labels: Labels of the image's configuration, besides the base's.
        annotations: Annotations of the manifest.
        created_by: What the layer's history says.
        environment: The variables of its processes, ``NAME=value``, in place of the base's; none: the base's.
    """
    config = base.config_json
    config["config"] = {
        **(config.get("config") or {}),
        "Labels": {**((config.get("config") or {}).get("Labels") or {}), **labels},
        **({"Env": list(environment)} if environment else {}),
    }
    config["rootfs"] = {"type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], layer.digest]}
    config["history"] = [*(config.get("history") or ()), {"created": _EPOCH, "created_by": created_by}]
    content = _document(config)
    layers = (*base.layers, layer)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": Descriptor.of(content, CONFIG).as_json(),
        "layers": [descriptor.as_json() for descriptor in layers],
        "annotations": dict(annotations),
    }
    return Image(_document(manifest), content, layers)


def select_platform(index: Mapping[str, Any], platform: str, *, source: str) -> Descriptor:
    """The manifest of an index for a platform.

    Args:
        index: The index: a list of manifests.
        platform: ``os/architecture``, as in ``linux/amd64``; empty: any, of an index with one image.
        source: What it is the index of, for errors.

    Raises:
        ModelwayError: it has none for the platform, or several.
    """
    manifests = [manifest for manifest in index.get("manifests", ()) if manifest.get("mediaType") in ACCEPTED]
    matching = [manifest for manifest in manifests if not platform or _platform(manifest) in {platform, None}]
    if len(matching) != 1:
        offered = ", ".join(sorted({str(_platform(manifest)) for manifest in manifests})) or "nothing"
        raise ModelwayError(
            f"{source} has {len(matching)} images for {platform or 'a platform'}; it has {offered}",
            file=source,
            key="platform",
            value=platform,
            remedy="name an image of one platform by its digest, or another platform",
        )
    return Descriptor.read(matching[0])


def _platform(descriptor: Mapping[str, Any]) -> str | None:
    platform = descriptor.get("platform")
    return f"{platform.get('os')}/{platform.get('architecture')}" if platform else None


def _document(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
