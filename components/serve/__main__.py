"""Starts the model server: ``python -m modelway.components.serve --model FOLDER --port 8080``."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence

from modelway.components.core.errors import ModelwayError
from modelway.components.serve.app import App, Limits
from modelway.components.serve.predictor import Predictor
from modelway.components.serve.server import DrainingServer, bind

REFUSED = 3  # the exit status where the model or the address is refused; 2 is argparse's


def main(arguments: Sequence[str] | None = None) -> int:
    """Verifies and loads the model, then serves it until a signal; returns the exit status."""
    asked = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    # One row at a time gains nothing from OpenMP's threads, which would spin beside the thread that answers health.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        sockets = [bind(asked.host, asked.port)]
        predictor = Predictor.load(asked.model, asked.model_hash)
    except ModelwayError as error:
        sys.stderr.write(f"error: {error}\n")
        return REFUSED
    app = App(predictor, asked.name, asked.version, Limits(asked.max_request_bytes, asked.max_requests))
    DrainingServer(app, asked.drain_seconds).run(sockets)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("modelway.components.serve", description="Serves one model over HTTP.")
    parser.add_argument("--model", required=True, metavar="FOLDER", help="the model's folder, in MLflow's format")
    parser.add_argument("--model-hash", default="", help="the SHA-256 that the folder must have")
    parser.add_argument("--name", default="model", help="the model's name in the paths")
    parser.add_argument("--version", default="", help="the model's version, repeated in answers")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=8080, help="0 takes any free one, which the log names")
    parser.add_argument("--max-request-bytes", type=_positive, default=Limits.request_bytes, metavar="N")
    parser.add_argument("--max-requests", type=_positive, default=Limits.requests, metavar="N", help="at a time")
    parser.add_argument(
        "--drain-seconds", type=float, default=5.0, metavar="S", help="answering on after SIGTERM, while not ready"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number


if __name__ == "__main__":
    sys.exit(main())
