"""The part of ``policy.yaml`` that says how a model must serve: read by the probe, and by what watches it later."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelway.components.core.checks import Mode, OnInconclusive
from modelway.components.core.config.document import Section
from modelway.components.core.config.thresholds import HIGHER, LOWER

_LONGEST_MS = 600_000  # ten minutes, longer than the probe waits for an answer
_LONGEST_SECONDS = 3600


class Sla(Section):
    """The service levels; one without a threshold is measured and not judged."""

    p50_ms: Annotated[float | None, LOWER] = Field(
        None, gt=0, le=_LONGEST_MS, description="Half of the answers come within this."
    )
    p95_ms: Annotated[float | None, LOWER] = Field(None, gt=0, le=_LONGEST_MS)
    p99_ms: Annotated[float | None, LOWER] = Field(None, gt=0, le=_LONGEST_MS)
    requests_per_second: Annotated[float | None, HIGHER] = Field(
        None, ge=0.001, le=1_000_000, description="What one worker must carry, of one row each."
    )
    cold_start_seconds: Annotated[float | None, LOWER] = Field(
        30.0, gt=0, le=_LONGEST_SECONDS, description="From starting the server to its first right answer."
    )


class Serving(Section):
    """How a model must serve."""

    mode: Mode = Field(Mode.ENABLED, description="dry_run: judged and reported, blocks nothing; disabled: not judged.")
    sla: Sla = Sla()
    rows: int = Field(
        64, ge=1, le=10_000, description="Rows of the test split whose answers are compared with offline ones."
    )
    tolerance: Annotated[float, LOWER] = Field(
        1e-6, ge=0, lt=1, description="How much an answer may differ from offline."
    )
    requests: int | None = Field(
        None,
        ge=20,
        le=1_000_000,
        description="How many are timed; enough for the highest percentile asked for unless given.",
    )
    warm_up: int = Field(50, ge=0, le=100_000, description="Requests before timing begins.")
    connections: int = Field(4, ge=1, le=64, description="Requests at a time.")
    confidence: float = Field(0.95, gt=0.5, le=0.9999, description="The level of the percentiles' intervals.")
    timeout_seconds: float = Field(
        60.0, gt=0, le=_LONGEST_SECONDS, description="How long the server may take to become ready."
    )
    on_inconclusive: OnInconclusive = OnInconclusive.WARN
