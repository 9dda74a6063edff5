"""What goes into a release bundle: the registered version's files, checked against its blessing."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from io import BytesIO
from pathlib import Path

import polars as pl

from modelway.components.core.audit.opened_version import OpenedVersion, open_version, registration_problem
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.bundle.bundle import (
    MODEL_FOLDER,
    ONNX_FILE,
    RELEASE_FILE,
    REQUIREMENTS_FILE,
    SBOM_FILE,
    Release,
)
from modelway.components.core.errors import RejectedError
from modelway.components.core.evidence.files import BASELINE_FILE, BLESSING_FILE, POLICY_FILE, SAMPLE_FILE
from modelway.components.core.storage.models import required_modules
from modelway.components.package.onnx.convert import Conversion, convert
from modelway.components.package.sbom import write_sbom
from modelway.components.package.serving_base import ServingBase, check_libraries, check_modules


@dataclass(frozen=True)
class Contents:
    """A bundle's files on disk, not signed yet.

    Attributes:
        folder: Where they are.
        release: The model and version that they belong to.
        evidence: What backs the version's blessing.
        conversion: The model as ONNX, or why it was not converted.
    """

    folder: Path
    release: Release
    evidence: OpenedVersion
    conversion: Conversion


def gather(version: ModelVersion, folder: Path) -> Contents:
    """Fetches a registered version with its evidence, and converts the model to ONNX.

    Args:
        version: The version.
        folder: A new folder for the bundle's files.

    Raises:
        ModelwayError: the version is not registered or not blessed, or its model or evidence has changed.
    """
    evidence = open_version(version)
    if problem := registration_problem(evidence, version.model.verified_log()):
        raise RejectedError(
            problem, value=version.number, remedy="release it with `modelway run`; nothing was packaged"
        )
    folder.mkdir(parents=True)
    shutil.copytree(evidence.download(str(folder.parent / "download")), folder / MODEL_FOLDER)
    for file in (BLESSING_FILE, POLICY_FILE, BASELINE_FILE):
        if file in evidence.files:
            (folder / file).write_bytes(evidence.files[file])
    sample = evidence.files.get(SAMPLE_FILE)
    if sample is None:
        conversion = Conversion(None, "The version was registered without a sample of rows to compare on.")
    else:
        conversion = convert(
            folder / MODEL_FOLDER, pl.read_parquet(BytesIO(sample)), evidence.policy.model.trusted_types
        )
    if conversion.content is not None:
        (folder / ONNX_FILE).write_bytes(conversion.content)
    release = Release(
        name=version.name,
        version=version.number,
        blessing_sha256=evidence.blessing_sha256,
        model_hash=evidence.blessing.hashes.model,
        onnx=conversion.content is not None,
        created_by=f"modelway {installed_version('modelway')}",
    )
    (folder / RELEASE_FILE).write_text(json.dumps(asdict(release), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Contents(folder, release, evidence, conversion)


def add_sbom(
    contents: Contents, serving_base: ServingBase, *, base: str, base_digest: str, has_own_code: bool = False
) -> None:
    """Adds the frozen requirements and the bill of materials to a bundle's files.

    Args:
        contents: The bundle's files.
        serving_base: The packages of the serving base.
        base: The base's reference.
        base_digest: Its digest.
        has_own_code: Whether the base has a project's modules, as `modelway image` puts them there.

    Raises:
        ModelwayError: the base lacks a library or a module that the model's pipeline needs.
    """
    folder, release = contents.folder, contents.release
    if not release.onnx:
        requirements = (folder / MODEL_FOLDER / "requirements.txt").read_text(encoding="utf-8")
        check_libraries(requirements, serving_base, base=base)
        if not has_own_code:
            check_modules(required_modules(folder / MODEL_FOLDER), serving_base, base=base)
    (folder / REQUIREMENTS_FILE).write_text(serving_base.requirements, encoding="utf-8")
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    at = contents.evidence.blessing.at
    sbom = write_sbom(release, serving_base, base=base, base_digest=base_digest, at=at, files=files)
    (folder / SBOM_FILE).write_text(sbom, encoding="utf-8")
