from __future__ import annotations

from pathlib import Path

import pytest
from user_files import minimal_project

from modelway.components.core.checks import Gate
from modelway.components.core.code.loaded_files import Trace
from modelway.components.core.config.contract import Contract
from modelway.pipelines.drill import changed_code
from modelway.pipelines.drill.changed_code import changed_helper

CONTRACT = Contract.parse("columns:\n  income: {type: number}\n  late: {type: boolean}\n")


def judged(folder: Path) -> Gate:
    return changed_helper(minimal_project(), CONTRACT, folder)


def test_a_changed_helper_is_told_by_the_codes_version(tmp_path: Path) -> None:
    gate = judged(tmp_path / "code")
    assert not gate.proceed
    assert "trained again" in gate.checks[0].message


def test_without_the_call_it_would_not_be_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changed_code, "trace_call", lambda *_: Trace())
    gate = judged(tmp_path / "code")
    assert gate.proceed
    assert "served from cache" in gate.checks[0].message
