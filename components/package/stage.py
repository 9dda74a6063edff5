"""Packages a registered version as the image that is deployed."""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelway.components.core.audit.package_records import record_package
from modelway.components.core.audit.registered_models import ModelVersion, RegisteredModel
from modelway.components.core.bundle.bundle import SBOM_FILE, SIGNATURE_FILE, Bundle, Release
from modelway.components.core.bundle.encryption import read_recipient
from modelway.components.core.bundle.keys import (
    ENCRYPTION_KEY,
    ENCRYPTION_RECIPIENT,
    SIGNING_KEY,
    has_key,
    key_file,
    key_id,
)
from modelway.components.core.bundle.signing import is_signed_by
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.runs import PackageRecord
from modelway.components.core.oci.fetch import RELEASE_ROOT
from modelway.components.core.oci.image import CODE_LABEL, append_layer, write_layer
from modelway.components.core.oci.layout import Reference, pull, push
from modelway.components.core.oci.registry import images_at
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.package.contents import Contents, add_sbom, gather
from modelway.components.package.serving_base import check_can_decrypt, read_serving_base
from modelway.components.package.sign import encrypt_and_sign

__all__ = ["Packaged", "RegisteredModel", "Tracking", "package"]


@dataclass(frozen=True)
class Packaged:
    """A packaged version.

    Attributes:
        image: The image's reference by digest.
        release: The packaged model and version.
        conversion: How far the ONNX model agrees with the pipeline, or why there is none; a sentence.
        sealed: Whether the model in it is encrypted.
        layer_bytes: The size of the layer on top of the base.
        packages: The number of Python packages in the base.
        sbom: The bill of materials, CycloneDX JSON.
    """

    image: str
    release: Release
    conversion: str
    sealed: bool
    layer_bytes: int
    packages: int
    sbom: str

    def markdown(self) -> str:
        """Returns the summary that people read."""
        release = self.release
        rows = {
            "Image": f"`{self.image}`",
            "Model": f"{release.name} version {release.version}",
            "Blessing": f"`{release.blessing_sha256}`",
            "Model's SHA-256": f"`{release.model_hash}`",
            "Served by": "ONNX Runtime" if release.onnx else "its pipeline",
            "Conversion": self.conversion,
            "Encrypted": "yes" if self.sealed else "no",
            "Layer": f"{self.layer_bytes / 1e6:,.1f} MB on the serving base",
            "Bill of materials": f"`{SBOM_FILE}`, CycloneDX, with {self.packages} Python packages of the base",
        }
        lines = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
        return f"# {release.name} version {release.version} is packaged\n\n| | |\n| --- | --- |\n{lines}\n"


