"""Models on disk: MLflow's folder format, loaded without executing what a file says to execute.

Modules of the user's own that a model needs are in its folder, and are imported from there. The skops format names the
types that it holds; we load those listed in `trusted_types` and those that the policy trusts, and no others, whatever
the model's own metadata claims. Only a model that does not fit in skops is pickled, and says so.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from modelway.components.core.errors import DamagedError, ModelwayError, RejectedError, first_line
from modelway.components.core.parsing import MOST_BYTES, parse_json
from modelway.components.core.storage.model_code import code_folder, import_from, module_names, pickled_modules
from modelway.components.core.storage.trusted_types import TRUSTED_TYPES
from modelway.components.core.storage.uri import sha256_of
from modelway.components.core.storage.yaml_text import parse_yaml

STEPS_FILE = "steps.skops"
_STATE_LOADERS = {"DTypeNode", "DictNode", "FunctionNode", "ObjectNode", "SparseMatrixNode", "TreeNode", "TypeNode"}


@dataclass(frozen=True)
class HeldTypes:
    """The types in a skops file that skops does not trust by itself, by their full names.

    Attributes:
        names: All of them.
        untrusted: Those that are not trusted here either.
    """

    names: tuple[str, ...]
    untrusted: tuple[str, ...]

    @classmethod
    def read(cls, dumped: bytes, trusted_types: Collection[str] = ()) -> HeldTypes:
        """Reads the types in a skops file without loading anything.

        Those of `TRUSTED_TYPES` are trusted where the file names them or sets their state, and not where it would call
        them with arguments of its own.

        Args:
            dumped: The file's bytes.
            trusted_types: Further types that the policy trusts.

        Raises:
            Exception: of any kind, if it is not a skops file.
        """
        import skops.io

        with zipfile.ZipFile(BytesIO(dumped)) as archive, archive.open("schema.json") as file:
            schema = parse_json(file.read(MOST_BYTES + 1))
        names = tuple(skops.io.get_untrusted_types(data=dumped))
        loaders = defaultdict(set)
        for loader, name in _nodes(schema):
            loaders[name].add(loader)
        trusted = {name for name in TRUSTED_TYPES & loaders.keys() if loaders[name] <= _STATE_LOADERS}
        return cls(names, tuple(name for name in names if name not in trusted and name not in trusted_types))


def _nodes(schema: object) -> Iterator[tuple[str, str]]:
    """Every node of a skops schema: the loader that it asks for, and the full name of its type."""
    if isinstance(schema, dict):
        if "__loader__" in schema:
            yield schema["__loader__"], f"{schema['__module__']}.{schema['__class__']}"
        schema = list(schema.values())
    if isinstance(schema, list):
        for value in schema:
            yield from _nodes(value)


def load_skops(path: Path, trusted_types: Collection[str] = (), *, code: Path | None = None) -> Any:
    """Loads an object from a skops file that holds trusted types only.

    Args:
        path: The file.
        trusted_types: Types that the policy trusts besides `TRUSTED_TYPES`, by their full names.
        code: The folder of the model's own modules, which are imported if the policy trusts a type of theirs.

    Raises:
        RejectedError: it holds another type; names it.
        DamagedError: it is not a skops file.
    """
    import skops.io

    dumped = path.read_bytes()
    try:
        types = HeldTypes.read(dumped, trusted_types)
    except Exception as error:  # of any kind, from a damaged file
        raise _damaged(path, "a model in skops' format", error) from error
    if types.untrusted:
        raise RejectedError(
            f"{path} holds {', '.join(types.untrusted)}: not among the types that models may be made of",
            file=str(path),
            value=types.untrusted[0],
            remedy="train the model again with `modelway run`, or, if you know what it does when it is loaded, add its "
            "full name to `model.trusted_types` in policy.yaml; nothing was loaded",
        )
    trusted_modules = {name.partition(".")[0] for name in set(types.names) - TRUSTED_TYPES}
    if code is not None and trusted_modules & module_names(code):
        import_from(code)
    return skops.io.loads(dumped, trusted=list(types.names))


def required_modules(folder: Path) -> set[str]:
    """The top-level modules that a model's file names and its folder does not bring, read without loading anything.

    Raises:
        RejectedError: MLmodel names a file outside the folder.
        ModelwayError: the folder holds no model that we wrote.
    """
    flavor, path = _flavor(folder)
    content = path.read_bytes()
    try:
        if flavor["serialization_format"] == "skops":
            modules = {name.rpartition(".")[0] for name in HeldTypes.read(content).names}
        else:
            modules = pickled_modules(content)
    except Exception as error:  # of any kind, from a damaged file
        raise _damaged(path, "a model", error) from error
    code = code_folder(folder, flavor)
    return {module.partition(".")[0] for module in modules} - (module_names(code) if code is not None else set())


def _damaged(path: Path, kind: str, error: Exception) -> DamagedError:
    return DamagedError(
        f"{path} cannot be read as {kind}: {first_line(error)}",
        file=str(path),
        remedy="train the model again; nothing was loaded",
    )


def load_model(folder: str | Path, trusted_types: Collection[str] = ()) -> Any:
    """Loads the fitted pipeline from a model's folder, as MLflow lays it out.

    Args:
        folder: The model's folder.
        trusted_types: Types that the policy trusts besides `TRUSTED_TYPES`, by their full names.

    Raises:
        RejectedError: the model holds a type that is not trusted, or MLmodel names a file outside the folder.
        ModelwayError: the folder holds no model that we wrote, or its modules are not here or fail.
    """
    folder = Path(folder)
    flavor, path = _flavor(folder)
    code = code_folder(folder, flavor)
    try:
        if flavor["serialization_format"] == "skops":
            return load_skops(path, trusted_types, code=code)
        import cloudpickle

        if code is not None:
            import_from(code)
        with path.open("rb") as file:
            return cloudpickle.load(file)
    except ModelwayError:
        raise
    except Exception as error:  # of any kind: from the project's modules, which are executed
        raise _load_error(error, folder, code=code) from error


def _load_error(error: Exception, folder: Path, *, code: Path | None) -> ModelwayError:
    """What to say of an error of the modules that a model is made of."""
    name = getattr(error, "filename", None)
    missing = Path(str(name)) if isinstance(error, FileNotFoundError) and name else None
    if code is not None and missing is not None and missing.is_relative_to(code.absolute()):
        relative = missing.relative_to(code.absolute()).as_posix()
        return ModelwayError(
            f"the model cannot be loaded: its code reads {relative}, which is not in the model's folder",
            file=str(folder),
            key="model.entrypoint",
            value=relative,
            remedy=f"move {relative} into a package of yours (a folder with __init__.py beside project.yaml), all of "
            "whose files go with the model and belong to the version of the code; or read it in the training function "
            "and keep what it says in the model",
        )
    return ModelwayError(
        f"the model cannot be loaded: {first_line(error)}",
        file=str(folder),
        remedy="train it again with its class in a module or package beside project.yaml, which is packaged with "
        "the model, or in a locked package that is installed where it is served",
    )


def _flavor(folder: Path) -> tuple[dict[str, Any], Path]:
    """What MLmodel says of a scikit-learn model, and the file that holds it."""
    try:
        flavor = parse_yaml((folder / "MLmodel").read_text(encoding="utf-8")).content["flavors"]["sklearn"]
        path, _ = folder / flavor["pickled_model"], flavor["serialization_format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelwayError(
            f"{folder} holds no scikit-learn model in MLflow's format",
            file=str(folder),
            remedy="point to a model that `modelway run` trained",
        ) from error
    if not path.resolve().is_relative_to(folder.resolve()):
        raise RejectedError(
            f"MLmodel names a file outside its folder: {flavor['pickled_model']}",
            file=str(folder / "MLmodel"),
            value=str(flavor["pickled_model"]),
            remedy="train the model again with `modelway run`; nothing was loaded",
        )
    return flavor, path


def model_metadata(folder: str | Path) -> dict[str, Any]:
    """The metadata that MLmodel in a model's folder holds; empty where it is not readable or has none."""
    try:
        metadata = parse_yaml((Path(folder) / "MLmodel").read_text(encoding="utf-8")).content["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def folder_sha256(folder: str | Path) -> str:
    """The hash of a folder's file names and contents: what evidence binds a model to."""
    return sha256_of(Path(folder))
