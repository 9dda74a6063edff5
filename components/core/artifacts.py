"""Artifact types of our own, beside those of KFP that the dashboard renders.

KFP knows schema titles of its own namespace only, so ours keep that of a plain artifact; the types are for whoever
composes a pipeline in Python. KFP imports these classes by this module's name inside the component's container.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kfp import dsl

if TYPE_CHECKING:
    from modelway.components.core.checks import Gate


class GateResult(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """A gate's checks and verdict, as JSON (`checks.Gate`)."""


class BaselineResult(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """The baseline: a training split's statistics, as JSON, and a sample of it, as Parquet."""


class BlessingResult(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """All gates' verdicts on a model, bound to it by hashes, as JSON (`blessing.Blessing`)."""


class FeatureSteps(dsl.Artifact):  # type: ignore[misc]  # kfp is untyped
    """The fitted feature preparation, a folder in skops format; becomes a part of the model."""


def write_values(*artifacts: dsl.Artifact) -> None:
    """Writes the values of metrics artifacts to their files, as JSON.

    KFP keeps metrics as metadata alone; without a file, kfp.local takes a cached task's outputs for lost.
    """
    for artifact in artifacts:
        Path(artifact.path).write_text(json.dumps(artifact.metadata), encoding="utf-8")


def write_comparison(metrics: dsl.Metrics, gate: "Gate", *, policy: str, measurements: Mapping[str, float]) -> None:
    """Logs what people compare between runs: a gate's counts of checks, and what was judged beside its bounds.

    Args:
        metrics: The task's metrics, which the dashboard's *Compare runs* sets side by side.
        gate: The gate.
        policy: The policy file: its text, or a URI.
        measurements: Other measurements, such as scores and latencies.
    """
    from modelway.components.core.config.policy import Policy
    from modelway.components.core.measures.comparison import comparison

    for name, value in comparison(gate, Policy.load(policy), measurements=measurements).items():
        metrics.log_metric(name, value)
    write_values(metrics)


def write_texts(texts: dict[str, str]) -> None:
    """Writes texts to their files, whose folders KFP does not always make."""
    for path, text in texts.items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text, encoding="utf-8")
