"""Problems of a project's pipeline that are known when it is compiled, each with its line of project.yaml."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from types import MappingProxyType
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from modelway.components.core.code.version import trains_elsewhere
from modelway.components.core.config.document import line_of
from modelway.components.core.config.project import DEFAULT_STAGE
from modelway.components.core.errors import ModelwayError
from modelway.components.core.oci.image import CODE_LABEL, is_pinned
from modelway.components.core.storage.uri import is_uri
from modelway.pipelines.cluster_settings import CODE_STAGES
from modelway.pipelines.project.workspace import Workspace

_MAKE_IMAGE = "`modelway image` makes an image with it by digest; name that with --project-image"
_HEARD = "correct it, or leave it so: then more than the model needs is in its image, and trains it again"


@dataclass(frozen=True)
class Problem:
    """A problem of a compiled pipeline.

    Attributes:
        severity: ``error``: the run is sure to fail; ``warning``: it need not.
        error: The message, the place, and the remedy.
    """

    severity: Literal["error", "warning"]
    error: ModelwayError

    def as_json(self) -> dict[str, Any]:
        """The fields that are set, for ``--json`` output."""
        return {"severity": self.severity, **self.error.fields()}


class ProjectLines:
    """A project file and where its keys are in it.

    Args:
        workspace: The project.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.project = workspace.project
        self.folder = workspace.folder
        self._file = workspace.folder / "project.yaml"
        self._text = self._file.read_text(encoding="utf-8")

    def problem(
        self,
        severity: Literal["error", "warning"],
        message: str,
        *,
        remedy: str,
        key: str | None = None,
        value: object = None,
    ) -> Problem:
        """A problem with what the project file says, at the line of the key."""
        line = None if key is None else line_of(self._text, key)
        file = None if key is None else str(self._file)
        return Problem(severity, ModelwayError(message, file=file, line=line, key=key, value=value, remedy=remedy))


def check_project(
    workspace: Workspace,
    *,
    image: str,
    store: str = "",
    project_image: str = "",
    codes: Mapping[str, str | None] = MappingProxyType({}),
) -> list[Problem]:
    """Finds the problems of a project's pipeline, as far as its files and the images' names show them.

    Args:
        workspace: The project.
        image: The image that the components run in.
        store: The root of the project's store; empty: it is not looked at.
        project_image: The image with the project's code, which the stages that need it run in. Empty: none is named.
        codes: The label `CODE_LABEL` of each image that could be looked up; None: it has none.

    Returns:
        The errors first.
    """
    lines = ProjectLines(workspace)
    problems = [
        *_images(lines, image=image, project_image=project_image),
        *([] if project_image else _code(lines)),
        *(lines.problem("warning", note, remedy=_HEARD, key="model") for note in workspace.code_notes()),
        *_other_code(lines, project_image, codes=codes, code=workspace.project_code),
        *_gpus(lines),
        *_local_paths(lines, store),
    ]
    return errors_first(problems)


def errors_first(problems: Sequence[Problem]) -> list[Problem]:
    """The problems, those first that are sure to fail the run."""
    return sorted(problems, key=lambda problem: problem.severity != "error")


def refuse_errors(problems: Sequence[Problem]) -> None:
    """Raises the problems that are sure to fail the run, all at once.

    Raises:
        ModelwayError: there is such a problem; located at the first.
    """
    errors = [problem.error for problem in problems if problem.severity == "error"]
    if len(errors) > 1:
        first = errors[0]
        raise ModelwayError(
            f"{len(errors)} problems would fail each run:\n  " + "\n  ".join(map(_in_one_line, errors)) + "\n ",
            file=first.file,
            line=first.line,
            key=first.key,
            value=first.value,
            remedy=first.remedy,
        )
    for error in errors:
        raise error


def _in_one_line(error: ModelwayError) -> str:
    prefix = f"line {error.line}: " if error.line is not None else ""
    return f"{prefix}{error.message} ({error.remedy})"