def package(
    version: ModelVersion,
    *,
    base: str,
    target: str,
    bundle_path: str,
    run: str = "",
    platform: str = "linux/amd64",
    insecure: bool = False,
) -> Packaged:
    """Packages a registered version as an image: one layer with the signed release bundle on a serving base.

    Needs no daemon, no privileges, and no network but the registry's. The same inputs give the same digest. The model
    is encrypted if ``MODELWAY_ENCRYPTION_RECIPIENT`` names a recipient.

    Args:
        version: The version; its store keeps the signature and the record of the package.
        base: The serving base: ``host/repository@sha256:…``, or the folder of an OCI layout.
        target: The image reference: ``host/repository:tag``, or the folder of an OCI layout. The default tag is the
            version.
        bundle_path: A folder for the release bundle, as it is in the image at ``/release``.
        run: The id of the run that the package is recorded in; empty: none.
        platform: The image's platform, ``os/architecture``.
        insecure: Whether registries are reached by plain HTTP; one on this machine always is.

    Raises:
        ModelwayError: there is no signing key, the recipient cannot be read, the version is not blessed or has changed,
            the base is not pinned or lacks what the model needs, or the registry refuses; nothing is pushed then.
    """
    base_reference, target_reference = check_inputs(base, target)
    signing_key = key_file(SIGNING_KEY)
    recipient = _recipient()
    base_images = images_at(base_reference, insecure=insecure)
    base_image = pull(base_images, base_reference, platform=platform)
    serving_base = read_serving_base(base_images, base_image, name=str(base_reference))
    if recipient is not None:
        check_can_decrypt(serving_base, str(base_reference))
    # A layout's path differs from machine to machine, so it is left out of the image.
    base_name = f"{base_reference.host}/{base_reference.repository}" if base_reference.host else "serving"
    with TemporaryDirectory() as work:
        contents = gather(version, Path(work) / RELEASE_ROOT)
        has_code = CODE_LABEL in (base_image.config_json.get("config", {}).get("Labels") or {})
        add_sbom(contents, serving_base, base=base_name, base_digest=base_image.digest, has_own_code=has_code)
        encrypt_and_sign(contents.folder, version.store, signing_key=signing_key, recipient=recipient)
        _verify(contents.folder, signing_key)
        layer_file = Path(work) / "layer.tar"
        layer = write_layer(contents.folder, RELEASE_ROOT, target=layer_file)
        labels = _labels(contents)
        annotations = labels | {
            "org.opencontainers.image.base.digest": base_image.digest,
            "org.opencontainers.image.base.name": base_name,
        }
        image = append_layer(base_image, layer, labels=labels, annotations=annotations, created_by="package_model")
        images, tag = images_at(target_reference, insecure=insecure), target_reference.tag or version.number
        image_reference = push(images, image, layer=layer_file, base=base_images, tag=tag)
        shutil.copytree(contents.folder, bundle_path, dirs_exist_ok=True)
        result = Packaged(
            image=image_reference,
            release=contents.release,
            conversion=contents.conversion.reason,
            sealed=Bundle(contents.folder).encrypted,
            layer_bytes=layer.size,
            packages=len(serving_base.packages),
            sbom=(contents.folder / SBOM_FILE).read_text(encoding="utf-8"),
        )
    record = {name: getattr(result, name) for name in ("image", "sealed", "conversion")} | asdict(result.release)
    record_package(version, record, signing_key=signing_key)
    if run:
        PackageRecord(image=result.image).write(version.store, run)
    return result


def check_inputs(base: str, target: str) -> tuple[Reference, Reference]:
    """Parses the references of base and target, and checks that there is a signing key.

    Args:
        base: The serving base, as for `package`.
        target: The image reference, likewise.

    Raises:
        ModelwayError: one is no reference, the base is not pinned, or there is no signing key.
    """
    references = Reference.pinned(base, "base", title="serving base"), Reference.parse(target, "target")
    key_id(key_file(SIGNING_KEY))
    return references


def _recipient() -> str | None:
    """Returns the recipient that the model is encrypted to; None: it is not encrypted."""
    if has_key(ENCRYPTION_RECIPIENT):
        return read_recipient()
    if has_key(ENCRYPTION_KEY):  # as before there were recipients: the model would be packaged in plain, unnoticed
        raise ModelwayError(
            f"{ENCRYPTION_KEY} is set, but models are encrypted to a recipient, and {ENCRYPTION_RECIPIENT} is not set",
            key=ENCRYPTION_RECIPIENT,
            remedy=f"set it to a recipient (age1…) or its file; or unset {ENCRYPTION_KEY} to leave it unencrypted",
        )
    return None


def _verify(folder: Path, signing_key: Path) -> None:
    """Verifies the bundle as a server will, before anything is pushed."""
    Bundle(folder).check()
    if not is_signed_by(folder, folder / SIGNATURE_FILE, private_key=signing_key):
        raise ModelwayError(
            "the release bundle changed while it was packaged", file=str(folder), remedy="run again; nothing was pushed"
        )


def _labels(contents: Contents) -> dict[str, str]:
    release, commit = contents.release, contents.evidence.blessing.git_commit
    fields = {"title": release.name, "version": release.version} | ({"revision": commit} if commit else {})
    return {f"org.opencontainers.image.{key}": value for key, value in fields.items()} | {
        "io.modelway.blessing": release.blessing_sha256,
        "io.modelway.model-hash": release.model_hash,
    }
