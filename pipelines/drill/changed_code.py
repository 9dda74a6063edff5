"""Changes of a project's code that its version must tell, or the old model would be taken from the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelway.components.core.checks import Gate, passed_or_failed
from modelway.components.core.code.version import ProjectCode
from modelway.components.core.config.contract import Contract
from modelway.components.core.config.project import Project
from modelway.pipelines.project.traced_call import trace_call

_TRAINING = """import importlib


def fit(features, label, **parameters):
    return importlib.import_module("drill_" + "helper").fit(features, label, **parameters)
"""
_HELPER = "from modelway.pipelines.drill.models import fit\n"


def changed_helper(project: Project, contract: Contract, folder: Path) -> Gate:
    """Changes a module that the training function imports by a computed name, which no reader of the code can see.

    Args:
        project: The project, whose model the function fits.
        contract: Its contract.
        folder: A new folder for the modules.

    Returns:
        The gate ``code``; its check ``code_version`` fails if the version tells the change.
    """
    folder.mkdir()
    (folder / "drill_training.py").write_text(_TRAINING, encoding="utf-8")
    (folder / "drill_helper.py").write_text(_HELPER, encoding="utf-8")
    parameters = {"fault": "", "model": project.canonical()}
    model: dict[str, Any] = {"entrypoint": "drill_training:fit", "parameters": parameters}
    model["class_weight"] = project.model.class_weight
    project = Project.model_validate({**project.model_dump(), "model": model})
    code = ProjectCode.beside(folder, project, trace_call(folder, project, contract))
    before = code.version
    (folder / "drill_helper.py").write_text(f"{_HELPER}# changed\n", encoding="utf-8")
    is_same = code.version == before
    message = "the code's version changes with the module, so that the model is trained again"
    if is_same:
        message = "the code's version is the same after the change, so that the old model would be served from cache"
    return Gate(name="code", checks=(passed_or_failed("code_version", passed=is_same, message=message),))
