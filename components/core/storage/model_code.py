"""The user's own modules in a model's folder, in ``code/`` as MLflow lays it out; and which modules a model names.

They are executed by whoever loads the model, so they are hashed, blessed and signed with it; what verifies the folder
verifies them. They come before what else has their names: they are what the model was trained with.
"""

from __future__ import annotations

import pickletools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelway.components.core.errors import RejectedError
from modelway.components.core.storage.yaml_text import parse_yaml

CODE_FOLDER = "code"  # MLflow's name, which MLmodel repeats in each flavor
METADATA_KEY = "modelway_code"  # in MLmodel's metadata
MOST_LISTED = 20


def code_folder(model: Path, flavor: Mapping[str, Any]) -> Path | None:
    """The folder of a model's own modules; None: it has none.

    Args:
        model: The model's folder.
        flavor: A flavor in its MLmodel.

    Raises:
        RejectedError: MLmodel names a folder outside the model's.
    """
    name = flavor.get("code")
    if not name:
        return None
    folder = model / str(name)
    if not folder.resolve().is_relative_to(model.resolve()) or folder.resolve() == model.resolve():
        raise RejectedError(
            f"MLmodel names a folder of code outside its own: {name}",
            file=str(model / "MLmodel"),
            value=str(name),
            remedy="train the model again with `modelway run`; nothing was loaded",
        )
    return folder if folder.is_dir() else None


def code_facts(model: Path) -> dict[str, str | int | float | None]:
    """What a report says of the project's code that a model was trained with; nothing if there was none."""
    try:
        metadata = parse_yaml((model / "MLmodel").read_text(encoding="utf-8")).content["metadata"][METADATA_KEY]
        files, data_files, problem = metadata["files"], metadata["data_files"], metadata["problem"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    facts: dict[str, str | int | float | None] = {"code_files": _listed(files)}
    if data_files:
        facts["data_files_read_by_code"] = f"{_listed(data_files)}: not in the code's version, a change trains nothing"
    return facts | ({"code_could_not_be_called": str(problem)} if problem else {})


def _listed(names: Sequence[object]) -> str:
    text = ", ".join(map(str, names[:MOST_LISTED]))
    return f"{text} and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else text


def module_names(folder: Path) -> set[str]:
    """The top-level modules and packages in a folder."""
    return {path.name.partition(".")[0] for path in folder.iterdir() if path.is_dir() or path.suffix in {".py", ".so"}}


def import_from(folder: Path) -> None:
    """Has this process import the modules in a model's folder from there, and leave no bytecode beside them."""
    names = module_names(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] in names]:
        del sys.modules[name]  # of another model, or of the project as it is now
    sys.path.insert(0, str(folder.absolute()))
    sys.dont_write_bytecode = True  # it would change the model's hash


@contextmanager
def separate_modules() -> Iterator[None]:
    """After the block, modules that models brought with them are forgotten: another model may have others so named."""
    path, modules, writes_none = list(sys.path), dict(sys.modules), sys.dont_write_bytecode
    try:
        yield
    finally:
        brought = [place for place in sys.path if place not in path]
        sys.path[:] = path
        sys.dont_write_bytecode = writes_none
        names = {name for place in brought if Path(place).is_dir() for name in module_names(Path(place))}
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in modules.items() if name not in sys.modules})


def pickled_modules(pickled: bytes) -> set[str]:
    """The modules that a pickle names, read without loading anything.

    Raises:
        ValueError: it is not a pickle.
    """
    modules: set[str] = set()
    memo: dict[int, str] = {}
    texts: list[str] = []  # those that were pushed; of any other value the empty one
    for opcode, argument, _ in pickletools.genops(pickled):
        name = opcode.name
        if name in {"GLOBAL", "INST"}:
            modules.add(str(argument).split(" ", 1)[0])
        elif name == "STACK_GLOBAL" and len(texts) > 1:
            modules.add(texts[-2])
        elif name == "MEMOIZE":
            memo[len(memo)] = texts[-1] if texts else ""
        elif name in {"BINPUT", "LONG_BINPUT", "PUT"}:
            memo[int(argument or 0)] = texts[-1] if texts else ""
        elif name in {"BINGET", "LONG_BINGET", "GET"}:
            texts.append(memo.get(int(argument or 0), ""))
        elif name not in {"PROTO", "FRAME"}:
            texts.append(argument if isinstance(argument, str) else "")
        del texts[:-2]
    return {module for module in modules if module}
