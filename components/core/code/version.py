"""The version of the code that a run executes: this library's, and the project's.

The project's code is the module or package that `model.entrypoint` or `model.estimator` names, with the modules and
packages of the same folder that it imports; what a call of it was heard to load; and the environment that files there
lock. What is installed where a run is resolved is a part of every version.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, replace
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

import modelway.components
from modelway.components.core.code.environment import hash_of, installed_packages, locked_environment
from modelway.components.core.code.loaded_files import LoadedFiles, Trace
from modelway.components.core.code.locked_requirements import requirement_lines
from modelway.components.core.code.modules import (
    all_code,
    imported_names,
    is_installation,
    location_of,
    reached_files,
    sources,
    spec_of,
    top_level,
)
from modelway.components.core.config.project import Model, Project
from modelway.components.core.errors import DamagedError, ModelwayError
from modelway.components.core.parsing import parse_json

MANIFEST_VARIABLE = "MODELWAY_PROJECT_CODE"  # names the file that says which files are the project's code


@cache
def library_hash() -> str:
    """The hash of the components' own code: what makes results that other code left in the cache stale."""
    package, digest = Path(str(modelway.components.__file__)).parent, hashlib.sha256()
    for file in sorted([*package.rglob("*.py"), *package.rglob("*.j2")]):
        digest.update(file.relative_to(package).as_posix().encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def base_version() -> str:
    """The part of every code version: `library_hash`, and after ``-e`` the hash of the packages installed here."""
    return f"{library_hash()}-e{hash_of(line.encode() for line in installed_packages())}"


@dataclass(frozen=True)
class ProjectCode:
    """A project's own code.

    Attributes:
        folder: Where its modules are, as a place to import them from.
        files: The modules' files, as paths relative to it, sorted.
        requirements: What ``requirements.txt`` there says, a line each.
        locks: What other files there lock or require of the environment, as `locked_environment` gives it.
        trace: What a call of it was heard to load and open, where it was called.
    """

    folder: Path
    files: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    locks: tuple[bytes, ...] = ()
    trace: Trace = Trace()

    @classmethod
    def beside(cls, folder: Path, project: Project, trace: Trace = Trace()) -> ProjectCode:
        """The code in a project's folder; what is imported from elsewhere is no part of it.

        Args:
            folder: Where project.yaml is.
            project: Names the entrypoint or the estimator.
            trace: What a call of it loads, where that is known. If the call failed, all code in the folder belongs
                to it.

        Raises:
            ModelwayError: a module has a syntax error or takes another one's name, or the entrypoint's module is
                missing in its package.
        """
        folder, path = folder.absolute(), model_path(project.model)
        files: set[str] = set()
        if sources(folder, top_level(path)):
            files |= set(_files(folder, path, roots=trace.roots))
            files |= set(all_code(folder)) if trace.problem else set()
        files |= set(trace.files)
        names = [name for file in trace.files if file.endswith(".py") for name in imported_names(folder / file)]
        for paths in reached_files(folder, names, roots=trace.roots).values():
            files |= {file.relative_to(folder).as_posix() for file in paths}
        return cls(folder, tuple(sorted(files)), requirement_lines(folder), locked_environment(folder), trace)

    @classmethod
    def imported(cls, path: str) -> ProjectCode:
        """The code that this process would import for ``module:name``, wherever it is.

        Raises:
            ModelwayError: as `beside`; and the module cannot be found.
        """
        name = top_level(path)
        if name == "modelway":  # the library's own: `library_hash` stands for the rest of it
            file = Path(str(_required_spec(path, path.partition(":")[0]).origin))
            return cls(file.parent, (file.name,))
        folder = location_of(_required_spec(path, name)).parent
        if is_installation(folder):
            return cls(folder, _files(folder, path))
        return cls(folder, _files(folder, path), requirement_lines(folder), locked_environment(folder))

    @classmethod
    def here(cls, path: str) -> ProjectCode:
        """The code that this process trains with: as its run or its image says; as `imported` if they name no files.

        Raises:
            ModelwayError: as `imported`; or a file that the run or the image names is not there.
        """
        manifest = Path(os.environ.get(MANIFEST_VARIABLE) or os.devnull)
        if not manifest.is_file():
            return cls.imported(path)
        try:
            content = parse_json(manifest.read_bytes())
            lists = {name: tuple(content[name]) for name in ("roots", "data_files", "outside")}
            code = cls(Path(content["folder"]), tuple(content["files"]))
            trace = Trace(**lists, problem=str(content["problem"]))
        except (ValueError, KeyError, TypeError) as error:
            raise DamagedError(
                f"{manifest} does not say which files are the project's code",
                file=str(manifest),
                remedy="make the image again with `modelway image`, or run again",
            ) from error
        return replace(code if code.files else cls.imported(path), trace=trace)

    def manifest(self, folder: str) -> str:
        """What the file says that ``MODELWAY_PROJECT_CODE`` names, for code that lies in a folder."""
        trace = {name: getattr(self.trace, name) for name in ("roots", "data_files", "problem")}
        trace["outside"] = self.trace.outside if folder == str(self.folder) else ()  # an image has none of them
        return json.dumps({"folder": folder, "files": self.files, **trace}, indent=1, sort_keys=True)

    @property
    def modules_version(self) -> str:
        """``m`` and the hash of the modules' names and contents; empty without modules.

        Raises:
            ModelwayError: a file is not there.
        """
        try:
            contents = [part for name in self.files for part in (name.encode(), (self.folder / name).read_bytes())]
        except FileNotFoundError as error:
            raise ModelwayError(
                f"{error.filename} belongs to the project's code and is not there",
                file=str(error.filename),
                key="model.entrypoint",
                remedy="put it back, and run again; in an image, make the image again with `modelway image`",
            ) from error
        return f"m{hash_of(contents)}" if self.files else ""

    @property
    def version(self) -> str:
        """`modules_version`, and the hashes of the rest, each after its letter: with hyphens between, none if empty.

        ``r``: the requirements; ``l``: the locks; ``o``: the modules outside the folder that a call of it loads.
        """
        outside = sorted(hash_of((file.name.encode(), file.read_bytes())) for file in map(Path, self.trace.outside))
        lines, modules = ([text.encode() for text in texts] for texts in (self.requirements, outside))
        parts = {"r": lines, "l": self.locks, "o": modules}
        hashes = [f"{letter}{hash_of(contents)}" for letter, contents in parts.items() if contents]
        return "-".join(filter(None, (self.modules_version, *hashes)))

    def check_loaded(self, loaded: LoadedFiles) -> None:
        """Makes sure that training loaded no module from the folder that the run's version of the code does not hold.

        Raises:
            ModelwayError: it did, so that a change of that module would not train again.
        """
        if not self.files or is_installation(self.folder):
            return
        known = {*self.files, *(os.path.relpath(file, self.folder) for file in self.trace.outside)}
        outside = [name for name in loaded.code(self.folder) if name not in known]
        if outside:
            raise ModelwayError(
                f"training loaded {outside[0]}, which is not in the version of the code that the run was started for: "
                "a change of it would not train the model again",
                file=str(self.folder / outside[0]),
                key="model.entrypoint",
                value=outside[0],
                remedy="name it in an `import` statement of the entrypoint's module, which may stand inside a function",
            )


def model_path(model: Model) -> str:
    """``module:name`` of what is fitted: the entrypoint, or the estimator's class."""
    return model.entrypoint or ":".join(str(model.estimator).rpartition(".")[::2])


def own_path(model: Model) -> str | None:
    """`model_path`, but None for an estimator that is not here or that is of an installed library."""
    path = model_path(model)
    if model.entrypoint is not None:
        return path
    spec = spec_of(top_level(path))
    is_module = spec is not None and (spec.submodule_search_locations or spec.has_location)
    return path if is_module and spec is not None and not is_installation(location_of(spec).parent) else None


def code_version(project: Project, *, project_code: str = "") -> str:
    """What a run's results depend on besides data and files: the library, what is installed, the project's code.

    Args:
        project: Names the entrypoint or the estimator.
        project_code: The version of the code beside project.yaml, where that is known. Modules that it does not name
            are looked up, but not imported: those of an installed package, say.

    Raises:
        ModelwayError: the code is not there, or something is wrong with it.
    """
    path = own_path(project.model)
    if path is not None and not project_code:
        project_code = ProjectCode.here(path).version
    elif path is not None and not _modules_part(project_code) and spec_of(top_level(path)) is not None:
        project_code = "-".join(filter(None, (ProjectCode.here(path).modules_version, project_code)))
    return f"{base_version()}-{project_code}" if project_code else base_version()


def check_code(project: Project, code_version: str) -> ProjectCode | None:
    """Makes sure that the modules that this process imports are those that a run was started for.

    Args:
        project: Names the entrypoint or the estimator.
        code_version: As `code_version` gives it; one without modules is not compared.

    Returns:
        The project's code here; None: it has none of its own.

    Raises:
        ModelwayError: the modules are others, or are not there.
    """
    expected, path = _modules_part(code_version), own_path(project.model)
    if path is None or not (expected or spec_of(top_level(path))):
        return None
    code = ProjectCode.here(path)
    if expected and code.modules_version != expected:
        raise ModelwayError(
            f"{path} is not the code that the run was started for: {code.modules_version}, not {expected}",
            file=str(code.folder),
            key="model.entrypoint" if project.model.entrypoint else "model.estimator",
            value=code.modules_version,
            remedy="on a cluster run `modelway image` and `modelway compile` again, and start the pipeline that they "
            "give; else run again, without changing the modules meanwhile",
        )
    return code


def trains_elsewhere(project_code: str) -> bool:
    """Whether the version of a project's code names modules or requirements, which an image of its own has."""
    return any(part.startswith(("m", "r")) for part in project_code.split("-"))


def _modules_part(version: str) -> str:
    """The part of a code version that stands for the modules; empty if there is none."""
    return next((part for part in version.split("-") if part.startswith("m")), "")


def _required_spec(path: str, module: str) -> ModuleSpec:
    spec = spec_of(module)
    if spec is None:
        raise _missing(path)
    return spec


def _missing(path: str) -> ModelwayError:
    module = path.partition(":")[0]
    return ModelwayError(
        f"the module {module!r} cannot be found",
        key="model.entrypoint",
        value=path,
        remedy=f"put {module.replace('.', '/')}.py beside project.yaml or install its package; on a cluster, put it "
        "into the image that train_model runs in, by `modelway image` and `modelway compile`",
    )


def _files(folder: Path, path: str, *, roots: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The files of the top-level module or package of ``module:name``, and of what it imports from the same folder."""
    module = path.partition(":")[0]
    modules = reached_files(folder, [top_level(path)], roots=roots)
    relative = {file.relative_to(folder).as_posix() for files in modules.values() for file in files}
    prefix = module.replace(".", "/")
    if not any(
        name.startswith((f"{prefix}.", f"{prefix}/__init__.")) and name.endswith((".py", ".so")) for name in relative
    ):
        raise _missing(path)
    return tuple(sorted(relative))
