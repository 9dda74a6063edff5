"""Images of empty files as OCI layouts, in place of real ones that would have to be pulled."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path
from typing import Any

from modelway.components.core.oci.image import CONFIG, LAYER, Descriptor, Image, _document, append_layer, write_layer
from modelway.components.core.oci.layout import Layout, Reference, pull, push
from modelway.components.core.oci.registry import images_at

SITE = "opt/modelway/lib/python3.11/site-packages"
ENVIRONMENT = ["PATH=/opt/modelway/bin", "PYTHONPATH=/opt/site", "HOME=/tmp"]


def gzipped(names: list[str]) -> tuple[bytes, str]:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return gzip.compress(plain.getvalue(), mtime=0), Descriptor.of(plain.getvalue(), "").digest


def write_base(folder: Path, *layers: list[str], **config: Any) -> str:
    """An image of empty files as an OCI layout; returns its folder."""
    layout, descriptors, diffs = Layout(folder), [], []
    for names in layers:
        content, diff = gzipped(names)
        descriptors.append(Descriptor.of(content, f"{LAYER}+gzip"))
        diffs.append(diff)
        layout.put(descriptors[-1], io.BytesIO(content))
    config_base = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diffs}}
    config_bytes = _document(config_base | {"config": {"User": "10001:10001", "Env": ENVIRONMENT, **config}})
    layout.put(Descriptor.of(config_bytes, CONFIG), io.BytesIO(config_bytes))
    layer_list = [layer.as_json() for layer in descriptors]
    manifest = {"schemaVersion": 2, "config": Descriptor.of(config_bytes, CONFIG).as_json(), "layers": layer_list}
    layout.put_manifest(Image(_document(manifest), config_bytes, tuple(descriptors)), "")
    return str(folder)


def with_layer(base: str, folder: Path, root: str, target: str) -> str:
    """An image with one more layer, made of a folder; by its digest."""
    below, to = Reference.parse(base, "base"), Reference.parse(target, "target")
    bases, file = images_at(below, insecure=False), folder.parent / f"{folder.name}.tar"
    layer = write_layer(folder, root, target=file)
    image = append_layer(
        pull(bases, below, platform="linux/amd64"), layer, labels={}, annotations={}, created_by="a test"
    )
    return push(images_at(to, insecure=False), image, layer=file, base=bases, tag=to.tag or "")
