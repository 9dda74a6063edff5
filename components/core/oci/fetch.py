"""The release in an image: its topmost layer, fetched and checked without the layers below it."""

from __future__ import annotations

import tarfile
from pathlib import Path, PurePosixPath
from typing import IO

from modelway.components.core.bundle.tar import extract_tar
from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.oci.image import LAYER, digest_of
from modelway.components.core.oci.layout import Reference, digest_mismatch, pull
from modelway.components.core.oci.registry import images_at

RELEASE_ROOT = "release"  # /release in the image


def fetch_release(image: str, work: Path, *, insecure: bool = False) -> Path:
    """Fetches the release bundle of an image, each document and the layer checked against its digest.

    The release has to be the topmost layer, as `package_model` puts it: nothing can lie over it then.

    Args:
        image: ``host/repository@sha256:…``, or the folder of an OCI layout, with ``@sha256:…`` or not.
        work: An empty folder for it.
        insecure: Whether the registry is spoken to by plain HTTP; one on the machine itself always is.

    Returns:
        The bundle's folder, below `work`.

    Raises:
        ModelwayError: the image is not there or not named by its digest, is not what the digest names, or its topmost
            layer is no release.
        UnavailableError: the registry cannot be reached.
        CredentialsError: the registry refuses access.
    """
    reference = Reference.pinned(image, "image", title="image")
    images = images_at(reference, insecure=insecure)
    layers = pull(images, reference, platform="").layers
    if not layers or layers[-1].media_type != LAYER:
        raise _no_release(image, "it is of another kind")
    with images.blob(layers[-1].digest) as blob:
        if digest_of(blob) != layers[-1].digest:  # a layout's blobs are whatever somebody left in its folder
            raise digest_mismatch(layers[-1].digest, image)
        blob.seek(0)
        _extract(blob, work, image=image)
    return work / RELEASE_ROOT


def _extract(blob: IO[bytes], work: Path, *, image: str) -> None:
    """Extracts a layer, which may hold nothing outside of the release and remove nothing of what lies below."""
    try:
        with tarfile.open(fileobj=blob, mode="r:") as archive:
            strange = [name for name in archive.getnames() if _is_strange(PurePosixPath(name))]
            if not strange:
                extract_tar(archive, work)
    except (tarfile.TarError, ModelwayError) as error:
        raise _no_release(image, f"it cannot be extracted: {error}") from error
    if strange:
        raise _no_release(image, f"it holds {strange[0]}")
    if not (work / RELEASE_ROOT).is_dir():
        raise _no_release(image, "it is empty")


def _is_strange(path: PurePosixPath) -> bool:
    return path.parts[:1] != (RELEASE_ROOT,) or any(part.startswith(".wh.") for part in path.parts)


def _no_release(image: str, why: str) -> DamagedError:
    return DamagedError(
        f"the topmost layer of {image} is not a release: {why}",
        key="image",
        value=image,
        remedy="name an image that `package_model` made, by its digest",
    )
