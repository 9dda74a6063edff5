"""The version of the code that a run executes: this library's, and the project's.

The project's code is the module or package that `model.entrypoint` names, with the modules and packages of the same
folder that it imports, and what ``requirements.txt`` there says. Nothing is imported to find it.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import modelway.components
from modelway.components.core.code.locked_requirements import requirement_lines
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError, first_line


@cache
def library_hash() -> str:
    """The hash of the components' own code: what makes results that other code left in the cache stale."""
    package, digest = Path(str(modelway.components.__file__)).parent, hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.j2")]):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class ProjectCode:
    """A project's own code.

    Attributes:
        folder: Where its modules are, as a place to import them from.
        files: The modules' files, as paths relative to it, sorted.
        requirements: What ``requirements.txt`` there says, a line each.
    """

    folder: Path
    files: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    @classmethod
    def beside(cls, folder: Path, project: Project) -> ProjectCode:
        """The code in a project's folder; what is imported from elsewhere is no part of it.

        Args:
            folder: Where project.yaml is.
            project: Names the entrypoint.

        Raises:
            ModelwayError: a module has a syntax error or takes another one's name, or the entrypoint's module is
                missing in its package.
        """
        folder, entrypoint = folder.absolute(), project.model.entrypoint
        is_beside = entrypoint is not None and _sources(folder, _top_level(entrypoint))
        return cls(folder, _files(folder, str(entrypoint)) if is_beside else (), requirement_lines(folder))

    @classmethod
    def imported(cls, entrypoint: str) -> ProjectCode:
        """The code that this process would import for an entrypoint, wherever it is.

        Raises:
            ModelwayError: as `beside`; and the module cannot be found.
        """
        name = _top_level(entrypoint)
        if name == "modelway":  # the library's own: `library_hash` stands for the rest of it
            file = Path(str(_required_spec(entrypoint, entrypoint.partition(":")[0]).origin))
            return cls(file.parent, (file.name,))
        folder = _location(_required_spec(entrypoint, name)).parent
        requirements = () if _is_installation(folder) else requirement_lines(folder)
        return cls(folder, _files(folder, entrypoint), requirements)

    @property
    def modules_version(self) -> str:
        """``m`` and the hash of the modules' names and contents; empty without modules."""
        contents = (part for name in self.files for part in (name.encode(), (self.folder / name).read_bytes()))
        return f"m{_hash(contents)}" if self.files else ""

    @property
    def version(self) -> str:
        """`modules_version` and, after a hyphen, ``r`` and the requirements' hash; either is left out where empty."""
        requirements = f"r{_hash(line.encode() for line in self.requirements)}" if self.requirements else ""
        return "-".join(filter(None, (self.modules_version, requirements)))


def code_version(project: Project, *, project_code: str = "") -> str:
    """What a run's results depend on besides data and files: the library's hash, and the project's code.

    Args:
        project: Names the entrypoint.
        project_code: The version of the code beside project.yaml, where that is known. Modules that it does not name
            are looked up, but not imported: those of an installed package, say.

    Raises:
        ModelwayError: the code is not there, or something is wrong with it.
    """
    entrypoint = project.model.entrypoint
    if entrypoint is not None and not project_code:
        project_code = ProjectCode.imported(entrypoint).version
    elif entrypoint is not None and not _modules_part(project_code) and _spec(_top_level(entrypoint)) is not None:
        project_code = f"{ProjectCode.imported(entrypoint).modules_version}-{project_code}"
    return f"{library_hash()}-{project_code}" if project_code else library_hash()


def check_code(project: Project, code_version: str) -> None:
    """Makes sure that the modules that this process imports are those that a run was started for.

    Args:
        project: Names the entrypoint.
        code_version: As `code_version` gives it; one without modules is not compared.

    Raises:
        ModelwayError: the modules are others, or are not there.
    """
    expected = _modules_part(code_version)
    if project.model.entrypoint is None or not expected:
        return
    code = ProjectCode.imported(project.model.entrypoint)
    if code.modules_version != expected:
        raise ModelwayError(
            f"{project.model.entrypoint} is not the code that the run was started for: {code.modules_version}, not "
            f"{expected}",
            file=str(code.folder),
            key="model.entrypoint",
            value=code.modules_version,
            remedy="on a cluster run `modelway image` and `modelway compile` again, and start the pipeline that they "
            "give; else run again, without changing the modules meanwhile",
        )


def _modules_part(version: str) -> str:
    """The part of a code version that stands for the modules; empty if there is none."""
    return next((part for part in version.split("-") if part.startswith("m")), "")


def _top_level(entrypoint: str) -> str:
    """The name of an entrypoint's top-level module or package."""
    return entrypoint.partition(":")[0].partition(".")[0]


def _spec(module: str) -> ModuleSpec | None:
    """The spec of a module that would be imported; None if there is none."""
    try:
        return importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):  # a package without the submodule; a module that was not imported by name
        return None


def _required_spec(entrypoint: str, module: str) -> ModuleSpec:
    spec = _spec(module)
    if spec is None:
        raise _missing(entrypoint)
    return spec


def _missing(entrypoint: str) -> ModelwayError:
    module = entrypoint.partition(":")[0]
    return ModelwayError(
        f"the module {module!r} cannot be found",
        key="model.entrypoint",
        value=entrypoint,
        remedy=f"put {module.replace('.', '/')}.py beside project.yaml or install its package; on a cluster, put it "
        "into the image that train_model runs in, by `modelway image` and `modelway compile`",
    )


def _location(spec: ModuleSpec) -> Path:
    """A module's file, or a package's folder."""
    return Path(next(iter(spec.submodule_search_locations or [str(spec.origin)])))


def _is_installation(folder: Path) -> bool:
    """Whether packages are installed in a folder, as in ``site-packages``."""
    return any(folder.glob("*.dist-info"))


def _files(folder: Path, entrypoint: str) -> tuple[str, ...]:
    """The files of an entrypoint's top-level module or package, and of what it imports from the same folder."""
    modules: dict[str, list[Path]] = {}
    names = [_top_level(entrypoint)]
    while names:
        name = names.pop()
        if name not in modules:
            modules[name] = _sources(folder, name)
            if not _is_installation(folder):
                names += [module for file in modules[name] if file.suffix == ".py" for module in _imports(file)]
    relative = {file.relative_to(folder).as_posix() for files in modules.values() for file in files}
    path = entrypoint.partition(":")[0].replace(".", "/")
    if not any(
        name.startswith((f"{path}.", f"{path}/__init__.")) and name.endswith((".py", ".so")) for name in relative
    ):
        raise _missing(entrypoint)
    return tuple(sorted(relative))


def _sources(folder: Path, name: str) -> list[Path]:
    """A module's file in a folder; of a package all files but bytecode and what is hidden; none if neither is there.

    A folder without Python files is no package, though Python would take it for one of a namespace.
    """
    PathFinder.invalidate_caches()  # of a file that was written a moment ago
    spec = PathFinder.find_spec(name, [str(folder)])
    if spec is None:
        return []
    location = _location(spec)
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


def _belongs(path: Path, package: Path) -> bool:
    parts = path.relative_to(package).parts
    is_hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
    return path.is_file() and not is_hidden and path.suffix not in {".pyc", ".pyo"}


def _imports(file: Path) -> Iterator[str]:
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
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _hash(parts: Iterator[bytes]) -> str:
    """The first 16 digits of the SHA-256 of parts, each with its length, so that none runs into the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)} ".encode() + part)
    return digest.hexdigest()[:16]
