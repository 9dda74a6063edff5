"""Finds the files of modules that lie beside a project, by reading them: nothing is imported."""

from __future__ import annotations

import ast
import importlib.util
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from tempfile import gettempdir

from modelway.components.core.errors import ModelwayError, first_line

CODE_SUFFIXES = frozenset({".py", ".so", ".pyd", ".pyx"})
_INSTALLATIONS = {"site-packages", "dist-packages"}
_FOLDERS_OF_OTHERS = _INSTALLATIONS | {"node_modules"}
_MOST_FILES = 5000


def top_level(module: str) -> str:
    """The name of the top-level module or package of a module, or of ``module:name``."""
    return module.partition(":")[0].partition(".")[0]


def spec_of(module: str) -> ModuleSpec | None:
    """The spec of a module that would be imported; None if there is none."""
    try:
        return importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):  # a package without the submodule; a module that was not imported by name
        return None


def location_of(spec: ModuleSpec) -> Path:
    """A module's file, or a package's folder."""
    return Path(next(iter(spec.submodule_search_locations or [str(spec.origin)])))


def is_installation(folder: Path) -> bool:
    """Whether packages are installed in a folder, as in ``site-packages``."""
    return folder.name in _INSTALLATIONS or any(folder.glob("*.dist-info"))


def reached_files(folder: Path, names: Iterable[str], *, roots: Sequence[str] = ()) -> dict[str, list[Path]]:
    """The files of top-level modules in a folder, and of those that they import from there, by the modules' names.

    Args:
        folder: Where they lie.
        names: The modules to begin with.
        roots: Further folders below it that are imported from.

    Raises:
        ModelwayError: a module has a syntax error, or takes another one's name.
    """
    modules: dict[str, list[Path]] = {}
    pending = list(names)
    places = [folder, *(folder / root for root in roots)]
    while pending:
        name = pending.pop()
        if name not in modules:
            modules[name] = next(filter(None, (sources(place, name) for place in places)), [])
            if not is_installation(folder):
                pending += [module for file in modules[name] if file.suffix == ".py" for module in imported_names(file)]
    return modules


def sources(folder: Path, name: str) -> list[Path]:
    """A module's file in a folder; of a package all files but bytecode and what is hidden; none if neither is there.

    A folder without Python files is no package, though Python would take it for one of a namespace.
    """
    PathFinder.invalidate_caches()  # of a file that was written a moment ago
    spec = PathFinder.find_spec(name, [str(folder)])
    if spec is None:
        return []
    location = location_of(spec)
    files = [location] if location.is_file() else [path for path in location.rglob("*") if _belongs(path, location)]
    if not any(path.suffix in {".py", ".so"} for path in files):
        return []
    owner = {"modelway": "Modelway"}.get(name, "the standard library" if name in sys.stdlib_module_names else "")
    if owner:
        raise ModelwayError(
            f"{location.name} takes the name of a module of {owner}",
            file=str(location),
            value=name,
            remedy="give it another name, there and where it is imported",
        )
    return files


def imported_names(file: Path) -> Iterator[str]:
    """The top-level names that a module imports, also inside its functions."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last two of what is nested deep
        line = getattr(error, "lineno", None) or 1
        raise ModelwayError(
            f"{file.name} is not valid Python {sys.version_info.major}.{sys.version_info.minor}: {first_line(error)}",
            file=str(file),
            line=line,
            remedy="correct it; the modules that a project's code imports are read to find what belongs to it",
        ) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (top_level(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield top_level(node.module)


def is_own_file(file: Path, folder: Path) -> bool:
    """Whether a file lies below a project's folder and is the project's.

    Files of an environment, a cache, a place for temporary files and Modelway itself are not.
    """
    if not file.is_relative_to(folder):
        return False
    parts = file.relative_to(folder).parts
    foreign = any(part.startswith(".") or part == "__pycache__" or part in _FOLDERS_OF_OTHERS for part in parts)
    below = [place for place in (Path(sys.prefix), Path(gettempdir())) if folder in place.parents]
    return not foreign and not any(place != folder and file.is_relative_to(place) for place in (*_own_places(), *below))


def is_installed_file(file: Path) -> bool:
    """Whether a file is the standard library's, an installed package's, or Modelway's."""
    libraries = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    places = {*libraries, *(place.resolve() for place in libraries), *_own_places()}
    return bool(_INSTALLATIONS & set(file.parts)) or any(file.is_relative_to(place) for place in places)


@cache
def _own_places() -> tuple[Path, ...]:
    """Modelway's own packages, also where they are installed to be edited."""
    import modelway.components

    file = Path(str(modelway.components.__file__))
    own = {file.parent, file.resolve().parent}
    return (*own, *(folder.with_name("pipelines") for folder in own))


def all_code(folder: Path) -> tuple[str, ...]:
    """Every file of code below a project's folder, relative to it, in order: environments and hidden folders apart.

    Raises:
        ModelwayError: there are so many that the folder is not a project's alone.
    """
    files: list[str] = []
    pending = [folder]
    while pending:
        for path in pending.pop().iterdir():
            if not is_own_file(path, folder) or (path / "pyvenv.cfg").is_file():
                continue
            if path.is_dir() and not path.is_symlink():
                pending.append(path)
            elif path.suffix in CODE_SUFFIXES and path.is_file():
                files.append(path.relative_to(folder).as_posix())
        if len(files) > _MOST_FILES:
            raise ModelwayError(
                f"{folder} holds more than {_MOST_FILES:,} files of code",
                file=str(folder),
                remedy="move project.yaml with its modules to a folder of their own, or correct the function that "
                "`model.entrypoint` names, so that a call of it shows what it loads",
            )
    return tuple(sorted(files))


def _belongs(path: Path, package: Path) -> bool:
    parts = path.relative_to(package).parts
    is_hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return path.is_file() and not is_hidden and path.suffix not in {".pyc", ".pyo"}
