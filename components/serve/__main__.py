"""Starts the model server: ``python -m modelway.components.serve --release /release --port 8080``."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelway.components.core.bundle.signing import VERIFYING_KEY, key_file
from modelway.components.core.errors import ModelwayError
from modelway.components.serve.app import App
from modelway.components.serve.asgi import Limits
from modelway.components.serve.loading import Served, load_release
from modelway.components.serve.metrics import Metrics
from modelway.components.serve.prediction_log import LogSettings, PredictionLog
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.recorder import Observer
from modelway.components.serve.server import DrainingServer, bind

REFUSED = 3  # the exit status where the model or the address is refused; 2 is argparse's
_SWITCH_SECONDS = 0.0005  # how long a thread may keep the interpreter from the one that answers; 5 ms by default


def main(arguments: Sequence[str] | None = None) -> int:
    """Verifies and loads the model, then serves it until a signal; returns the exit status."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # One row at a time gains nothing from threads, which would spin or wait beside the one that answers.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        sockets = [bind(asked.host, asked.port)]
        app = _app(asked)
    except ModelwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    gc.collect()
    gc.freeze()  # what is loaded stays; looking through it again would hold requests up
    DrainingServer(app, asked.drain_seconds).run(sockets)
    app.close()
    return 0


def _app(asked: argparse.Namespace) -> App:
    served = _served(asked)
    log = None
    if asked.log_to:
        log = PredictionLog(LogSettings(asked.log_to, asked.log_sample), served.name, version=served.version)
    observer = Observer(served.drift, log)
    metrics = Metrics(
        {"name": served.name, "version": served.version, "model_hash": served.model_hash},
        served.bounds,
        drift=observer.drift_scores,
        log=log.counts if log is not None else None,
    )
    limits = Limits(asked.max_request_bytes, asked.max_requests)
    return App(served.predictor, served.name, version=served.version, limits=limits, metrics=metrics, observer=observer)


def _served(asked: argparse.Namespace) -> Served:
    if asked.release:
        key = Path(asked.public_key) if asked.public_key else None
        return load_release(Path(asked.release), key if asked.unsigned else key or key_file(VERIFYING_KEY))
    predictor = Predictor.load(asked.model, asked.model_hash)
    return Served(predictor, asked.name, asked.version, asked.model_hash)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("modelway.components.serve", description="Serves one model over HTTP.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--release", metavar="FOLDER", help="the release bundle, which is verified first")
    source.add_argument("--model", metavar="FOLDER", help="a model's folder, in MLflow's format")
    parser.add_argument(
        "--public-key", metavar="FILE", help="must have signed the release; by default MODELWAY_VERIFYING_KEY's"
    )
    parser.add_argument(
        "--unsigned", action="store_true", help="serve a plain release, whose signature nobody verifies"
    )
    parser.add_argument("--model-hash", default="", help="the SHA-256 that the model's folder must have")
    parser.add_argument("--name", default="model", help="the name in the paths of a model's folder")
    parser.add_argument("--version", default="", help="the version of a model's folder, repeated in answers")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free one, which the log names")
    parser.add_argument("--max-request-bytes", type=_positive, default=Limits.request_bytes, metavar="N")
    parser.add_argument("--max-requests", type=_positive, default=Limits.requests, metavar="N", help="at a time")
    parser.add_argument(
        "--drain-seconds", type=float, default=5.0, metavar="S", help="answering on after SIGTERM, while not ready"
    )
    parser.add_argument("--log-to", metavar="URI", help="a folder or s3://… that predictions are logged to as Parquet")
    parser.add_argument("--log-sample", type=_share, default=1.0, metavar="SHARE", help="of the requests; 1 by default")
    return parser


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is no share above 0 and up to 1")
    return share


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
