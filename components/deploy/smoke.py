"""Traffic for an environment that has none: valid requests to a new version's own pods, while it rolls out.

What the pods answer is judged twice. They count it, so that the analysis compiled from the policy has what it asks for
and measures errors, latency and drift as anywhere; and each answer is looked at here, since a wrong one to a valid
request needs no statistics.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from modelway.components.core.config.policy import Policy
from modelway.components.core.errors import ModelwayError, NotFoundError
from modelway.components.deploy.analysis import seconds_to_decision
from modelway.components.deploy.cluster import Cluster, Object
from modelway.components.deploy.diagnosis import log_end
from modelway.components.deploy.smoke_requests import SmokeRequests
from modelway.components.deploy.targets.base import container, is_ready

_LEAST_PER_SECOND, _MOST_PER_SECOND = 10.0, 20.0
_MARGIN = 2  # as many again: pods come one by one, and Prometheus scrapes them only now and then
_THREADS = 4
_ANSWER_SECONDS = 10.0
_SILENT_SECONDS = 30.0
_FIRST_REQUESTS = 20  # where no analysis asks for more, as of a first version
_PORT = 8080


def smoke_policy(policy: Policy) -> Policy:
    """The policy with no more requests asked for than smoke requests come to until the analysis decides."""
    analysis = policy.deployment.analysis
    most = max(1, int(_MOST_PER_SECOND * _counted_seconds(policy) / _MARGIN))
    if analysis.minimum_requests <= most:
        return policy
    lowered = analysis.model_copy(update={"minimum_requests": most})
    return policy.model_copy(update={"deployment": policy.deployment.model_copy(update={"analysis": lowered})})


def requests_per_second(policy: Policy) -> float:
    """How many smoke requests are sent in a second, for the analysis to have what it asks for in time."""
    needed = _MARGIN * policy.deployment.analysis.minimum_requests / _counted_seconds(policy)
    return min(_MOST_PER_SECOND, max(_LEAST_PER_SECOND, needed))


def _counted_seconds(policy: Policy) -> float:
    """For how long requests are sent that Prometheus has seen when they are counted.

    What it has not scraped by then is lost. How long that is, is what the policy waits for the first scrapes, though
    not more than half of all the time.
    """
    planned = seconds_to_decision(policy)
    return max(1.0, planned - policy.deployment.analysis.initial_delay_seconds, planned / 2)


class SmokeTraffic:
    """Steady requests to the pods that it is aimed at, from threads of its own; to be used in a `with`.

    Args:
        cluster: Where the pods are.
        requests: What is sent.
        policy: How many requests the analysis asks for, and which share of them may fail.
        silent_seconds: Without any answer for so long, the pods count as not reached.
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
        self._right, self._wrong, self._unanswered = 0, 0, 0
        self._first_wrong, self._wrong_pod, self._last_unanswered = "", Object(), ""
        self._heard_at = time.monotonic()
        self._lock, self._stopping = threading.Lock(), threading.Event()

    def __enter__(self) -> Self:
        """Begins to send, once it is aimed at pods."""
        for place in range(_THREADS):
            threading.Thread(target=self._run, args=(place,), daemon=True, name=f"smoke-{place}").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends it at once: nobody waits for answers that are still to come."""
        self._stopping.set()

    def aim(self, pods: Sequence[Object]) -> None:
        """Sends to these pods from now on, as far as they are ready, and to no others."""
        ready = tuple(pod for pod in pods if is_ready(pod))
        with self._lock:
            if not self._pods:
                self._heard_at = time.monotonic()
            self._pods = ready

    @property
    def right(self) -> int:
        """How many requests were answered right."""
        return self._right

    @property
    def enough(self) -> bool:
        """Whether so many were answered right that a version may serve, be there an analysis or not."""
        return self._right >= min(self._minimum, _FIRST_REQUESTS)

    def failures(self) -> tuple[str, ...]:
        """Why the version is not to serve, a sentence each; empty as long as nothing speaks against it."""
        with self._lock:
            answered = self._right + self._wrong
            # Of few answers as many may be wrong as may be of the least that the analysis judges.
            if self._wrong > self._error_rate * max(answered, self._minimum):
                said = f"{self._wrong} of {answered} smoke requests were answered wrong; {self._first_wrong}"
                pod = self._wrong_pod
            elif self._pods and time.monotonic() - self._heard_at > self._silent_limit:
                said = f"no smoke request was answered within {self._silent_limit:g} s: {self._last_unanswered}"
                return (said.removesuffix(": "), *self._how_to_reach())
            else:
                return ()
        return tuple(filter(None, (said, log_end(self._cluster, pod))))

    def notes(self) -> tuple[str, ...]:
        """What else there is to know where the analysis has failed, perhaps for want of requests."""
        right = f"{self._right} smoke requests were answered right meanwhile"
        if not self._unanswered or self._right >= self._minimum:
            return (right,)
        return (right, f"{self._unanswered} were not answered, the last one: {self._last_unanswered}")

    def _how_to_reach(self) -> tuple[str, ...]:
        port = _port(self._pods[0])
        return (
            f"the cluster's API server must reach port {port} of the pods, past network policies and meshes; where it "
            "cannot, set `traffic: live` for the environment and send requests to it yourself",
        )

    def _run(self, place: int) -> None:
        interval = _THREADS / self.per_second
        due = time.monotonic() + place / self.per_second
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + interval, time.monotonic())  # what a slow answer delayed is not made up for
            with self._lock:
                pods, number = self._pods, next(self._numbers) if self._pods else 0
            if pods:
                self._ask(pods[number % len(pods)], number)

    def _ask(self, pod: Object, number: int) -> None:
        name, requests = pod["metadata"]["name"], self._requests
        try:
            answer = self._cluster.send(
                name, _port(pod), path=requests.path, body=requests.body(number), seconds=_ANSWER_SECONDS
            )
        except NotFoundError:  # gone since it was aimed at
            return
        except ModelwayError as error:
            with self._lock:
                self._unanswered += 1
                self._last_unanswered = error.message
            return
        problem = requests.problem(number, answer.status, answer=answer.content)
        with self._lock:
            self._heard_at = time.monotonic()
            if not problem:
                self._right += 1
                return
            self._wrong += 1
            if not self._first_wrong:
                self._first_wrong, self._wrong_pod = problem, pod


def _port(pod: Object) -> int:
    """The port that a pod's server answers on: the one called `http`, as in the manifests, else its first."""
    containers = pod["spec"]["containers"]
    ports = containers[container(containers)].get("ports") or [{"containerPort": _PORT}]
    named = [port for port in ports if str(port.get("name", "")).startswith("http")]
    return int((named or ports)[0]["containerPort"])
