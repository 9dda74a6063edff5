"""Artifact types of our own, beside those of KFP that the dashboard renders.

KFP knows schema titles of its own namespace only, so ours keep that of a plain artifact; the types are for whoever
composes a pipeline in Python. KFP imports these classes by this module's name inside the component's container.
"""

import json
from pathlib import Path

from kfp import dsl


class GateResult(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """A gate's checks and verdict, as JSON (`verdict.Gate`)."""


class Baseline(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """The statistics of a training split that later data is measured against, as JSON."""


class FeatureSteps(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """The fitted feature preparation, a folder in skops format; becomes a part of the model."""


def write_values(*artifacts: dsl.Artifact) -> None:
    """Writes what metrics artifacts hold as JSON to their files.

    KFP keeps metrics as metadata alone; without a file, kfp.local takes a cached task's outputs for lost.
    """
    for artifact in artifacts:
        Path(artifact.path).write_text(json.dumps(artifact.metadata), encoding="utf-8")
