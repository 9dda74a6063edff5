from __future__ import annotations

from pathlib import Path
from typing import Any

from gate_checks import failed_checks

from modelway.components.core.storage.models import folder_sha256


def test_a_tampered_model_fails_and_nothing_is_started(prober: Any, spy: tuple[type, Path]) -> None:
    model, trace = spy
    gate = prober(model, model_hash="0" * 64)
    assert failed_checks(gate) == ["model_hash"]
    assert [check.name for check in gate.checks] == ["model_hash"]
    assert not gate.proceed
    assert folder_sha256(prober.model) in gate.checks[0].message
    assert not trace.exists()
