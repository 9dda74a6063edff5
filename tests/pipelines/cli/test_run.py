"""`modelway run`."""

from __future__ import annotations

import json
from pathlib import Path

from office import Office


def test_a_run_packages_what_it_releases(office: Office, base: Path, tmp_path: Path) -> None:
    options = ("--base", str(base), "--target", str(tmp_path / "image"))
    failure = office.read_json("run", *options, code=2, MODELWAY_SIGNING_KEY="")
    assert failure["error"]["key"] == "MODELWAY_SIGNING_KEY"
    summary = office.read_json("run", *options)
    assert (summary["state"], "package_model" in summary["seconds"]) == ("registered", True)
    version = summary["model"]["version"]
    record = json.loads((office.folder / ".modelway" / "packages" / "visits" / f"{version}.json").read_text())
    assert record["image"] == office.read_json("package", version, *options)["image"]
