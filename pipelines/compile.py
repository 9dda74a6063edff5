"""Compiles the pipelines and every component to YAML, for whoever applies them to a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import modelway.components
from modelway.components.core.errors import ModelwayError


def compile_all(folder: Path, *, kubernetes: bool = False) -> list[Path]:
    """Writes the pipelines ``release.yaml`` and ``promote.yaml``, and every ``components/<name>/component.yaml``.

    Args:
        folder: Where to.
        kubernetes: Also write the pipelines as Pipeline and PipelineVersion objects for GitOps,
            ``release.kubernetes.yaml`` and ``promote.kubernetes.yaml``.

    Returns:
        The files written.

    Raises:
        ModelwayError: the folder cannot be written.
    """
    from kfp import compiler
    from kfp.compiler.compiler_utils import KubernetesManifestOptions

    from modelway.pipelines.promote import promote
    from modelway.pipelines.release import release_pipeline

    pipelines = {"release": release_pipeline(), "promote": promote}
    components = {name: getattr(modelway.components, name) for name in modelway.components.__all__}
    targets: dict[Path, Any] = {folder / f"{name}.yaml": made for name, made in pipelines.items()}
    targets |= {folder / "components" / name / "component.yaml": made for name, made in components.items()}
    try:
        for target, made in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            compiler.Compiler().compile(made, str(target))
        for name, made in pipelines.items() if kubernetes else ():
            target = folder / f"{name}.kubernetes.yaml"
            options = KubernetesManifestOptions(pipeline_name=f"modelway-{name}", include_pipeline_manifest=True)
            compiler.Compiler().compile(
                made, str(target), kubernetes_manifest_format=True, kubernetes_manifest_options=options
            )
            targets[target] = made
    except OSError as error:
        raise ModelwayError(
            f"{folder} cannot be written: {error.strerror}", file=str(folder), remedy="choose another folder with -o"
        ) from error
    return list(targets)
