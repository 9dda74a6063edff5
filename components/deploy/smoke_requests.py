"""The smoke requests of a version, made of rows that it was trained on, and the check of the answers to them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any
from urllib.parse import quote

from modelway.components.core.audit.opened_version import Opening, opened
from modelway.components.core.audit.registered_models import ModelVersion
from modelway.components.core.config.project import Project
from modelway.components.core.errors import ModelwayError
from modelway.components.core.evidence.files import PROJECT_FILE, SAMPLE_FILE
from modelway.components.core.tables.inference import Tensor, infer_request, tensors_of
from modelway.components.deploy.cluster import Object

# Enough that features with a hundred values do not seem to drift because of sampling.
_MOST_ROWS = 5_000
_OK = 200
_REMEDY = (
    "release a version with `data.drift.multivariate` in the policy, which keeps sample rows, or set "
    "`traffic: live` for the environment and send requests to it yourself"
)


class NoSmokeRequestsError(ModelwayError):
    """A version's evidence has no rows that can be sent."""

    def __init__(self, version: ModelVersion, problem: str) -> None:
        message = f"{version} {problem}, so no smoke requests can be made: {_REMEDY}"
        super().__init__(message, key="environments", value=version.number, remedy=_REMEDY)


@dataclass(frozen=True)
class SmokeRequests:
    """Valid requests of one row each.

    Attributes:
        model: The registered model's name.
        version: The version that has to answer.
        tensors: The rows' columns.
        rows: The number of rows.
    """

    model: str
    version: str
    tensors: tuple[Tensor, ...]
    rows: int

    @property
    def path(self) -> str:
        """Their path on the server."""
        return f"/v2/models/{quote(self.model, safe='')}/infer"

    def body(self, number: int) -> Object:
        """The request with a number, counted from 0; after the last row, the rows start over."""
        row = number % self.rows
        tensors = [Tensor(tensor.name, tensor.datatype, [tensor.values[row]]) for tensor in self.tensors]
        return {"id": f"smoke-{number}", **infer_request(tensors)}

    def problem(self, number: int, status: int, *, answer: object) -> str:
        """The problem with the answer to a request, its JSON or else its text; empty if it is right."""
        prefix = f"row {number % self.rows} of the sample was answered with"
        if status != _OK:
            detail = answer.get("error", answer) if isinstance(answer, dict) else answer
            return f"{prefix} {status}: {str(detail or 'no reason was given')[:200]}"
        if not isinstance(answer, dict) or not isinstance(answer.get("outputs"), list) or not answer["outputs"]:
            return f"{prefix} 200, but without outputs: {json.dumps(answer)[:200]}"
        if (version := answer.get("model_version")) != self.version:
            return f"{prefix} 200, but by version {version}, not {self.version}"
        unusable = [str(output.get("name")) for output in answer["outputs"] if not _is_of_one_row(output)]
        return f"{prefix} 200, but {', '.join(unusable)} is not one row of finite values" if unusable else ""


def smoke_requests(version: ModelVersion, opening: Opening | None = None) -> SmokeRequests:
    """The requests made of the rows of the training split that a version was registered with, in their random order.

    Raises:
        ModelwayError: the version's evidence is incomplete or was changed.
        NoSmokeRequestsError: it was registered without such rows, or they lack one of the model's columns.
    """
    import polars as pl

    from modelway.components.core.tables.parquet import to_model_input

    files = opened(version, opening).files
    project, sample = files.get(PROJECT_FILE), files.get(SAMPLE_FILE)
    if project is None or sample is None:
        raise NoSmokeRequestsError(version, f"has no {SAMPLE_FILE if project else PROJECT_FILE} among its evidence")
    columns = Project.parse(project.decode(), f"{PROJECT_FILE} of version {version.number}").features.columns
    rows = pl.read_parquet(BytesIO(sample)).head(_MOST_ROWS)
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise NoSmokeRequestsError(version, f"has sample rows without the column {missing[0]!r}")
    frame = to_model_input(rows, columns)
    frame = frame[~frame.isin([math.inf, -math.inf]).any(axis=1)]  # JSON cannot express them
    if not len(frame):
        raise NoSmokeRequestsError(version, "has no sample rows that can be sent")
    return SmokeRequests(version.name, version.number, tensors_of(frame), len(frame))


def _is_of_one_row(output: Any) -> bool:
    """Whether an output is of one row, complete, and without nulls, which stand for NaN in JSON."""
    shape, values = output.get("shape"), output.get("data")
    if not isinstance(shape, list) or not isinstance(values, list) or shape[:1] != [1]:
        return False
    return len(values) == math.prod(shape) and all(value is not None for value in values)
