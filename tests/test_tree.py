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
# Modules that have no tests of their own yet; one that has them must not stand here.
UNTESTED: set[str] = {
    "components/deploy/promotion.py",
    "components/deploy/rollback.py",
    "components/deploy/targets/base.py",
    "components/deploy/task.py",
    "components/deploy/workload.py",
    "components/evaluate/checks/minimum_rows.py",
    "components/evaluate/checks/slices.py",
    "components/evaluate/checks/unseen.py",
    "components/evaluate/groups.py",
    "components/evaluate/statistics/group_estimates.py",
    "components/ingest/types.py",
    "components/package/contents.py",
    "components/package/list_packages.py",
    "components/package/onnx/estimators.py",
    "components/package/onnx/graph.py",
    "components/package/onnx/preparation.py",
    "components/package/onnx/trees.py",
    "components/probe/answers.py",
    "components/probe/checks/cold_start.py",
    "components/probe/checks/malformed.py",
    "components/probe/checks/model_hash.py",
    "components/probe/checks/predictions_match.py",
    "components/probe/checks/server_alive.py",
    "components/probe/checks/server_starts.py",
    "components/probe/client.py",
    "components/probe/load.py",
    "components/probe/measuring.py",
    "components/probe/server.py",
    "components/register/registry.py",
    "components/resolve/checks.py",
    "components/serve/asgi.py",
    "components/serve/errors.py",
    "components/serve/json.py",
    "components/serve/onnx_predictor.py",
    "components/serve/parquet.py",
    "components/serve/predictor.py",
    "components/serve/recorder.py",
    "components/train/stage.py",
    "components/validate/baseline.py",
    "components/validate/checks/bad_rows.py",
    "components/validate/checks/duplicates.py",
    "components/validate/checks/groups.py",
    "components/validate/checks/identifiers.py",
    "components/validate/checks/shared_rows.py",
    "components/validate/checks/single_feature.py",
    "components/validate/checks/skew.py",
    "components/validate/checks/times.py",
    "components/validate/distance_checks.py",
    "components/validate/sample.py",
    "pipelines/cli/compile.py",
    "pipelines/cli/doctor.py",
    "pipelines/cli/image.py",
    "pipelines/cli/live_output.py",
    "pipelines/cli/main.py",
    "pipelines/cli/output.py",
    "pipelines/cli/report.py",
    "pipelines/cli/resolve.py",
    "pipelines/compile_checks/quota.py",
    "pipelines/doctor/cluster.py",
    "pipelines/doctor/cluster_reader.py",
    "pipelines/drill/faults.py",
    "pipelines/drill/models.py",
    "pipelines/form.py",
    "pipelines/local/preflight.py",
    "pipelines/local/worker_client.py",
    "pipelines/project/locked_packages.py",
    "pipelines/project/workspace.py",
}


def mirrored(module: str) -> Path:
    """Where a module's tests are: `components/serve/app.py` has `tests/serve/test_app.py`."""
    path = Path(module.removeprefix("components/"))
    return ROOT / "tests" / path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_has_its_tests_in_the_mirrored_folder(module: str) -> None:
    assert mirrored(module).is_file() is (module not in UNTESTED)


def test_only_modules_that_are_there_are_excused() -> None:
    assert set(MODULES) >= UNTESTED
