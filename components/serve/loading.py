"""Loads the model to serve from a release bundle, once the bundle is verified."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any

from modelway.components.core.bundle.bundle import Bundle, verify_bundle
from modelway.components.core.bundle.encryption import encrypted_file, read_keys
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.files import POLICY_FILE
from modelway.components.serve.drift import DriftWindow
from modelway.components.serve.predictor import OnnxPredictor, PipelinePredictor, Predictor
from modelway.components.serve.signature import Signature

log = logging.getLogger(__name__)

_IN_MEMORY = {"tmpfs", "ramfs"}


@dataclass(frozen=True)
class ServedModel:
    """A model to serve.

    Attributes:
        predictor: The loaded model.
        name: Its name in the paths.
        version: Its version.
        model_hash: The SHA-256 of its folder; empty if it was not verified.
        bounds: The policy's latency bounds, in seconds.
        drift: The window to measure drift in, if there is a baseline.
    """

    predictor: Predictor
    name: str
    version: str = ""
    model_hash: str = ""
    bounds: tuple[float, ...] = ()
    drift: DriftWindow | None = None


def load_bundle(folder: Path, public_key: Path | None = None) -> ServedModel:
    """Verifies a release bundle and loads its model: the converted one where there is one, else the pipeline.

    Args:
        folder: The bundle.
        public_key: The key that must have signed it; None: only hashes are verified, and nothing is decrypted.

    Raises:
        ModelwayError: the bundle does not verify, cannot be decrypted, or holds no model that can be loaded.
    """
    if public_key is None:
        log.warning("the bundle's signature is not verified, only that its files match each other")
    with _work_folder(folder) as work:
        bundle = verify_bundle(folder, public_key, work=work)
        release = bundle.release()
        signature = Signature.read(bundle.model)
        predictor: Predictor
        if bundle.onnx is not None:
            predictor = OnnxPredictor.load(bundle.onnx, signature)
        else:
            predictor = PipelinePredictor.load(
                str(bundle.model), trusted_types=_policy_value(bundle, "model", "trusted_types") or ()
            )
        drift = DriftWindow.read(bundle.baseline, signature) if bundle.baseline is not None else None
        return ServedModel(predictor, release.name, release.version, release.model_hash, _bounds(bundle), drift)


def _bounds(bundle: Bundle) -> tuple[float, ...]:
    """Reads the policy's latency bounds."""
    levels = _policy_value(bundle, "serving", "sla") or {}
    return tuple(levels[key] / 1000 for key in ("p50_ms", "p95_ms", "p99_ms") if levels.get(key))


def _policy_value(bundle: Bundle, section: str, key: str) -> Any:
    """Reads a value of the policy as JSON, since the serving base has no pydantic; None if it has no such key."""
    try:
        return json.loads((bundle.folder / POLICY_FILE).read_bytes())[section].get(key)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


@contextmanager
def _work_folder(bundle: Path) -> Iterator[Path | None]:
    """Provides an empty folder in memory to decrypt a bundle to, deleted once its model is loaded."""
    encrypted = encrypted_file(bundle)
    if encrypted is None:
        yield None
        return
    read_keys()
    memory = _memory(2 * encrypted.stat().st_size)
    with TemporaryDirectory(prefix="release-", dir=memory, ignore_cleanup_errors=True) as work:
        yield Path(work)


def _memory(size: int) -> str:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    for folder in (gettempdir(), "/dev/shm"):  # noqa: S108 - a folder of our own is made in it
        above = [mount for mount in mounts if Path(folder).is_relative_to(mount[1])]
        kind = max(above, key=lambda mount: len(mount[1]))[2] if above else ""
        if kind in _IN_MEMORY and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= size:
            return folder
    raise ModelwayError(
        f"the release is encrypted, and no folder in memory has {size:,} free bytes to decrypt it to",
        file=gettempdir(),
        remedy="mount a folder in memory there: an emptyDir with `medium: Memory`, or `docker run --tmpfs /tmp`",
    )
