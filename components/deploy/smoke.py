"""Smoke requests: traffic for an environment that has none, sent to a new version's pods during its rollout.

The answers are judged twice. The pods count them, so that the policy's analysis measures errors, latency and drift as
in any environment; and each answer is checked here, since a wrong answer to a valid request needs no statistics.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from typing import Self

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.deploy.analysis import seconds_to_decision
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.diagnosis import log_end
from modelway.components.deploy.objectives import is_certainly_above
from modelway.components.deploy.smoke_requests import SmokeRequests
from modelway.components.deploy.targets.base import is_ready, server_index

_LEAST_PER_SECOND, _MOST_PER_SECOND = 10.0, 20.0
_MARGIN = 2  # pods start one by one, and Prometheus scrapes them only now and then
_THREADS = 4
_ANSWER_SECONDS = 10.0
_SILENT_SECONDS = 30.0
_FIRST_REQUESTS = 20  # where no analysis requires more, as for a first version
_PORT = 8080


def smoke_policy(policy: Policy) -> Policy:
    """The policy, requiring at most as many requests as smoke requests can be sent until the analysis decides."""
    analysis = policy.deployment.analysis
    affordable = max(1, int(_MOST_PER_SECOND * _counted_seconds(policy) / _MARGIN))
    if analysis.minimum_requests <= affordable:
        return policy
    relaxed = analysis.model_copy(update={"minimum_requests": affordable})
    return policy.model_copy(update={"deployment": policy.deployment.model_copy(update={"analysis": relaxed})})


def requests_per_second(policy: Policy) -> float:
    """The smoke requests per second that give the analysis enough requests in time."""
    rate = _MARGIN * policy.deployment.analysis.minimum_requests / _counted_seconds(policy)
    return min(_MOST_PER_SECOND, max(_LEAST_PER_SECOND, rate))


def _counted_seconds(policy: Policy) -> float:
    """For how long requests are sent that Prometheus has scraped by the time they are counted.

    Later ones are lost. The policy's initial delay says how long a scrape takes, capped at half of the whole time.
    """
    planned = seconds_to_decision(policy)
    return max(1.0, planned - policy.deployment.analysis.initial_delay_seconds, planned / 2)


class SmokeTraffic:
    """Sends steady requests to the pods that it is aimed at, from its own threads; a context manager.

    Args:
        cluster: The pods' namespace.
        requests: The requests to send.
        policy: Says how many requests the analysis requires, and which share of them may fail.
        silent_seconds: After so long without any answer, the pods count as unreachable.

    Attributes:
        per_second: The requests per second.
        right: How many were answered right.
    """

    def __init__(
        self, cluster: Cluster, requests: SmokeRequests, *, policy: Policy, silent_seconds: float = _SILENT_SECONDS
    ) -> None:
        analysis = policy.deployment.analysis
        self.per_second = requests_per_second(policy)
        self._cluster, self._requests, self._silent_limit = cluster, requests, silent_seconds
        self._minimum, self._error_rate = analysis.minimum_requests, analysis.error_rate or 0.0
        self._numbers = itertools.count()
        self._pods: tuple[Object, ...] = ()
        self.right, self._wrong, self._unanswered = 0, 0, 0
        self._first_wrong, self._wrong_pod, self._last_unanswered = "", Object(), ""
        self._heard_at = time.monotonic()
        self._lock, self._stopping = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        """Starts to send, once it is aimed at pods."""
        for place in range(_THREADS):
            threading.Thread(target=self._run, args=(place,), daemon=True, name=f"smoke-{place}").start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stops at once, without waiting for outstanding answers."""
        self._stopping.set()

    def aim(self, pods: Sequence[Object]) -> None:
        """Sends to those of these pods that are ready from now on, and to no others."""
        ready = tuple(pod for pod in pods if is_ready(pod))
        with self._lock:
            if not self._pods:
                self._heard_at = time.monotonic()
            self._pods = ready

    @property
    def enough(self) -> bool:
        """Whether enough requests were answered right for a version to serve, with or without an analysis."""
        return self.right >= min(self._minimum, _FIRST_REQUESTS)

    def failures(self) -> tuple[str, ...]:
        """Why the version must not serve, a sentence each; empty as long as there is no reason."""
        with self._lock:
            answered = self.right + self._wrong
            # Of few answers as many may be wrong as of the minimum that the analysis judges, unless there is no doubt.
            too_many = self._wrong > self._error_rate * max(answered, self._minimum)
            if too_many or is_certainly_above(self._wrong, answered, share=self._error_rate):
                problem = f"{self._wrong} of {answered} smoke requests were answered wrong; {self._first_wrong}"
                pod = self._wrong_pod
            elif self._pods and time.monotonic() - self._heard_at > self._silent_limit:
                problem = f"no smoke request was answered within {self._silent_limit:g} s: {self._last_unanswered}"
                remedy = (
                    f"the cluster's API server must reach port {_port(self._pods[0])} of the pods, past network "
                    "policies and meshes; where it cannot, set `traffic: live` for the environment and send requests "
                    "to it yourself"
                )
                return (problem.removesuffix(": "), remedy)
            else:
                return ()
        return tuple(filter(None, (problem, log_end(self._cluster, pod))))

    def notes(self) -> tuple[str, ...]:
        """Notes for a failed analysis, which may have lacked requests."""
        right = f"{self.right} smoke requests were answered right meanwhile"
        if not self._unanswered or self.right >= self._minimum:
            return (right,)
        return (right, f"{self._unanswered} were not answered, the last one: {self._last_unanswered}")

    def _run(self, place: int) -> None:
        interval = _THREADS / self.per_second
        due = time.monotonic() + place / self.per_second
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + interval, time.monotonic())  # delays of slow answers are not caught up
            with self._lock:
                pods, number = self._pods, next(self._numbers) if self._pods else 0
            if pods:
                self._send(pods[number % len(pods)], number)

    def _send(self, pod: Object, number: int) -> None:
        name, requests = pod["metadata"]["name"], self._requests
        try:
            status, answer = self._cluster.send(
                name, _port(pod), path=requests.path, body=requests.body(number), seconds=_ANSWER_SECONDS
            )
        except NotFoundError:  # deleted since
            return
        except ModelwayError as error:
            with self._lock:
                self._unanswered += 1
                self._last_unanswered = error.message
            return
        problem = requests.problem(number, status, answer=answer)
        with self._lock:
            self._heard_at = time.monotonic()
            if not problem:
                self.right += 1
                return
            self._wrong += 1
            if not self._first_wrong:
                self._first_wrong, self._wrong_pod = problem, pod


def _port(pod: Object) -> int:
    """The port of a pod's server: the one named `http`, as in the manifests, else its first."""
    containers = pod["spec"]["containers"]
    ports = containers[server_index(containers)].get("ports") or [{"containerPort": _PORT}]
    http_ports = [port for port in ports if str(port.get("name", "")).startswith("http")]
    return int((http_ports or ports)[0]["containerPort"])
