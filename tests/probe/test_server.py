from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from gate_checks import failed_checks, find_check
from light_models import write_light_model

from modelway.components.core.checks import Verdict
from modelway.components.core.storage.models import folder_sha256
from modelway.components.probe.server import installed_places


def test_a_server_that_is_not_ready_in_time_fails_and_is_stopped(prober: Any, servers: Callable[[], list[str]]) -> None:
    class Endless:
        def __reduce__(self) -> Any:
            return time.sleep, (60,)

    gate = prober(Endless, timeout_seconds=2)
    assert failed_checks(gate) == ["server_starts"]
    assert "was not ready within 2 seconds" in find_check(gate, "server_starts").message
    assert not servers()


OWN = """
class Own:
    def predict(self, rows):
        import probed_late

        return rows["income"].to_numpy() * 2
"""


def write_own_model(prober: Any, folder: Path, *, packaged: bool) -> None:
    """A model of a class whose module is in the project's folder, and in the model's too if it is packaged."""
    (folder / "probed_own.py").write_text(OWN, encoding="utf-8")
    (folder / "probed_late.py").write_text("", encoding="utf-8")
    module = importlib.import_module("probed_own")
    write_light_model(prober.model, module.Own(), {"income": "double", "region": "string"})
    if packaged:
        (prober.model / "code").mkdir()
        for name in ("probed_own.py", "probed_late.py"):
            shutil.copyfile(folder / name, prober.model / "code" / name)
        file = prober.model / "MLmodel"
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
        document["flavors"]["sklearn"]["code"] = "code"
        file.write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.mark.parametrize("packaged", [False, True])
def test_a_class_of_ones_own_is_served_only_if_it_is_packaged(
    prober: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packaged: bool
) -> None:
    """The project's folder is on the import path, in `PYTHONPATH` and the working folder, as in a local run."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "probed_own", raising=False)
    write_own_model(prober, folder, packaged=packaged)
    monkeypatch.setattr(type(prober), "write", lambda *_: None)
    before = folder_sha256(prober.model)
    gate = prober()
    if packaged:
        assert find_check(gate, "predictions_match[v2 single]").verdict is Verdict.PASSED
        assert folder_sha256(prober.model) == before
    else:
        assert failed_checks(gate) == ["server_starts"]
        assert "No module named 'probed_own'" in find_check(gate, "server_starts").message


def test_installed_places_hold_modelway_and_packages_and_no_folder_of_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend("")
    code = "import sys; sys.path[:] = sys.argv[1].split(':'); import skops.io, modelway.components.serve; print('ok')"
    places = installed_places()
    assert str(tmp_path) not in places
    assert "" not in places
    run = [sys.executable, "-I", "-S", "-c", code, ":".join(places)]
    assert subprocess.run(run, capture_output=True, text=True, check=False).stdout == "ok\n"
