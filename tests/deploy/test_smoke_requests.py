"""Smoke requests are valid rows of the version's own evidence, and a wrong answer to one is told from a right one."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import user_files

from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.storage.mlflow import Tracking
from modelway.components.core.tables.inference import Tensor
from modelway.components.deploy.smoke_requests import NoSmokeRequestsError, SmokeRequests, smoke_requests

PROJECT = user_files.PROJECT | {"features": {"numeric": ["income"], "categorical": ["region"], "datetime": ["opened"]}}
ROWS = pl.DataFrame(
    {
        "late": [0, 1, 0],
        "region": ["north", None, "south"],
        "income": [1.5, None, math.inf],
        "opened": [dt.datetime(2024, 3, 1), None, dt.datetime(2024, 3, 2)],
    }
)
REQUESTS = SmokeRequests("loans", "3", (Tensor("income", "FP64", [1.0, 2.0]),), 2)
RIGHT = {
    "model_name": "loans",
    "model_version": "3",
    "outputs": [
        {"name": "predict", "shape": [1], "datatype": "INT64", "data": [1]},
        {"name": "predict_proba", "shape": [1, 2], "datatype": "FP64", "data": [0.25, 0.75]},
    ],
}


@pytest.fixture
def registered(release: Callable[..., str], tracking: Tracking, tmp_path: Path) -> Callable[..., SmokeRequests]:
    """The smoke requests of a version that is registered with these files."""

    def register(rows: pl.DataFrame | None, project: dict[str, Any] | None = None) -> SmokeRequests:
        bound = {} if project is None else {"project.json": json.dumps(project).encode()}
        if rows is not None:
            rows.write_parquet(content := BytesIO())
            bound["sample.parquet"] = content.getvalue()
        version = release("loans-with-rows", bound=bound)
        return smoke_requests(RegisteredModel("loans-with-rows", str(tmp_path), tracking).version(version))

    return register


def test_requests_are_the_samples_rows_with_the_models_columns_alone(
    registered: Callable[..., SmokeRequests],
) -> None:
    requests = registered(ROWS, PROJECT)
    assert requests.path == "/v2/models/loans-with-rows/infer"
    assert requests.rows == 2  # JSON has no infinity
    bodies = [requests.body(number) for number in range(3)]
    assert [body["id"] for body in bodies] == ["smoke-0", "smoke-1", "smoke-2"]
    assert bodies[0]["inputs"] == bodies[2]["inputs"]
    values = [{tensor["name"]: tensor["data"] for tensor in body["inputs"]} for body in bodies[:2]]
    assert values == [
        {"income": [1.5], "region": ["north"], "opened": ["2024-03-01T00:00:00"]},
        {"income": [None], "region": [None], "opened": [None]},
    ]


@pytest.mark.parametrize(
    ("rows", "project", "says"),
    [
        (None, PROJECT, "has no sample.parquet among its evidence"),
        (ROWS, None, "has no project.json among its evidence"),
        (ROWS.drop("region"), PROJECT, "has sample rows without the column 'region'"),
        (ROWS.tail(1), PROJECT, "has no sample rows that can be sent"),
    ],
)
def test_a_version_without_rows_to_send_says_what_to_do(
    registered: Callable[..., SmokeRequests], rows: pl.DataFrame | None, project: dict[str, Any] | None, says: str
) -> None:
    with pytest.raises(NoSmokeRequestsError, match=says) as error:
        registered(rows, project)
    assert "`traffic: live`" in error.value.message


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (500, {"error": "the prediction failed"}, "row 1 of the sample was answered with 500: the prediction failed"),
        (422, {"error": "the column 'a' is missing"}, "with 422: the column 'a' is missing"),
        (502, "bad gateway", "with 502: bad gateway"),
        (503, None, "with 503: no reason was given"),
        (200, None, "without outputs"),
        (200, "<html>", "without outputs"),
        (200, {"outputs": []}, "without outputs"),
        (200, RIGHT | {"model_version": "2"}, "by version 2, not 3"),
        (
            200,
            RIGHT | {"outputs": [{"name": "predict", "shape": [1], "data": [None]}]},
            "predict is not one row",
        ),
        (
            200,
            RIGHT | {"outputs": [{"name": "predict", "shape": [2], "data": [1, 2]}]},
            "predict is not one row",
        ),
        (
            200,
            RIGHT | {"outputs": [{"name": "proba", "shape": [1, 3], "data": [1, 2]}]},
            "proba is not one row",
        ),
        (200, RIGHT | {"outputs": [{"name": "predict"}]}, "predict is not one row"),
    ],
)
def test_a_wrong_answer_is_said_in_words(status: int, answer: Any, says: str) -> None:
    assert says in REQUESTS.problem(3, status, answer=answer)


def test_a_right_answer_has_no_problem() -> None:
    assert REQUESTS.problem(3, 200, answer=RIGHT) == ""


def test_a_models_name_is_written_as_a_path_takes_it() -> None:
    assert SmokeRequests("late payers/eu", "3", (), 1).path == "/v2/models/late%20payers%2Feu/infer"