def enumerated(names: Sequence[str]) -> str:
    """Names as a sentence has them: ``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _images(lines: ProjectLines, *, image: str, project_image: str) -> Iterator[Problem]:
    """Images that are named by a tag, which may be moved."""
    if not is_pinned(image):
        yield lines.problem(
            "warning",
            f"the components' image {image} is not pinned: when its tag moves, Kubeflow's cache serves results of "
            "the earlier image, and no blessing says which image it was",
            value=image,
            remedy="name it by its digest, --image repository@sha256:…, which `docker push` prints",
        )
    if project_image and not is_pinned(project_image):
        yield lines.problem(
            "error",
            f"the project's image {project_image} is not pinned: its code may change, and nothing is trained again",
            value=project_image,
            remedy="name it by its digest, --project-image repository@sha256:…, which `modelway image` prints",
        )


def _code(lines: ProjectLines) -> Iterator[Problem]:
    """A module that the components' image does not have, where no image has the project's code."""
    model = lines.project.model
    key = "model.entrypoint" if model.entrypoint else "model.estimator"
    path = str(model.entrypoint or model.estimator)
    module = path.partition(":")[0].partition(".")[0]
    if module in sys.stdlib_module_names or module == "modelway":
        return
    beside = (lines.folder / f"{module}.py").is_file() or (lines.folder / module).is_dir()
    distributions = [] if beside else packages_distributions().get(module, [])
    if any(canonicalize_name(name) in _image_distributions() for name in distributions):
        return
    running = (stage for stage in CODE_STAGES if stage != "package_model")
    lacking = [stage for stage in running if lines.project.resources_for(stage).image is None]
    if not lacking:
        return
    remedy = f"name it in requirements.txt beside project.yaml; {_MAKE_IMAGE}"
    if beside:
        subject, remedy = f"the module {module} (beside project.yaml)", _MAKE_IMAGE
    elif distributions:
        subject = f"the package {distributions[0]}"
    else:
        subject = f"the package that {module} is from, which is not installed here,"
    fails = "train_model" in lacking
    yield lines.problem(
        "error" if fails else "warning",
        f"{subject} will not be in the image that {enumerated(lacking)} run{'s' * (len(lacking) == 1)} in"
        + ("" if fails else ", and the model may need it to be loaded"),
        key=key,
        value=path,
        remedy=remedy,
    )


@cache
def _image_distributions() -> frozenset[str]:
    """The distributions that modelway needs, and so the components' image has; without its own extras."""
    pending: list[tuple[str, frozenset[str]]] = [("modelway", frozenset())]
    visited = set(pending)
    while pending:
        name, extras = pending.pop()
        with suppress(PackageNotFoundError):
            for requirement in map(Requirement, requires(name) or ()):
                marker = requirement.marker
                if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                    further = (canonicalize_name(requirement.name), frozenset(requirement.extras))
                    pending += [further] if further not in visited else []
                    visited.add(further)
    return frozenset(name for name, _ in visited)


def _other_code(
    lines: ProjectLines, project_image: str, *, codes: Mapping[str, str | None], code: str
) -> Iterator[Problem]:
    """Images that the project's code is to run in, with other code than lies beside project.yaml."""
    keys: dict[str, str | None] = {project_image: None} if project_image else {}
    for stage in CODE_STAGES if trains_elsewhere(code) else ():
        own = lines.project.resources_for(stage).image
        named_by = stage if stage in lines.project.resources and lines.project.resources[stage].image else DEFAULT_STAGE
        if own is not None:
            keys.setdefault(own, f"resources.{named_by}.image")
    for image, key in keys.items():
        subject = "the project's image" if key is None else f"the image {image.partition('@')[0]}"
        problem = partial(lines.problem, key=key, value=image)
        if image not in codes:
            yield problem(
                "warning",
                f"{subject} could not be looked up, so that only train_model can tell whether it has this code",
                remedy="make its registry reachable from here; use --insecure if it serves plain HTTP",
            )
        elif codes[image] is None:
            yield problem(
                "warning",
                f"{subject} has no label {CODE_LABEL}, so that only train_model can tell whether it has this code",
                remedy="make it with `modelway image`, which labels it",
            )
        elif codes[image] != code:
            yield problem(
                "error",
                f"{subject} was made of other code ({codes[image]}) than lies beside project.yaml ({code or 'none'})",
                remedy="run `modelway image` again, and name the image that it prints",
            )


def _gpus(lines: ProjectLines) -> Iterator[Problem]:
    """GPUs that no node is chosen for."""
    for stage, keys in lines.project.resources.items():
        resources = keys if stage == DEFAULT_STAGE else lines.project.resources_for(stage)
        if keys.gpu is None or resources.node_selector or resources.tolerations:
            continue
        subject = "every stage without keys of its own" if stage == DEFAULT_STAGE else stage
        yield lines.problem(
            "warning",
            f"{subject} asks for {keys.gpu.count} {keys.gpu.type} without a node selector or a toleration: where nodes "
            "with GPUs are tainted, its pod stays pending",
            key=f"resources.{stage}.gpu",
            value=keys.gpu.type,
            remedy=f"give resources.{stage} the `node_selector` of those nodes, and the `tolerations` of their taints",
        )


def _local_paths(lines: ProjectLines, store: str) -> Iterator[Problem]:
    """Data and a store that are on this machine alone."""
    if store and not is_uri(store):
        yield lines.problem(
            "warning",
            f"the store {store} is a folder on this machine, which tasks on a cluster do not see",
            value=store,
            remedy="name a bucket with --store or MODELWAY_STORE, such as s3://models/claims",
        )
    data = lines.project.data
    for name, source in (("source", data.source), ("serving", data.serving)):
        if source is not None and not is_uri(source):
            yield lines.problem(
                "warning",
                f"data.{name} is a path on this machine, which tasks on a cluster do not see",
                key=f"data.{name}",
                value=source,
                remedy="put the data into a bucket, such as s3://bucket/folder, and name it by that",
            )
