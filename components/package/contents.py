"""What goes into a release bundle: the registered version's files, checked against its blessing."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from io import BytesIO
from pathlib import Path

import polars as pl

from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.audit.release_evidence import ReleaseEvidence, release_evidence
from modelway.components.core.bundle.bundle import (
    MODEL_FOLDER,
    ONNX_FILE,
    RELEASE_FILE,
    REQUIREMENTS_FILE,
    SBOM_FILE,
    Release,
)
from modelway.components.core.errors import DamagedError
from modelway.components.core.evidence.files import BASELINE_FILE, BLESSING_FILE, POLICY_FILE, SAMPLE_FILE
from modelway.components.core.storage.models import folder_sha256
from modelway.components.package.onnx.convert import Conversion, convert
from modelway.components.package.sbom import Subject, write_sbom
from modelway.components.package.serving_base import Bill, check_served


@dataclass(frozen=True)
class Contents:
    """A bundle's files on disk, not signed yet.

    Attributes:
        folder: Where they are.
        release: What they are of.
        evidence: What the version was released on.
        conversion: What came of converting the model to ONNX.
    """

    folder: Path
    release: Release
    evidence: ReleaseEvidence
    conversion: Conversion


def gather(version: ModelVersion, folder: Path) -> Contents:
    """Fetches a registered version with its evidence, and converts it.

    Args:
        version: The version.
        folder: A new folder for the bundle's files.

    Raises:
        ModelwayError: the version is not registered or not blessed, or its model or evidence was changed.
    """
    evidence = release_evidence(version)
    folder.mkdir(parents=True)
    with_model = version.download(str(folder.parent / "download"))
    shutil.copytree(with_model, folder / MODEL_FOLDER)
    sha256, blessed = folder_sha256(folder / MODEL_FOLDER), evidence.blessing.hashes.model
    if sha256 != blessed:
        raise DamagedError(
            f"the model of {version} is not the one that was blessed: its SHA-256 is not {blessed}",
            file=str(with_model),
            value=sha256,
            remedy="see who can write to MLflow's artifact store; release the model again with `modelway run`",
        )
    for file in (BLESSING_FILE, POLICY_FILE, BASELINE_FILE):
        content = version.evidence(file)
        if content is not None:
            (folder / file).write_bytes(content)
    sample = version.evidence(SAMPLE_FILE)
    if sample is None:
        conversion = Conversion(None, "The version was registered without rows to compare on.")
    else:
        conversion = convert(folder / MODEL_FOLDER, pl.read_parquet(BytesIO(sample)))
    if conversion.content is not None:
        (folder / ONNX_FILE).write_bytes(conversion.content)
    release = Release(
        name=version.name,
        version=version.number,
        blessing_sha256=evidence.blessing_sha256,
        model_hash=blessed,
        onnx=conversion.content is not None,
        created_by=f"modelway {installed_version('modelway')}",
    )
    (folder / RELEASE_FILE).write_text(json.dumps(asdict(release), indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return Contents(folder, release, evidence, conversion)


def add_bills(contents: Contents, bill: Bill, *, base: str, base_digest: str) -> None:
    """Adds the frozen requirements and the bill of materials to a bundle's files.

    Args:
        contents: The bundle's files.
        bill: What is in the serving base.
        base: The base's reference.
        base_digest: Its digest.

    Raises:
        ModelwayError: the base lacks what the model's pipeline needs.
    """
    folder, release = contents.folder, contents.release
    if not release.onnx:
        needed = (folder / MODEL_FOLDER / "requirements.txt").read_text(encoding="utf-8")
        check_served(needed, bill, base=base)
    (folder / REQUIREMENTS_FILE).write_text(bill.requirements, encoding="utf-8")
    subject = Subject(
        name=release.name,
        version=release.version,
        model_hash=release.model_hash,
        blessing_sha256=release.blessing_sha256,
        at=contents.evidence.blessing.at,
        base=base,
        base_digest=base_digest,
    )
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }
    (folder / SBOM_FILE).write_text(write_sbom(subject, bill, files=files), encoding="utf-8")
