"""The faults that `modelway drill` injects, one at a time, and the gate that each is meant for."""

from __future__ import annotations

from modelway.pipelines.drill.data_faults import DATA_FAULTS
from modelway.pipelines.drill.model_faults import MODEL_FAULTS

FAULTS = (*DATA_FAULTS, *MODEL_FAULTS)
