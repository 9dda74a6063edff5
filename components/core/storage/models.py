"""Models on disk: MLflow's folder format, loaded without executing what a file says to execute.

The skops format names the types it holds; we load those of the libraries listed here and no others, whatever the
model's own metadata claims. Only a model that does not fit in skops is pickled, and says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from modelway.components.core.errors import ModelwayError, first_line
from modelway.components.core.storage.uri import sha256_of

TRUSTED_LIBRARIES = ("numpy", "pandas", "scipy", "sklearn", "xgboost", "lightgbm", "catboost", "modelway")
STEPS_FILE = "steps.skops"


def is_trusted(type_name: str) -> bool:
    """Whether a type, named with its module, belongs to a library that models may be made of."""
    return type_name.split(".", maxsplit=1)[0] in TRUSTED_LIBRARIES


def load_skops(path: Path) -> Any:
    """Loads an object from a skops file that holds types of trusted libraries only.

    Raises:
        ModelwayError: it holds another type; names it.
    """
    import skops.io

    names = list(skops.io.get_untrusted_types(file=path))
    untrusted = [name for name in names if not is_trusted(name)]
    if untrusted:
        raise ModelwayError(
            f"{path} holds the type {untrusted[0]}, which is not of a trusted library",
            file=str(path),
            value=untrusted[0],
            remedy=f"models here are made of {', '.join(TRUSTED_LIBRARIES)}; train it again with `modelway run`",
        )
    return skops.io.load(path, trusted=names)


def load_model(folder: str | Path) -> Any:
    """Loads the fitted pipeline from a model's folder, as MLflow lays it out.

    Raises:
        ModelwayError: the folder holds no model that we wrote, a type that is not trusted, or a class of a module that
            is not here.
    """
    folder = Path(folder)
    try:
        flavor = yaml.safe_load((folder / "MLmodel").read_text(encoding="utf-8"))["flavors"]["sklearn"]
        path, serialization = folder / flavor["pickled_model"], flavor["serialization_format"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ModelwayError(
            f"{folder} holds no scikit-learn model in MLflow's format",
            file=str(folder),
            remedy="point to a model that `modelway run` trained",
        ) from error
    if serialization == "skops":
        return load_skops(path)
    import cloudpickle

    try:
        with path.open("rb") as file:
            return cloudpickle.load(file)
    except (ImportError, AttributeError) as error:  # it names classes by their modules
        raise ModelwayError(
            f"the model cannot be loaded: {first_line(error)}",
            file=str(folder),
            remedy="load it where the modules are that it was trained with: beside project.yaml, or in the image that "
            "`modelway image` made of them",
        ) from error


def folder_sha256(folder: str | Path) -> str:
    """The hash of a folder's file names and contents: what evidence binds a model to."""
    return sha256_of(Path(folder))
