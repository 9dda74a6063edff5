"""Starts the model server: ``python -m modelway.components.serve --release /release --port 8080``."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from modelway.components.core.addresses import hide_secrets_in_output
from modelway.components.core.bundle.keys import VERIFYING_KEY, key_file
from modelway.components.core.errors import ModelwayError
from modelway.components.serve.app import App
from modelway.components.serve.limits import Limits, allowed_connections
from modelway.components.serve.loading import ServedModel, load_bundle
from modelway.components.serve.metrics import Metrics
from modelway.components.serve.prediction_log import LogSettings, PredictionLog
from modelway.components.serve.predictor import PipelinePredictor
from modelway.components.serve.recorder import Recorder
from modelway.components.serve.server import DrainingServer, bind

CANNOT_START = 3  # the exit status if the model or the address is refused; argparse's is 2
_SWITCH_SECONDS = 0.0005  # how long another thread may delay the one that answers; Python's default is 5 ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Verifies and loads the model, then serves it until a signal; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # One row at a time gains nothing from threads, which would spin or wait beside the one that answers.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        sockets = [bind(options.host, options.port)]
        app = _build_app(options)
    except ModelwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return CANNOT_START
    gc.collect()
    gc.freeze()  # what is loaded stays; looking through it again would hold requests up
    DrainingServer(app, options.drain_seconds).run(sockets)
    app.close()
    return 0


def _build_app(options: argparse.Namespace) -> App:
    model = _load_model(options)
    log = None
    if options.log_to:
        log = PredictionLog(LogSettings(options.log_to, options.log_sample), model.name, version=model.version)
    recorder = Recorder(model.drift, log)
    metrics = Metrics(
        {"name": model.name, "version": model.version, "model_hash": model.model_hash},
        model.bounds,
        drift=recorder.drift_scores,
        log=log.counts if log is not None else dict,
    )
    limits = Limits(
        options.max_request_bytes,
        options.max_requests,
        read_seconds=options.read_seconds,
        connections=allowed_connections(options.max_connections),
        buffered_bytes=max(options.max_buffered_bytes, 2 * options.max_request_bytes),
    )
    return App(model.predictor, model.name, version=model.version, limits=limits, metrics=metrics, recorder=recorder)


def _load_model(options: argparse.Namespace) -> ServedModel:
    if options.release:
        key = Path(options.public_key) if options.public_key else None
        return load_bundle(Path(options.release), key if options.unsigned else key or key_file(VERIFYING_KEY))
    predictor = PipelinePredictor.load(options.model, options.model_hash, trusted_types=options.trusted_type)
    return ServedModel(predictor, options.name, options.version, options.model_hash)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("modelway.components.serve", description="Serves one model over HTTP.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--release", metavar="FOLDER", help="a release bundle, verified before it is loaded")
    source.add_argument("--model", metavar="FOLDER", help="a model in MLflow's folder format")
    add = parser.add_argument
    add("--public-key", metavar="FILE", help="the signer's public key; by default MODELWAY_VERIFYING_KEY")
    add("--unsigned", action="store_true", help="verify the bundle's hashes only, not its signature")
    add("--model-hash", default="", help="the SHA-256 that the folder of --model must have")
    add("--trusted-type", action="append", default=[], metavar="NAME", help="a type that --model may be made of")
    add("--name", default="model", help="the name in the paths, with --model")
    add("--version", default="", help="the version in responses, with --model")
    add("--host", default="127.0.0.1", help="the address to listen on")
    add("--port", type=int, default=8080, help="the port to listen on; 0 chooses a free one, which is logged")
    add("--max-request-bytes", type=_positive, default=Limits.request_bytes, metavar="N", help="the largest body")
    add("--max-requests", type=_positive, default=Limits.requests, metavar="N", help="more at a time are answered 503")
    add("--read-seconds", type=float, default=Limits.read_seconds, metavar="S", help="how long a request may arrive")
    add("--max-connections", type=_positive, default=Limits.connections, metavar="N", help="more push the oldest out")
    add("--max-buffered-bytes", type=_positive, default=Limits.buffered_bytes, metavar="N", help="the largest sum")
    add("--drain-seconds", type=float, default=5.0, metavar="S", help="how long to answer after SIGTERM, not ready")
    add("--log-to", metavar="URI", help="a folder or s3://… to log predictions to, as Parquet")
    add("--log-sample", type=_share, default=1.0, metavar="SHARE", help="the share of requests to log; 1 by default")
    return parser


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, but is {text}")
    return share


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be positive, but is {text}")
    return number


if __name__ == "__main__":
    hide_secrets_in_output()
    sys.exit(main())
