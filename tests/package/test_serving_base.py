"""What is in a base is read from the base, and suffices for the model or not."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import Image
from modelway.components.core.oci.layout import Layout, Reference, pull
from modelway.components.package.serving_base import (
    PinnedPackage,
    ServingBase,
    check_can_decrypt,
    check_libraries,
    parse_requirements,
    read_serving_base,
)

TEXT = """
# a comment
numpy==2.4.6 \\
    --hash=sha256:bb \\
    --hash=sha256:aa
Foo_Bar[extra]==1.0 ; python_version < "4" \\
    --hash=sha256:cc
loose==1.0
"""


def base_with(text: str) -> ServingBase:
    return ServingBase(text, modelway="0.1.0", python="3.11", distribution="debian", system=())


def image(base: Path) -> tuple[Layout, Image]:
    return Layout(base), pull(Layout(base), Reference.parse(str(base), "base"), platform="linux/amd64")


def test_requirements_are_read_with_their_hashes() -> None:
    assert parse_requirements(TEXT) == (
        PinnedPackage("foo-bar", "1.0", ("sha256:cc",)),
        PinnedPackage("loose", "1.0", ()),
        PinnedPackage("numpy", "2.4.6", ("sha256:aa", "sha256:bb")),
    )


def test_a_base_says_what_is_in_it(base: Path) -> None:
    lists = read_serving_base(*image(base), name="base")
    assert [package.name for package in lists.packages] == [
        "cloudpickle",
        "numpy",
        "onnxruntime",
        "prometheus-client",
        "pyrage",
    ]
    assert (lists.python, lists.distribution) == ("3.11.9", "debian")
    assert lists.system == ({"name": "libc6", "version": "2.36-9", "architecture": "amd64"},)


def test_a_base_without_lists_of_packages_is_refused(base: Path) -> None:
    layout, base_image = image(base)
    with pytest.raises(ModelwayError, match="it has no /opt/modelway/bill") as error:
        read_serving_base(layout, Image(base_image.manifest, base_image.config, base_image.layers[:1]), name="base")
    assert "Dockerfile.serving" in error.value.remedy


@pytest.mark.parametrize(
    ("requirements", "message"),
    [("numpy==2.4.6", None), ("numpy==2.4.5", "the base has 2.4.5"), ("scipy==1.0", "the base lacks it")],
)
def test_a_pipeline_needs_its_libraries_in_their_versions(requirements: str, message: str | None) -> None:
    if message is None:
        check_libraries("NumPy==2.4.6\nmodelway==0.1.0\n", base_with(requirements), base="base")
        return
    with pytest.raises(ModelwayError, match=f"needs numpy 2.4.6, but {message}"):
        check_libraries("NumPy==2.4.6\n", base_with(requirements), base="base")


def test_a_base_from_before_the_age_format_takes_no_encrypted_model() -> None:
    check_can_decrypt(base_with("numpy==2.4.6\npyrage==1.4.0\n"), "base")
    with pytest.raises(ModelwayError, match="the base lacks pyrage") as error:
        check_can_decrypt(base_with("numpy==2.4.6\ncryptography==46.0\n"), "base")
    assert "Dockerfile.serving" in error.value.remedy
