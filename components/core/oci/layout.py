"""Places that hold images: the interface, and an OCI layout in a local folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol

from modelway.components.core.errors import DamagedError, ModelwayError, NotFoundError
from modelway.components.core.oci.image import CONFIG, INDEX, MANIFEST, Descriptor, Image, select_platform
from modelway.components.core.parsing import parse_json

_REFERENCE = re.compile(
    r"(?P<host>(localhost|\[[0-9a-f:]+\]|[^/@:]*\.[^/@:]+|[^/@:]+(?=:\d))(:\d+)?)/"
    r"(?P<repository>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>\w[\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


class Images(Protocol):
    """A place that holds images' blobs by their digests."""

    def manifest(self, reference: str) -> bytes:
        """The document that a tag or digest names."""

    def blob(self, digest: str) -> AbstractContextManager[IO[bytes]]:
        """A blob's content."""

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there."""

    def put(self, blob: Descriptor, content: IO[bytes]) -> None:
        """Stores a blob."""

    def mount(self, blob: Descriptor, source: Images) -> bool:
        """Takes a blob over from another place without a copy; False if that is not possible."""

    def put_manifest(self, image: Image, tag: str) -> str:
        """Stores an image's manifest, whose blobs are there; returns the image's reference by digest."""


@dataclass(frozen=True)
class Reference:
    """An image in a registry, or in an OCI layout where `host` is empty.

    Attributes:
        host: The registry's host, with a port if it has one.
        repository: The repository, or the layout's folder.
        tag: The tag; empty without.
        digest: The digest; empty without.
    """

    host: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str, key: str) -> Reference:
        """Reads ``host/repository:tag``, ``host/repository@sha256:…``, or a folder, with ``@sha256:…`` or not.

        A folder's path starts with ``/`` or ``.``. `key` is the parameter that it is the value of, for errors.

        Raises:
            ModelwayError: it is neither.
        """
        if text.startswith(("/", ".")):
            folder, _, digest = text.partition("@sha256:")
            return cls("", folder, "", f"sha256:{digest}" if digest else "")
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise ModelwayError(
                f"{text!r} is not an image reference",
                key=key,
                value=text,
                remedy="write host/repository:tag or host/repository@sha256:…, with the registry's host; or a folder's "
                "path, which starts with / or ./",
            )
        return cls(match["host"], match["repository"], match["tag"] or "", match["digest"] or "")

    @classmethod
    def pinned(cls, text: str, key: str, *, title: str) -> Reference:
        """Reads a reference that names its image by digest, unless it is in a layout's folder.

        `key` is the parameter that it is the value of, and `title` what kind of image it is, for errors.

        Raises:
            ModelwayError: it is neither, or has no digest.
        """
        reference = cls.parse(text, key)
        if reference.host and not reference.digest:
            raise ModelwayError(
                f"the {title} {text} is not pinned by a digest",
                key=key,
                value=text,
                remedy="name it as host/repository@sha256:…: a tag may move to another image",
            )
        return reference

    def __str__(self) -> str:
        name = f"{self.host}/{self.repository}" if self.host else self.repository
        return f"{name}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


@dataclass(frozen=True)
class Layout:
    """An OCI image layout in a folder.

    Attributes:
        folder: The folder; made when something is stored.
    """

    folder: Path

    def manifest(self, reference: str) -> bytes:
        """The document that a digest names, or the layout's index."""
        path = self._path(reference) if reference.startswith("sha256:") else self.folder / "index.json"
        with self._open(path) as file:
            return file.read()

    def blob(self, digest: str) -> IO[bytes]:
        """A blob's content."""
        return self._open(self._path(digest))

    def has(self, blob: Descriptor) -> bool:
        """Whether a blob is there."""
        path = self._path(blob.digest)
        return path.exists() and path.stat().st_size == blob.size

    def put(self, blob: Descriptor, content: IO[bytes]) -> None:
        """Stores a blob."""
        path = self._path(blob.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        with draft.open("wb") as file:
            copy_checked(iter(partial(content.read, 1 << 20), b""), file, digest=blob.digest, location=str(self.folder))
        draft.replace(path)

    def mount(self, blob: Descriptor, source: Images) -> bool:  # noqa: ARG002 - a registry's
        """False: a folder holds its own blobs."""
        return False

    def put_manifest(self, image: Image, tag: str) -> str:
        """Stores an image's manifest and lists it in the index."""
        descriptor = Descriptor.of(image.manifest, MANIFEST)
        path = self._path(descriptor.digest)
        path.write_bytes(image.manifest)
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        index_path = self.folder / "index.json"
        other_entries = _other_entries(index_path, descriptor.digest, tag)
        entry = descriptor.as_json() | {
            "platform": {key: image.config_json[key] for key in ("architecture", "os")},
            **({"annotations": {_REF_NAME: tag}} if tag else {}),
        }
        content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*other_entries, entry]}
        index_path.write_text(json.dumps(content, indent=2, sort_keys=True))
        return f"{self.folder}@{descriptor.digest}"

    def _path(self, digest: str) -> Path:
        return self.folder / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def _open(self, path: Path) -> IO[bytes]:
        try:
            return path.open("rb")
        except OSError as error:
            raise NotFoundError(
                f"{self.folder} is not an OCI layout with this image: {path.name} is missing",
                file=str(path),
                remedy="name a folder that `docker save`, `skopeo copy … oci:` or `package_model` wrote an image to",
            ) from error


