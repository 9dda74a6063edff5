"""An image lists its own packages."""

from __future__ import annotations

import json
from pathlib import Path

from modelway.components.package.list_packages import list_packages


def test_a_base_lists_itself(tmp_path: Path) -> None:
    metadata = tmp_path / "modelway-0.1.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: modelway\nVersion: 0.1.0\n")
    base_packages = list_packages(str(tmp_path))
    assert base_packages["modelway"] == "0.1.0"
    assert json.dumps(base_packages)
    system = base_packages["system"]
    assert isinstance(system, list)
    assert {"name", "version", "architecture"} == set(system[0])
