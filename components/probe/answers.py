"""The server's answers to real rows, and how they compare with what the model says offline."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.components.probe.client import Client, Reply
from modelway.components.probe.requests import V1, V2, Sample

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]

_ENOUGH_SINGLE = 8
_MOST_SECONDS = 5.0
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Answer:
    """One reply to some rows.

    Attributes:
        rows: The rows' places in the sample.
        reply: What came back.
        outputs: What the reply says, an array per output; empty if it is no answer.
    """

    rows: tuple[int, ...]
    reply: Reply
    outputs: Outputs

    def describe(self, sample: Sample) -> str:
        """What was asked, in words."""
        return sample.describe(self.rows[0]) if len(self.rows) == 1 else f"a batch of {len(self.rows)} rows"


@dataclass(frozen=True)
class Asked:
    """What was asked and answered, in the order it was asked.

    Attributes:
        kinds: The answers of each kind: ``v2 single``, ``v2 batch``, ``v1 single``, ``v1 batch``.
        repeated: Answers asked for twice, in pairs.
        unanswered: The rows that no answer came to at all, in words; the asking ended there.
    """

    kinds: dict[str, list[Answer]]
    repeated: list[tuple[Answer, Answer]]
    unanswered: str = ""


def ask(client: Client, sample: Sample) -> Asked:
    """Asks about every row of the sample: one at a time, so that one that kills the server is found, then together.

    A slow model is asked about as many single rows as it answers in a few seconds, and together about as many as the
    server takes in one request.
    """
    kinds: dict[str, list[Answer]] = {"v2 single": [], "v2 batch": [], "v1 single": [], "v1 batch": []}
    repeated: list[tuple[Answer, Answer]] = []
    together = sample.batch
    single: list[tuple[int, ...]] = [(row,) for row in range(len(sample))]
    plan: list[tuple[str, list[tuple[int, ...]]]] = [("v2 single", single), ("v2 batch", [together])]
    plan += [("v1 single", single[:_ENOUGH_SINGLE]), ("v1 batch", [together])]
    for kind, batches in plan:
        stop_at = time.perf_counter() + _MOST_SECONDS
        for number, rows in enumerate(batches):
            if number and time.perf_counter() > stop_at:
                break
            again = number < _ENOUGH_SINGLE and kind.startswith("v2")
            asked = [ask_once(client, sample, kind=kind, rows=rows) for _ in range(2 if again else 1)]
            kinds[kind].append(asked[0])
            if again:
                repeated.append((asked[0], asked[1]))
            lost = next((one for one in asked if not one.reply.status), None)
            if lost is not None:
                return Asked(kinds, repeated, f"{lost.describe(sample)}: {lost.reply}")
    return Asked(kinds, repeated)


def ask_once(client: Client, sample: Sample, *, kind: str, rows: tuple[int, ...]) -> Answer:
    """Asks about some rows in one request."""
    if kind.startswith("v2"):
        reply = client.post(V2, sample.v2(rows))
        return Answer(rows, reply, _outputs_v2(reply) if reply.status == 200 else {})
    reply = client.post(V1, sample.v1(rows))
    return Answer(rows, reply, _outputs_v1(reply) if reply.status == 200 else {})


def offline(model: Any, frame: pd.DataFrame) -> Outputs:
    """What the model says of the rows in this process."""
    names = ("predict", "predict_proba") if hasattr(model, "predict_proba") else ("predict",)
    return {name: np.asarray(getattr(model, name)(frame)) for name in names}


def difference(answer: Answer, expected: Outputs, *, tolerance: float, sample: Sample) -> str:
    """How an answer differs from what is expected, in words; empty if it does not.

    Args:
        answer: The answer.
        expected: Of every row of the sample; probabilities are compared where the answer has them.
        tolerance: Numbers may differ by this much and this share of their value; labels not at all.
        sample: The rows.
    """
    if not answer.outputs:
        return f"{answer.describe(sample)} was answered {answer.reply}"
    for name, values in expected.items():
        wanted, found = values[list(answer.rows)], answer.outputs.get(name)
        if found is None or found.shape != wanted.shape:
            return f"{answer.describe(sample)}: `{name}` is missing from the answer, or of another shape"
        wrong = ~_equal(found, wanted, tolerance=tolerance)
        if wrong.any():
            place = np.argwhere(wrong)[0]
            row = answer.rows[int(place[0])]
            return f"{sample.describe(row)}: `{name}` is {found[tuple(place)]!s}, offline {wanted[tuple(place)]!s}"
    return ""


def same(first: Answer, second: Answer) -> bool:
    """Whether two answers to the same request say the same, up to the rounding of sums that threads add up."""
    if first.reply.status != second.reply.status or first.outputs.keys() != second.outputs.keys():
        return False
    return all(
        bool(_equal(first.outputs[name], second.outputs[name], tolerance=_ROUNDING).all()) for name in first.outputs
    )


def _equal(found: Array, wanted: Array, *, tolerance: float) -> Array:
    if wanted.dtype.kind in "biuf" and found.dtype.kind in "biuf":
        if wanted.dtype.kind == found.dtype.kind == "f":
            return np.isclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
        return np.asarray(found == wanted)
    return np.asarray(found.astype(str) == wanted.astype(str))


def _outputs_v2(reply: Reply) -> Outputs:
    try:
        return {one["name"]: _array(one["data"]).reshape(one["shape"]) for one in reply.answer["outputs"]}
    except (KeyError, TypeError, ValueError):
        return {}


def _outputs_v1(reply: Reply) -> Outputs:
    try:
        answer = reply.answer
        found = {"predict": _array(answer["predictions"])}
        return {**found, "predict_proba": _array(answer["probabilities"])} if "probabilities" in answer else found
    except (KeyError, TypeError, ValueError):
        return {}


def _array(values: list[Any]) -> Array:
    """The values with their own type; null, which stands for what is not finite, as NaN."""
    found = np.asarray(values)
    return found.astype(np.float64) if found.dtype == object else found
