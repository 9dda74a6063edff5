"""Steady requests for the predictions of a small model, with what became of each."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import polars as pl

MODEL = "loans"


def rows(count: int, seed: int, drifted: bool = False) -> pl.DataFrame:
    """Rows as the model was trained on; of people who earn much more, where they are drifted."""
    generator = np.random.default_rng(seed)
    income, age = generator.lognormal(10, 1, count), generator.integers(18, 80, count).astype(float)
    region = generator.choice(["north", "south", "east"], count, p=[0.4, 0.35, 0.25])
    late = (np.log(income) + (region == "north") + generator.normal(0, 0.5, count) > 10.5).astype(int)
    return pl.DataFrame({"income": income * (50 if drifted else 1), "age": age, "region": region, "late": late})


@dataclass(frozen=True)
class Answer:
    """What became of one request: its status and the version that answered, or why there was no answer."""

    at: float
    status: int = 0
    version: str = ""
    error: str = ""


@dataclass
class Traffic:
    """Steady requests for predictions, of some rows each, every one over a connection of its own."""

    address: tuple[str, int]
    per_second: float = 16
    drifted: bool = False
    answers: list[Answer] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    def ask(self, body: bytes) -> Answer:
        at = time.monotonic()
        connection = http.client.HTTPConnection(*self.address, timeout=10)
        try:
            connection.request("POST", f"/v2/models/{MODEL}/infer", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer_json = json.loads(answer.read())
            return Answer(at, answer.status, str(answer_json.get("model_version", "")))
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Answer(at, error=repr(error))
        finally:
            connection.close()

    def _run(self, seed: int, threads: int) -> None:
        bodies = [self.body(rows(8, seed * 100 + index, self.drifted)) for index in range(40)]
        rng, due = random.Random(seed), time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due = max(due + threads / self.per_second, time.monotonic() - 1)
            self.answers.append(self.ask(rng.choice(bodies)))

    @staticmethod
    def body(frame: pl.DataFrame) -> bytes:
        """A request for the predictions of rows."""
        kinds = {"income": "FP64", "age": "FP64", "region": "BYTES"}
        inputs = [
            {"name": name, "shape": [frame.height], "datatype": kind, "data": frame[name].to_list()}
            for name, kind in kinds.items()
        ]
        return json.dumps({"inputs": inputs}).encode()

    @contextmanager
    def flowing(self, threads: int = 6) -> Iterator[Traffic]:
        """Sends requests until the end of the block, which is when all answers are in."""
        running = [threading.Thread(target=self._run, args=(seed, threads), daemon=True) for seed in range(threads)]
        for answer in running:
            answer.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for answer in running:
                answer.join(timeout=15)

    @property
    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.status != 200]

    def by(self, version: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.version == version]

    def since(self, moment: float) -> list[Answer]:
        """The answers to what was asked since a moment, by `time.monotonic`: a slow answer comes after it."""
        return [answer for answer in self.answers if answer.at > moment]

    def longest_gap(self, version: str) -> float:
        """The longest time, in seconds, that a version answered nothing in."""
        times = sorted([self.answers[0].at, *(answer.at for answer in self.by(version)), self.answers[-1].at])
        return max(after - before for before, after in itertools.pairwise(times))
