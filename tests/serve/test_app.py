from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from modelway.components.serve.app import App
from modelway.components.serve.drift import Bins, DriftWindow
from modelway.components.serve.limits import Limits
from modelway.components.serve.predictor import PipelinePredictor
from modelway.components.serve.recorder import Recorder
from modelway.components.serve.signature import InputColumn, Signature

SIGNATURE = Signature((InputColumn("income", "number"), InputColumn("region", "text")))
ROW = {"income": 1.5, "region": "north"}


class Model:
    """Doubles the income, and does what a row's region says."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def predict(self, rows: pd.DataFrame) -> Any:
        region = rows["region"][0]
        if region == "wait":
            self.go_on.wait(10)
        if region == "fail":
            raise RuntimeError("the secret of the model")
        if region == "exit":
            raise SystemExit(7)
        if region == "none taken":
            raise ValueError("Input X contains NaN.")
        return rows["income"].to_numpy() * 2


def tensors(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "inputs": [
            {"name": "income", "shape": [len(rows)], "datatype": "FP64", "data": [row["income"] for row in rows]},
            {"name": "region", "shape": [len(rows), 1], "datatype": "BYTES", "data": [row["region"] for row in rows]},
        ]
    }


def app(model: object | None = None, **limits: Any) -> App:
    return App(PipelinePredictor(model or Model(), SIGNATURE), "loans", version="3", limits=Limits(**limits))


def ask(server: App, method: str, path: str, **more: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        async with client(server) as http:
            return await http.request(method, path, **more)

    return asyncio.run(once())


def client(server: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(server), base_url="http://server")  # type: ignore[arg-type]


INFER, PREDICT = "/v2/models/loans/infer", "/v1/models/loans:predict"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v2/health/live", {"live": True}),
        ("/v2/health/ready", {"ready": True}),
        ("/v2/models/loans/ready", {"name": "loans", "ready": True}),
        ("/v2/models/loans/versions/3/ready", {"name": "loans", "ready": True}),
        ("/v1/models/loans", {"name": "loans", "ready": True}),
    ],
)
def test_health_is_answered(path: str, expected: dict[str, Any]) -> None:
    response = ask(app(), "GET", path)
    assert (response.status_code, response.json()) == (200, expected)


def test_a_draining_server_lives_and_answers_but_is_not_ready() -> None:
    server = app()
    server.draining = True
    for path in ("/v2/health/ready", "/v2/models/loans/ready", "/v1/models/loans"):
        assert ask(server, "GET", path).status_code == 503
    assert ask(server, "GET", "/v2/health/live").status_code == 200
    response = ask(server, "POST", INFER, json=tensors(ROW))
    assert response.status_code == 200
    assert response.headers["connection"] == "close"


def test_the_metadata_names_server_columns_and_outputs() -> None:
    assert ask(app(), "GET", "/v2").json()["name"] == "modelway"
    assert ask(app(), "GET", "/v2/models/loans").json() == {
        "name": "loans",
        "versions": ["3"],
        "platform": "sklearn",
        "inputs": [
            {"name": "income", "datatype": "FP64", "shape": [-1]},
            {"name": "region", "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [-1]}],
    }


def test_rows_are_predicted_in_both_protocols() -> None:
    v2 = ask(app(), "POST", INFER, json={"id": "a7", **tensors(ROW, {**ROW, "income": None})})
    assert v2.json() == {
        "model_name": "loans",
        "model_version": "3",
        "id": "a7",
        "outputs": [{"name": "predict", "datatype": "FP64", "shape": [2], "data": [3.0, None]}],
    }
    assert ask(app(), "POST", PREDICT, json={"instances": [ROW]}).json() == {"predictions": [3.0]}
    assert ask(app(), "POST", PREDICT, json={"instances": [[1.5, "north"]]}).json() == {"predictions": [3.0]}


@pytest.mark.parametrize(
    ("method", "path", "arguments", "status", "message"),
    [
        ("GET", "/", {}, 404, "nothing is served at '/'; the model's name is 'loans'"),
        ("POST", "/v2/models/other/infer", {"json": {}}, 404, "'loans'"),
        ("POST", "/v2/models/loans/versions/4/infer", {"json": {}}, 404, "'loans'"),
        ("GET", INFER, {}, 405, "accepts only POST"),
        ("POST", "/v2/health/live", {"json": {}}, 405, "accepts only GET"),
        ("POST", INFER, {"content": b"a,b", "headers": {"content-type": "text/csv"}}, 415, "not 'text/csv'"),
        ("POST", INFER, {"content": b""}, 400, "the body is empty"),
        ("POST", INFER, {"json": {"inputs": 5}}, 400, "`inputs` must be a list"),
        (
            "POST",
            INFER,
            {"json": {**tensors(ROW), "outputs": [{"name": "shap"}]}},
            422,
            "no output 'shap'; it has predict",
        ),
        ("POST", INFER, {"json": tensors({**ROW, "income": "x"})}, 422, "column 'income', row 0: 'x' is not a number"),
        ("POST", PREDICT, {"json": {"instances": [{"income": 1}]}}, 422, "the column 'region' is missing"),
    ],
)
def test_a_wrong_request_is_refused_readably(
    method: str, path: str, arguments: dict[str, Any], status: int, message: str
) -> None:
    response = ask(app(), method, path, **arguments)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert message in response.json()["error"]
    if status == 405:
        assert response.headers["allow"] == ("POST" if method == "GET" else "GET")


@pytest.mark.parametrize("way", ["fail", "exit"])
def test_a_failing_prediction_tells_the_log_and_not_the_client(way: str, caplog: pytest.LogCaptureFixture) -> None:
    server = app()
    response = ask(server, "POST", INFER, json=tensors({**ROW, "region": way}))
    assert response.status_code == 500
    reference = response.json()["error"].rpartition(" ")[2]
    assert response.json() == {"error": f"the prediction failed; the log says why under {reference}"}
    assert f"prediction {reference} failed" in caplog.text
    if way == "fail":
        assert "the secret of the model" in caplog.text
    assert ask(server, "POST", INFER, json=tensors(ROW)).status_code == 200


def test_missing_values_that_scikit_learn_refuses_are_the_clients_fault() -> None:
    response = ask(app(), "POST", INFER, json=tensors({"income": None, "region": "none taken"}))
    assert response.status_code == 422
    assert "takes no missing values, but column 'income' holds one" in response.json()["error"]
    assert ask(app(), "POST", INFER, json=tensors({"income": 1.0, "region": "none taken"})).status_code == 500


def test_health_is_answered_while_a_prediction_runs_and_more_than_the_queue_holds_is_refused() -> None:
    model = Model()

    async def story() -> None:
        async with client(app(model, requests=2)) as http:
            slow = [asyncio.create_task(http.post(INFER, json=tensors({**ROW, "region": "wait"}))) for _ in range(2)]
            await asyncio.sleep(0.1)
            assert (await http.get("/v2/health/ready")).status_code == 200
            rejected_response = await http.post(INFER, json=tensors(ROW))
            assert (rejected_response.status_code, rejected_response.headers["retry-after"]) == (503, "1")
            model.go_on.set()
            assert [answer.status_code for answer in await asyncio.gather(*slow)] == [200, 200]
            assert (await http.post(INFER, json=tensors(ROW))).status_code == 200

    asyncio.run(story())


def test_answers_equal_the_pipelines_own_exactly(trained_model: Any) -> None:
    server = App(PipelinePredictor.load(str(trained_model.folder)), "loans")
    columns = {
        "income": ("FP64", [None if np.isnan(value) else value for value in trained_model.raw["income"]]),
        "age": ("INT64", [None if np.isnan(value) else int(value) for value in trained_model.raw["age"]]),
        "region": ("BYTES", trained_model.raw["region"].tolist()),
        "opened": ("BYTES", [None if pd.isna(time) else time.isoformat() for time in trained_model.raw["opened"]]),
    }
    inputs = [
        {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}
        for name, (datatype, values) in columns.items()
    ]
    answer = ask(server, "POST", INFER, json={"inputs": inputs}).json()
    predicted, probabilities = answer["outputs"]
    assert predicted["data"] == trained_model.pipeline.predict(trained_model.raw).tolist()
    expected = trained_model.pipeline.predict_proba(trained_model.raw)
    assert probabilities["shape"] == list(expected.shape)
    assert probabilities["data"] == expected.ravel().tolist()
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(v for _, v in columns.values()), strict=True)]
    v1 = ask(server, "POST", PREDICT, content=json.dumps({"instances": rows})).json()
    assert v1 == {"predictions": predicted["data"], "probabilities": expected.tolist()}
    outputs = ask(server, "GET", "/v2/models/loans").json()["outputs"]
    assert [(output["name"], output["datatype"]) for output in outputs] == [
        ("predict", "BYTES"),
        ("predict_proba", "FP64"),
    ]
    only = ask(server, "POST", INFER, json={"inputs": inputs, "outputs": [{"name": "predict"}]}).json()
    assert [output["name"] for output in only["outputs"]] == ["predict"]


def test_binary_tensors_are_taken_and_given() -> None:
    region = b"\x05\x00\x00\x00north"
    inputs = [
        {"name": "income", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}},
        {"name": "region", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(region)}},
    ]
    head = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
    headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    content = head + np.array([1.5]).tobytes() + region
    response = ask(app(), "POST", INFER, content=content, headers=headers)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/octet-stream"
    response_head = json.loads(response.content[: int(response.headers["inference-header-content-length"])])
    assert response_head["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert np.frombuffer(response.content[-8:]).tolist() == [3.0]
    assert ask(app(), "GET", "/v2").json()["extensions"] == ["binary_tensor_data"]


def test_more_rows_than_fit_in_memory_are_refused() -> None:
    server = app(values=9)  # of two columns and one output
    assert ask(server, "POST", INFER, json=tensors(*[ROW] * 3)).status_code == 200
    response = ask(server, "POST", INFER, json=tensors(*[ROW] * 4))
    assert response.status_code == 413
    assert response.json() == {"error": "the request has 4 rows; send at most 3 at a time"}


def test_a_lone_surrogate_is_the_clients_fault_and_names_the_column() -> None:
    for path, body in (
        (INFER, json.dumps(tensors({**ROW, "region": "\ud800"}))),
        (PREDICT, json.dumps({"instances": [{**ROW, "region": "\ud800"}]})),
    ):
        response = ask(app(), "POST", path, content=body, headers={"content-type": "application/json"})
        assert response.status_code == 422
        assert "column 'region', row 0" in response.json()["error"]


def test_mlflows_clients_ask_at_their_own_path() -> None:
    request = {"dataframe_split": {"columns": ["region", "income"], "data": [["north", 1.5]]}}
    assert ask(app(), "POST", "/invocations", json=request).json() == {"predictions": [3.0]}


def test_predictions_are_counted_and_health_is_not() -> None:
    server = app()
    for path, row in ((INFER, ROW), (INFER, {**ROW, "income": "x"}), (INFER, {**ROW, "region": "fail"})):
        ask(server, "POST", path, json=tensors(row))
    ask(server, "GET", "/v2/health/ready")
    scraped = ask(server, "GET", "/metrics")
    assert scraped.headers["content-type"].startswith("text/plain")
    for code in ("200", "422", "500"):
        assert f'modelway_requests_total{{code="{code}"}} 1.0' in scraped.text
    assert "modelway_request_seconds_count 3.0" in scraped.text
    assert "modelway_in_flight 0.0" in scraped.text


def test_what_cannot_be_recorded_does_not_fail_a_request(caplog: pytest.LogCaptureFixture) -> None:
    bins = {"unknown": Bins("numeric", np.array([0.0]), {}, np.array([0.5, 0.5, 0.0]))}
    recorder = Recorder(DriftWindow(bins, baseline_rows=1000))
    server = App(PipelinePredictor(Model(), SIGNATURE), "loans", recorder=recorder)
    answers = {ask(server, "POST", INFER, json=tensors(ROW)).status_code for _ in range(300)}
    assert answers == {200}
    assert "a prediction could not be recorded" in caplog.text
