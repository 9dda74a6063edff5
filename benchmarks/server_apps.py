"""What the server is measured on and beside: a signed release of the example, and the least apps around its model."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "insurance"
NAME = "insurance"
APPS = ("bare", "empty", "fastapi")


def make_release(folder: Path) -> None:
    """A signed bundle of the trained example, another one without the converted model, and the rows to ask for."""
    import polars as pl

    from modelway.components.core.bundle.keys import new_keys
    from modelway.components.core.config.policy import Policy
    from modelway.components.core.config.project import Project
    from modelway.components.core.storage.models import folder_sha256
    from modelway.components.core.tables.parquet import to_model_input
    from modelway.components.package.onnx.convert import convert
    from modelway.components.prepare.stage import prepare
    from modelway.components.train.fit import fit_pipeline
    from modelway.components.train.saving import save
    from modelway.components.validate.distributions import measure

    text = (EXAMPLE / "project.yaml").read_text(encoding="utf-8")
    project = Project.parse(text)
    frame = pl.read_parquet(EXAMPLE / "claims.parquet").sample(fraction=1.0, shuffle=True, seed=1)
    train, columns = folder / "train", list(project.features.columns)
    frame.write_parquet(train)
    prepare(str(train), text, steps_path=str(folder / "steps"), prepared_path=str(folder / "prepared"))
    pipeline = fit_pipeline(project, pl.read_parquet(folder / "prepared"), steps=folder / "steps" / "steps.skops")
    release = folder / "release"
    release.mkdir()
    example = to_model_input(frame.drop_nulls().head(5), columns)
    save(pipeline, str(release / "model"), examples=example, model_id="m-1", run_id="r-1", location="models/m-1")
    conversion = convert(release / "model", frame.head(2000))
    if conversion.content is None:
        sys.exit(conversion.reason)
    measure(frame, columns, data_hash="").write(release / "baseline.json")
    (release / "policy.json").write_text(Policy.load(EXAMPLE / "policy.yaml").canonical(), encoding="utf-8")
    blessing = json.dumps({"blessed": True, "hashes": {"model": folder_sha256(release / "model")}})
    (release / "blessing.json").write_text(blessing, encoding="utf-8")
    new_keys(folder / "key", folder / "key.pub")
    shutil.copytree(release, folder / "pipeline")
    (release / "model.onnx").write_bytes(conversion.content)
    for bundle in (release, folder / "pipeline"):
        finish_release(bundle, folder / "key")
    rows = frame.select(columns).head(1000).to_dicts()
    (folder / "rows.json").write_text(json.dumps(rows), encoding="utf-8")


def finish_release(bundle: Path, key: Path) -> None:
    """Writes what the bundle says of itself, and signs it."""
    from modelway.components.core.bundle.bundle import Bundle
    from modelway.components.core.bundle.signing import sign
    from modelway.components.core.storage.models import folder_sha256

    metadata = {
        "name": NAME,
        "version": "1",
        "blessing_sha256": Bundle(bundle).blessing_sha256(),
        "model_hash": folder_sha256(bundle / "model"),
        "onnx": (bundle / "model.onnx").exists(),
        "created_by": "benchmark",
    }
    (bundle / "release.json").write_text(json.dumps(metadata), encoding="utf-8")
    sign(bundle, bundle / "release.sig", private_key=key)


def app_of(kind: str, folder: Path) -> Any:
    """The app to compare with."""
    if kind == "empty":

        async def empty(_scope: Any, _receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})

        return empty
    predict_row = by_onnx(folder / "release" / "model.onnx")
    if kind == "fastapi":
        from fastapi import FastAPI

        app = FastAPI()

        async def predict(row: dict[str, Any]) -> dict[str, Any]:
            return predict_row(row)

        app.post("/predict")(predict)
        return app

    async def bare(_scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        content = json.dumps(predict_row(json.loads(body))).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return bare


def by_onnx(path: Path) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """The least code that feeds a row to the converted model; missing numbers as NaN."""
    import numpy as np
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    dtypes: dict[str, Any] = {
        entry.name: object if entry.type == "tensor(string)" else np.float64 for entry in session.get_inputs()
    }

    def predict_row(row: dict[str, Any]) -> dict[str, Any]:
        feed = {name: np.array([[row[name]]], dtype=dtype) for name, dtype in dtypes.items()}
        label, probabilities = session.run(None, feed)
        return {"predictions": label.tolist(), "probabilities": probabilities.tolist()}

    return predict_row


def serve(kind: str, folder: str, port: str) -> None:
    """Serves an app to compare with, as uvicorn does it best."""
    import uvicorn

    uvicorn.run(
        app_of(kind, Path(folder)), port=int(port), loop="uvloop", http="httptools", access_log=False, lifespan="off"
    )
