"""Compiles the pipelines and every component to YAML, for whoever applies them to a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import modelway.components
from modelway.components.core.errors import ModelwayError


def compile_all(folder: Path, *, kubernetes: bool = False) -> list[Path]:
    """Writes ``release.yaml`` and ``components/<name>/component.yaml`` for every component.

    Args:
        folder: Where to.
        kubernetes: Also write ``release.kubernetes.yaml``: Pipeline and PipelineVersion objects for GitOps.

    Returns:
        The files written.

    Raises:
        ModelwayError: the folder cannot be written.
    """
    from kfp import compiler
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    from modelway.pipelines.release import release

    components = {name: getattr(modelway.components, name) for name in modelway.components.__all__}
    targets: dict[Path, Any] = {folder / "release.yaml": release}
    targets |= {folder / "components" / name / "component.yaml": made for name, made in components.items()}
    try:
        for target, made in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            compiler.Compiler().compile(made, str(target))
        if kubernetes:
            target = folder / "release.kubernetes.yaml"
            compiler.Compiler().compile(
                release,
                str(target),
                kubernetes_manifest_format=True,
                kubernetes_manifest_options=KubernetesManifestOptions(
                    pipeline_name="modelway-release", include_pipeline_manifest=True
                ),
            )
            targets[target] = release
    except OSError as error:
        raise ModelwayError(
            f"{folder} cannot be written: {error.strerror}", file=str(folder), remedy="choose another folder with -o"
        ) from error
    return list(targets)
