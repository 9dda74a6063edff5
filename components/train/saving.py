"""Writes a fitted pipeline in MLflow's folder format, in skops if the format can hold it."""

from __future__ import annotations

import logging
import platform
import shutil
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from modelway.components.core.code.modules import is_installation
from modelway.components.core.code.version import ProjectCode
from modelway.components.core.errors import first_line
from modelway.components.core.storage.model_code import METADATA_KEY, module_names, pickled_modules
from modelway.components.core.storage.models import HeldTypes

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

log = logging.getLogger(__name__)
_COLUMN_TYPES = {"f": "double", "M": "datetime", "O": "string"}
_PACKAGES = ("scikit-learn", "skops", "numpy", "pandas")


def save(
    pipeline: Pipeline,
    folder: str,
    *,
    examples: pd.DataFrame,
    model_id: str,
    run_id: str,
    location: str,
    trusted_types: Collection[str] = (),
    code: ProjectCode | None = None,
    data_files: Collection[str] = (),
    metadata: Mapping[str, str] | None = None,
) -> str:
    """Saves a pipeline with its signature and input examples, and with the project's code if it names a module of it.

    Args:
        pipeline: The fitted pipeline.
        folder: The folder to write; must not exist or be empty.
        examples: A few raw rows, as model input.
        model_id: The model's id in MLflow.
        run_id: The MLflow run that trained it.
        location: Where MLflow keeps the model's files.
        trusted_types: Types that the policy trusts besides those that are trusted here, by their full names.
        code: The project's own code.
        data_files: Files in its folder that training opened, which are no code.
        metadata: What to write into MLmodel's own metadata.

    Returns:
        The format: ``skops``, or ``cloudpickle`` if the model holds types that skops cannot or must not load.
    """
    import mlflow.sklearn
    from mlflow.models import Model, ModelSignature
    from mlflow.models.signature import infer_signature
    from mlflow.types import ColSpec, Schema

    inputs = Schema([ColSpec(_COLUMN_TYPES[examples[name].dtype.kind], str(name)) for name in examples.columns])
    outputs = infer_signature(model_output=pipeline.predict(examples)).outputs
    trusted, reason = _skops_types(pipeline, trusted_types)
    if trusted is None:
        log.warning("the model is pickled, since %s; loading it will execute code", reason)
    described: dict[str, Any] = dict(metadata or {})
    if code is not None and code.files:
        described[METADATA_KEY] = _described(code, data_files)
    with warnings.catch_warnings(), _quiet_mlflow(), _needed_code(pipeline, code, skops_types=trusted) as code_paths:
        warnings.simplefilter("ignore")
        mlflow.sklearn.save_model(
            pipeline,
            folder,
            mlflow_model=Model(artifact_path=location, model_uuid=model_id, run_id=run_id, model_id=model_id),
            code_paths=code_paths,
            serialization_format="skops" if trusted is not None else "cloudpickle",
            skops_trusted_types=trusted,
            signature=ModelSignature(inputs=inputs, outputs=outputs),
            input_example=examples,
            conda_env=_environment([]),
            metadata=described or None,
        )
    # Written here, since MLflow would take a second to look every installed package up.
    pinned = _requirements(pipeline, trusted)
    Path(folder, "requirements.txt").write_text("\n".join(pinned) + "\n", encoding="utf-8")
    Path(folder, "conda.yaml").write_text(yaml.safe_dump(_environment(pinned), sort_keys=False), encoding="utf-8")
    return "skops" if trusted is not None else "cloudpickle"


def _skops_types(pipeline: Pipeline, trusted_types: Collection[str]) -> tuple[list[str] | None, str]:
    """Returns the types to trust when loading from skops; or None and the reason why it cannot be used."""
    import skops.io

    try:
        types = HeldTypes.read(skops.io.dumps(pipeline), trusted_types)
    except Exception as error:
        return None, f"skops cannot hold it ({first_line(error)})"
    if types.untrusted:
        names = ", ".join(types.untrusted)
        return None, f"it holds {names}, which neither Modelway nor the policy's `model.trusted_types` trusts"
    return list(types.names), ""


def _described(code: ProjectCode, data_files: Collection[str]) -> dict[str, Any]:
    """What the model's folder says of the code: what is in its version, and what was opened and is not."""
    opened = sorted({*data_files, *code.trace.data_files} - set(code.files))
    return {"files": list(code.files), "data_files": opened, "problem": code.trace.problem}


@contextmanager
def _needed_code(
    pipeline: Pipeline, code: ProjectCode | None, *, skops_types: Collection[str] | None
) -> Iterator[list[str] | None]:
    """The modules and packages to put into the model's folder, as MLflow takes them: all of the code, or none."""
    if code is None or not code.files or is_installation(code.folder):
        yield None
        return
    import cloudpickle

    with TemporaryDirectory() as work:
        for name in code.files:
            root = max((root for root in code.trace.roots if name.startswith(f"{root}/")), key=len, default="")
            copy = Path(work, name.removeprefix(f"{root}/") if root else name)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(code.folder / name, copy)
        modules = pickled_modules(cloudpickle.dumps(pipeline)) if skops_types is None else set(skops_types)
        is_needed = bool({name.partition(".")[0] for name in modules} & module_names(Path(work)))
        yield sorted(map(str, Path(work).iterdir())) if is_needed else None


def _environment(pinned: list[str]) -> dict[str, Any]:
    python = f"python={platform.python_version()}"
    return {"name": "modelway", "dependencies": [python, "pip", {"pip": pinned}]}


def _requirements(pipeline: Pipeline, trusted: list[str] | None) -> list[str]:
    """Lists the packages that the model needs, pinned."""
    libraries = {type(pipeline.steps[-1][1]).__module__, *(trusted or ["cloudpickle", "modelway"])}
    other_libraries = {name.split(".")[0] for name in libraries} - {"sklearn", "numpy", "pandas", "builtins"}
    names = [*_PACKAGES, *sorted(other_libraries)]
    pinned = []
    for name in names:
        try:
            pinned.append(f"{name}=={version(name)}")
        except PackageNotFoundError:  # of the user's own module
            log.info("%s is not an installed distribution, so the model's requirements do not name it", name)
    return pinned


@contextmanager
def _quiet_mlflow() -> Iterator[None]:
    """Keeps MLflow's advice about pip out of a stage's log."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
