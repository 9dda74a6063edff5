"""The tests' tree mirrors the sources': who knows a module knows where its tests are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXEMPT = {"__init__.py", "__main__.py", "component.py"}
MODULES = sorted(
    path.relative_to(ROOT).as_posix()
    for room in ("components", "pipelines")
    for path in (ROOT / room).rglob("*.py")
    if path.name not in EXEMPT
)
# Modules whose tests need a cluster, and are among those that do.
ON_A_CLUSTER = {
    "pipelines/compile_checks/quota.py": "tests/cluster/test_quota.py",
    "pipelines/doctor/admission.py": "tests/cluster/test_doctor.py",
    "pipelines/doctor/cluster.py": "tests/cluster/test_doctor.py",
    "pipelines/doctor/cluster_reader.py": "tests/cluster/test_doctor.py",
}


def mirrored(module: str) -> Path:
    """Where a module's tests are: `components/serve/app.py` has `tests/serve/test_app.py`."""
    path = Path(module.removeprefix("components/"))
    return ROOT / "tests" / path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_its_tests_in_the_mirrored_folder(module: str) -> None:
    assert mirrored(module).is_file() is (module not in ON_A_CLUSTER)


@pytest.mark.parametrize(("module", "tests"), ON_A_CLUSTER.items())
def test_what_needs_a_cluster_is_tested_on_one(module: str, tests: str) -> None:
    assert module in MODULES
    assert (ROOT / tests).is_file()
