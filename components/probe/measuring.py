"""Measures a started server: answers to real rows, timed load, malformed requests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from modelway.components.core.config.serving_policy import Serving, Sla
from modelway.components.core.measures.quantiles import minimum_samples
from modelway.components.probe.answers import Answer, Answers, collect_answers, request_answer
from modelway.components.probe.client import Client, Reply
from modelway.components.probe.load import Load, run_load
from modelway.components.probe.requests import V2, MalformedRequest, Sample, malformed_requests
from modelway.components.probe.server import ServerProcess

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LOAD_SECONDS = 20.0
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class MalformedResult:
    """A malformed request, its reply, and whether the server answered its health check afterwards."""

    request: MalformedRequest
    reply: Reply
    survived: bool


@dataclass(frozen=True)
class Measurements:
    """The probe's measurements; those after the server's death are missing.

    Attributes:
        ready_seconds: From starting the process until it was ready; None: it never was.
        first: The answer to the first row.
        first_seconds: From starting the process until that answer.
        answers: The answers to real rows.
        warm_up: The load before the timed one.
        load: The timed load.
        malformed: The malformed requests with their replies.
        peak_memory_mib: The server's peak memory before the malformed requests.
        death: The request that the server died of, and its exit status; empty: it did not die.
        log: The last lines of the server's log.
    """

    ready_seconds: float | None = None
    first: Answer | None = None
    first_seconds: float | None = None
    answers: Answers | None = None
    warm_up: Load | None = None
    load: Load | None = None
    malformed: tuple[MalformedResult, ...] = ()
    peak_memory_mib: float | None = None
    death: str = ""
    log: str = ""

    @property
    def killed_by_row(self) -> bool:
        """Whether a real row killed the server, alone or under load."""
        return bool(self.death) and not self.malformed


def requests_needed(sla: Sla, confidence: float) -> int:
    """Returns how many requests bound every percentile of the SLA, and the 95th in any case."""
    return max(minimum_samples(QUANTILES[name], confidence) for name in {"p95", *latency_limits(sla)})


def latency_limits(sla: Sla) -> dict[str, float]:
    """Returns the SLA's bounds of percentiles, in milliseconds."""
    limits = {name: getattr(sla, f"{name}_ms") for name in QUANTILES}
    return {name: limit for name, limit in limits.items() if limit is not None}


def measure(server: ServerProcess, ready_seconds: float, *, sample: Sample, policy: Serving) -> Measurements:
    """Sends a ready server real rows, then timed load, then malformed requests.

    Args:
        server: The server.
        ready_seconds: How long it took to become ready.
        sample: Real rows, at least one.
        policy: The policy's section `serving`.
    """
    with closing(Client(server.port)) as client:
        first = request_answer(client, sample, kind="v2 single", rows=(0,))
        first_seconds = time.perf_counter() - server.started
        answers = Answers({}, [], f"{sample.describe(0)}: {first.reply}")
        if first.reply.status:
            answers = collect_answers(client, sample)
        if answers.unanswered and server.died():
            death = f"{answers.unanswered}; it ended with status {server.exit_status}"
            return Measurements(ready_seconds, first, first_seconds, answers, death=death, log=server.log_tail())
        bodies = [sample.v2([row]) for row in range(len(sample))]
        send = partial(run_load, server.port, V2, bodies=bodies, connections=policy.connections)
        warm_up = send(count=policy.warm_up, seconds=_WARM_UP_SECONDS)
        count = policy.requests or requests_needed(policy.sla, policy.confidence)
        load = send(count=count, seconds=_LOAD_SECONDS)
        memory = server.peak_memory_mib()
        results: tuple[MalformedResult, ...] = ()
        killer = "the timed load"
        if not server.died(0.0):
            results = tuple(_send_malformed(server, client, sample=sample))
            killer = results[-1].request.describe() if not results[-1].survived and server.died() else ""
        death = f"{killer}; it ended with status {server.exit_status}" if killer else ""
        log = server.log_tail()
        return Measurements(ready_seconds, first, first_seconds, answers, warm_up, load, results, memory, death, log)


def _send_malformed(server: ServerProcess, client: Client, *, sample: Sample) -> Iterator[MalformedResult]:
    """Sends malformed requests one by one until the server dies."""
    for request in malformed_requests(sample):
        reply = client.post(request.path, request.body)
        if reply.status:
            survived = client.get("/v2/health/live").status == 200
        else:
            with closing(Client(server.port)) as health:
                survived = not server.died() and health.get("/v2/health/live").status == 200
        yield MalformedResult(request, reply, survived)
        if not survived:
            return
