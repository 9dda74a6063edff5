"""Which faults a drill injects."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelway.components.core.errors import ModelwayError
from modelway.pipelines.drill.drill import faults_named
from modelway.pipelines.drill.faults import FAULTS


def test_faults_are_chosen_by_name_in_the_order_given() -> None:
    assert [fault.name for fault in faults_named(["slow model", "null burst"])] == ["slow model", "null burst"]
    assert faults_named([]) == FAULTS
    with pytest.raises(ModelwayError, match="there is no fault 'gremlins'") as error:
        faults_named(["null burst", "gremlins"])
    assert "slow model" in error.value.remedy


def test_the_docs_count_and_list_the_faults_that_there_are() -> None:
    root = Path(__file__).resolve().parents[3]
    texts = {name: (root / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md", "docs/gates.md")}
    patterns = {
        "README.md": r"injects (\d+) faults",
        "CHANGELOG.md": r"`drill` \((\d+) injected faults\)",
        "docs/gates.md": r"all (\d+) faults are caught",
    }
    counts = {name: re.findall(pattern, texts[name]) for name, pattern in patterns.items()}
    faults = str(sum(not fault.harmless for fault in FAULTS))
    assert counts == {name: [faults] for name in texts}
    table = texts["docs/gates.md"].partition("| fault | caught by | checks |")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    assert [name for name, *_ in rows] == [fault.name for fault in FAULTS]
    for fault, (_, gate, checks) in zip(FAULTS, rows, strict=True):
        assert fault.harmless or gate == fault.gate, fault.name
        # a row names two checks, and counts the others
        assert fault.harmless or " more" in checks or any(f"`{name}" in checks for name in fault.check), fault.name