def _other_entries(index: Path, digest: str, tag: str) -> list[dict[str, Any]]:
    """What a layout's index lists besides a digest and a tag; nothing where there is no index yet."""
    if not index.exists():
        return []
    try:
        return [
            entry
            for entry in parse_json(index.read_bytes()).get("manifests", ())
            if Descriptor.read(entry).digest != digest
            and not (tag and (entry.get("annotations") or {}).get(_REF_NAME) == tag)
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{index} is damaged: it is not an image layout's index",
            file=str(index),
            remedy="name another folder, or delete this one and write the image again",
        ) from error


_REF_NAME = "org.opencontainers.image.ref.name"


def copy_checked(chunks: Iterable[bytes], target: IO[bytes], *, digest: str, location: str) -> None:
    """Writes a blob that comes in chunks.

    Raises:
        DamagedError: the content does not match its digest.
    """
    sha256 = hashlib.sha256()
    for chunk in chunks:
        sha256.update(chunk)
        target.write(chunk)
    if f"sha256:{sha256.hexdigest()}" != digest:
        raise digest_mismatch(digest, location)


def digest_mismatch(digest: str, location: str) -> DamagedError:
    """The error of content that does not match its digest."""
    return DamagedError(
        f"{location} returned other content than {digest}",
        file=location,
        value=digest,
        remedy="do not use this image; find out who can write to the registry or folder",
    )


def pull(images: Images, reference: Reference, *, platform: str) -> Image:
    """Reads an image's manifest and configuration; its layers stay where they are.

    Args:
        images: Where it is.
        reference: Which one; a layout's folder must hold one image for the platform, or name it by digest.
        platform: ``os/architecture``; empty: whichever the image is of.

    Raises:
        NotFoundError: it is not there.
        DamagedError: it is not what its digest names, or no image.
        ModelwayError: it is of another platform.
    """
    try:
        image = _read_image(images, reference, platform=platform)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"{reference} is not an image: its documents cannot be read",
            file=str(reference),
            remedy="fetch or make the image again",
        ) from error
    actual = f"{image.config_json.get('os')}/{image.config_json.get('architecture')}"
    if platform and actual != platform:
        raise ModelwayError(
            f"{reference} is for {actual}, not for {platform}",
            file=str(reference),
            key="platform",
            value=actual,
            remedy="name a base for the platform, or the platform that the base is for",
        )
    return image


def _read_image(images: Images, reference: Reference, *, platform: str) -> Image:
    def checked(content: bytes, digest: str) -> bytes:
        if Descriptor.of(content, MANIFEST).digest != digest:
            raise digest_mismatch(digest, str(reference))
        return content

    content = images.manifest(reference.digest or reference.tag)
    if reference.digest:
        checked(content, reference.digest)
    document = parse_json(content)
    for _ in range(3):  # an index may hold an index, as those do that Docker saves
        if "manifests" not in document:
            break
        entry = select_platform(document, platform, source=str(reference))
        content = checked(images.manifest(entry.digest), entry.digest)
        document = parse_json(content)
    config = Descriptor.read(document["config"])
    with images.blob(config.digest) as file:
        config_json = checked(file.read(), config.digest)
    configuration = parse_json(config_json)
    if not isinstance(configuration.get("config") or {}, dict) or not isinstance(
        configuration["rootfs"]["diff_ids"], list
    ):
        raise TypeError("the configuration is not an image's")
    return Image(content, config_json, tuple(Descriptor.read(layer) for layer in document["layers"]))


def push(images: Images, image: Image, *, layer: Path, base: Images, tag: str) -> str:
    """Stores an image, of its layers those that are not there yet; returns its reference by digest.

    `layer` is the file of its topmost layer, and `base` holds the others.
    """
    for blob in image.layers[:-1]:
        if not images.has(blob) and not images.mount(blob, base):
            with base.blob(blob.digest) as content:
                images.put(blob, content)
    if not images.has(image.layers[-1]):
        with layer.open("rb") as file:
            images.put(image.layers[-1], file)
    config = Descriptor.of(image.config, CONFIG)
    if not images.has(config):
        images.put(config, BytesIO(image.config))
    return images.put_manifest(image, tag)
