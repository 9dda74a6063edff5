"""Follows a rollout until it is healthy or has failed, and says why it has."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace

from modelway.components.core.errors import CredentialsError, UnavailableError
from modelway.components.deploy.cluster import Object
from modelway.components.deploy.diagnosis import (
    failed_analyses,
    is_crash_looping,
    metric_values,
    pod_diagnosis,
    pod_problems,
    rollout_diagnosis,
)
from modelway.components.deploy.room import RoomWait
from modelway.components.deploy.smoke import SmokeTraffic
from modelway.components.deploy.targets.base import RolloutState, pods_of_image
from modelway.components.deploy.workload import Workload

_ROLLBACK_MISSES = 2  # what is rolled back from serves until the other is there: one pod fewer, and one that waits
_POLL_SECONDS = 2.0


def follow(
    workload: Workload, image: str, seconds: float, *, smoke: SmokeTraffic | None = None, make_room: bool = False
) -> tuple[str, ...]:
    """Follows a rollout until it is healthy or has failed.

    It has failed too once a pod of it that never was ready has died three times.

    Args:
        workload: What is rolled out.
        image: The image that it is set to.
        seconds: How long it may take.
        smoke: Sends requests to the new pods and checks their answers; None: they have other traffic.
        make_room: Whether pods of other images give way where the new ones find no room, as in a rollback.

    Returns:
        Why it failed; empty if everything that serves is of the image.

    Raises:
        NoRoomError: there was no room for pods, of this or of the version before, which is not the version's fault.
    """
    rollout = _Rollout(workload, image, smoke=smoke, make_room=make_room)
    deadline, last_line = time.monotonic() + seconds, ""
    while True:
        try:
            failures = rollout.look()
            if failures is not None:
                return failures
            if time.monotonic() > deadline:
                return rollout.time_out(seconds)
            line = rollout.line
        except UnavailableError as error:
            if time.monotonic() > deadline:
                raise
            line = error.message
        if line != last_line:
            workload.progress(line)
        last_line = line
        time.sleep(_POLL_SECONDS)


class _Rollout:
    """A rollout as it is seen from look to look: what was wrong with pods that are gone, and what was measured."""

    def __init__(self, workload: Workload, image: str, *, smoke: SmokeTraffic | None, make_room: bool) -> None:
        self.line = ""
        self._workload, self._image, self._smoke, self._make_room = workload, image, smoke, make_room
        self._room = RoomWait(
            workload.cluster,
            workload.target,
            workload.name,
            seconds=workload.policy.deployment.progress_deadline_seconds,
        )
        self._problems: dict[str, str] = {}
        self._diagnosis: list[str] = []
        self._analyses: dict[str, None] = {}  # an aborted Rollout no longer names them
        self._had_failed = False

    def look(self) -> tuple[str, ...] | None:
        """Looks at it once; returns why it failed, empty if it is complete, None if it goes on."""
        workload, smoke = self._workload, self._smoke
        obj = workload.object()
        if workload.image(obj) != self._image:
            return (f"{workload.name} was changed by something else meanwhile, to {workload.image(obj)}",)
        pods = workload.pods()
        state = workload.target.state(obj, pods)
        if self._make_room:
            workload.make_room(obj, pods, image=self._image, most=_ROLLBACK_MISSES)
        problems = self._observe(state)
        if state.phase == "progressing" and any(map(is_crash_looping, state.pods)):
            return tuple(self._diagnosis)
        if smoke is not None:
            smoke.aim(pods_of_image(state.pods, self._image) if state.phase != "failed" else ())
            if failures := smoke.failures():
                return (*failures, *self._diagnosis)
        shortage = self._room.observe(state, pods, problems=problems)
        self.line = ", ".join(filter(None, [self.line, shortage]))
        is_served = state.phase == "healthy" or (state.is_alone and bool(shortage))
        if is_served and (smoke is None or smoke.enough):
            workload.progress(self.line)
            self._room.end()
            workload.tolerate(obj, 0)
            return ()
        has_failed, self._had_failed = self._had_failed, state.phase == "failed"
        if has_failed and self._had_failed:  # twice in a row: a status may be slightly out of date
            return self._failures(obj, state, problems=problems)
        return None

    def time_out(self, seconds: float) -> tuple[str, ...]:
        """Why it failed that took too long."""
        self._room.check()
        return (f"it did not finish within {seconds:,.0f} s: {self.line}", *self._diagnosis)

    def _observe(self, state: RolloutState) -> dict[str, str]:
        """Keeps what is seen of pods and analyses, which may be gone at the next look; returns the pods' problems."""
        cluster = self._workload.cluster
        self._analyses |= dict.fromkeys(state.analyses)
        runs = (cluster.get("analysisruns", name) for name in state.analyses)
        values = dict.fromkeys(value for run in runs if run is not None for value in metric_values(run))
        self.line = ", ".join([state.progress, *values])
        problems = pod_problems(state.pods)
        if problems and problems != self._problems:
            self._problems, self._diagnosis = problems, pod_diagnosis(cluster, state.pods)
        return problems

    def _failures(self, obj: Object, state: RolloutState, *, problems: Mapping[str, str]) -> tuple[str, ...]:
        cluster, smoke = self._workload.cluster, self._smoke
        state = replace(state, analyses=tuple(self._analyses) or self._past_analyses(obj))
        self._room.check(faults=[*problems, *failed_analyses(cluster, state)])
        reasons = rollout_diagnosis(cluster, self._workload.name, state=state, pods=self._diagnosis)
        return (*reasons, *(smoke.notes() if smoke is not None else ()))

    def _past_analyses(self, obj: Object) -> tuple[str, ...]:
        """The names of the last change's AnalysisRuns, where the rollout had failed before it was followed."""
        workload = self._workload
        with suppress(CredentialsError):  # of an account whose Role is an older one
            return tuple(run["metadata"]["name"] for run in workload.target.analysis_runs(workload.cluster, obj))
        return ()
