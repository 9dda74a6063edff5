"""What the probe does to a started server, in order, and everything that it saw."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from modelway.components.core.config.serving_policy import Serving, Sla
from modelway.components.probe.answers import Answer, Asked, ask, ask_once
from modelway.components.probe.client import Client, Reply
from modelway.components.probe.load import Load, run_load
from modelway.components.probe.quantiles import fewest
from modelway.components.probe.requests import V2, Malformed, Sample, malformed
from modelway.components.probe.server import ServerProcess

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_LOAD_SECONDS = 20.0
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True)
class Trial:
    """A malformed request and what came of it; `survived` is whether the server answered its health afterwards."""

    request: Malformed
    reply: Reply
    survived: bool


@dataclass(frozen=True)
class Observed:
    """What the probe saw. What follows the server's death is missing.

    Attributes:
        ready_seconds: From starting the process until it said that it was ready; None: it never did.
        first: The answer to the first row.
        first_seconds: From starting the process until that answer was there.
        asked: The answers to real rows.
        warm_up: The load before timing began.
        load: The timed load.
        trials: The malformed requests.
        peak_memory_mib: The most memory that the server held before the malformed requests.
        death: What the server was asked when it died, in words, and how it ended; empty: it lived.
        log: The last lines of the server's log.
    """

    ready_seconds: float | None = None
    first: Answer | None = None
    first_seconds: float | None = None
    asked: Asked | None = None
    warm_up: Load | None = None
    load: Load | None = None
    trials: tuple[Trial, ...] = ()
    peak_memory_mib: float | None = None
    death: str = ""
    log: str = ""

    @property
    def died_of_a_row(self) -> bool:
        """Whether a real row killed the server, alone or in the load."""
        return bool(self.death) and not self.trials


def requests_needed(sla: Sla, confidence: float) -> int:
    """The fewest requests that bound every percentile asked for, and the 95th in any case."""
    return max(
        fewest(quantile, confidence) for name, quantile in QUANTILES.items() if name == "p95" or allowed(sla, name)
    )


def allowed(sla: Sla, percentile: str) -> float | None:
    """The milliseconds that the policy allows a percentile; None: it is not judged."""
    found: float | None = getattr(sla, f"{percentile}_ms")
    return found


def measure_start(server: ServerProcess, policy: Serving) -> float | None:
    """Waits for the server; how many seconds it took, or None where it did not become ready."""
    if not server.wait_until_ready(policy.timeout_seconds):
        return None
    return time.perf_counter() - server.started


def measure(server: ServerProcess, ready_seconds: float, *, sample: Sample, policy: Serving) -> Observed:
    """Asks a server that is ready: real rows, then timed load, then malformed requests.

    Args:
        server: The server.
        ready_seconds: How long it took to become ready.
        sample: Real rows, at least one.
        policy: How many requests, over how many connections.
    """
    client = Client(server.port)
    try:
        first = ask_once(client, sample, kind="v2 single", rows=(0,))
        first_seconds = time.perf_counter() - server.started
        answers = ask(client, sample) if first.reply.status else Asked({}, [], f"{sample.describe(0)}: {first.reply}")
        if answers.unanswered and server.died():
            death = f"{answers.unanswered}; it ended with status {server.exit_status}"
            return Observed(ready_seconds, first, first_seconds, answers, death=death, log=server.log_tail())
        warm_up, load = _loads(server, sample, policy=policy)
        memory = server.peak_memory_mib()
        if server.died(0.0):
            trials: tuple[Trial, ...] = ()
            death = f"the timed load; it ended with status {server.exit_status}"
        else:
            trials = tuple(_tried(server, client, requests=malformed(sample)))
            lost = trials[-1] if not trials[-1].survived and server.died() else None
            death = f"{wording(lost.request)}; it ended with status {server.exit_status}" if lost else ""
        log = server.log_tail()
        return Observed(ready_seconds, first, first_seconds, answers, warm_up, load, trials, memory, death, log)
    finally:
        client.close()


def wording(request: Malformed) -> str:
    """A malformed request in words."""
    return f"{request.kind} ({request.detail})" if request.detail else request.kind


def _loads(server: ServerProcess, sample: Sample, *, policy: Serving) -> tuple[Load, Load]:
    bodies = [sample.v2([row]) for row in range(len(sample))]
    count = policy.requests or requests_needed(policy.sla, policy.confidence)
    warm_up, load = (
        run_load(server.port, V2, bodies=bodies, count=number, connections=policy.connections, seconds=seconds)
        for number, seconds in ((policy.warm_up, _WARM_UP_SECONDS), (count, _LOAD_SECONDS))
    )
    return warm_up, load


def _tried(server: ServerProcess, client: Client, *, requests: Iterable[Malformed]) -> Iterable[Trial]:
    """Each request and what came of it, as far as the server lives."""
    for request in requests:
        reply = client.post(request.path, request.body)
        if reply.status:
            survived = client.get("/v2/health/live").status == 200
        else:
            health = Client(server.port)
            survived = not server.died() and health.get("/v2/health/live").status == 200
            health.close()
        yield Trial(request, reply, survived)
        if not survived:
            return
