"""The server's answers to real rows, and how they differ from the model's offline predictions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelway.components.probe.client import Client, Reply
from modelway.components.probe.requests import V1, V2, Sample

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]

_SINGLE_REPEATS = 8
_MAX_SECONDS = 5.0
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Answer:
    """One reply to some rows.

    Attributes:
        rows: The rows' positions in the sample.
        reply: The HTTP reply.
        outputs: An array per output; empty if the reply has none.
    """

    rows: tuple[int, ...]
    reply: Reply
    outputs: Outputs

    def describe(self, sample: Sample) -> str:
        """Describes the request."""
        return sample.describe(self.rows[0]) if len(self.rows) == 1 else f"a batch of {len(self.rows)} rows"


@dataclass(frozen=True)
class Answers:
    """The answers to real rows, in the order of the requests.

    Attributes:
        by_kind: The answers of each kind: ``v2 single``, ``v2 batch``, ``v1 single``, ``v1 batch``.
        pairs: The answers to requests that were sent twice.
        unanswered: A description of the request without an answer, after which none was sent.
    """

    by_kind: dict[str, list[Answer]]
    pairs: list[tuple[Answer, Answer]]
    unanswered: str = ""


def collect_answers(client: Client, sample: Sample) -> Answers:
    """Sends every row of the sample, one at a time, to find one that kills the server, and then as one batch.

    A slow model gets as many single rows as it answers in a few seconds; the batch holds as many rows as the server
    takes in one request.
    """
    single, batch = [(row,) for row in range(len(sample))], [sample.batch]
    plan: dict[str, Sequence[tuple[int, ...]]] = {
        "v2 single": single,
        "v2 batch": batch,
        "v1 single": single[:_SINGLE_REPEATS],
        "v1 batch": batch,
    }
    by_kind: dict[str, list[Answer]] = {kind: [] for kind in plan}
    pairs: list[tuple[Answer, Answer]] = []
    for kind, batches in plan.items():
        stop_at = time.perf_counter() + _MAX_SECONDS
        for number, rows in enumerate(batches):
            if number and time.perf_counter() > stop_at:
                break
            twice = number < _SINGLE_REPEATS and kind.startswith("v2")
            repeats = [request_answer(client, sample, kind=kind, rows=rows) for _ in range(2 if twice else 1)]
            by_kind[kind].append(repeats[0])
            if twice:
                pairs.append((repeats[0], repeats[1]))
            unanswered = next((answer for answer in repeats if not answer.reply.status), None)
            if unanswered is not None:
                return Answers(by_kind, pairs, f"{unanswered.describe(sample)}: {unanswered.reply}")
    return Answers(by_kind, pairs)


def request_answer(client: Client, sample: Sample, *, kind: str, rows: tuple[int, ...]) -> Answer:
    """Sends some rows in one request."""
    is_v2 = kind.startswith("v2")
    reply = client.post(V2, sample.v2(rows)) if is_v2 else client.post(V1, sample.v1(rows))
    try:
        outputs = (_outputs_v2 if is_v2 else _outputs_v1)(reply.answer) if reply.status == 200 else {}
    except (KeyError, TypeError, ValueError):
        outputs = {}
    return Answer(rows, reply, outputs)


def predict_offline(model: Any, frame: pd.DataFrame) -> Outputs:
    """Returns the model's predictions of the rows in this process."""
    names = ("predict", "predict_proba") if hasattr(model, "predict_proba") else ("predict",)
    return {name: np.asarray(getattr(model, name)(frame)) for name in names}


def difference(answer: Answer, expected: Outputs, *, tolerance: float, sample: Sample) -> str:
    """Describes how an answer differs from the expected outputs; empty if it does not.

    Args:
        answer: The answer.
        expected: The outputs of every row of the sample.
        tolerance: The absolute and relative tolerance of numbers; labels must be equal.
        sample: The rows.
    """
    if not answer.outputs:
        return f"{answer.describe(sample)} was answered {answer.reply}"
    for name, values in expected.items():
        expected_values, actual_values = values[list(answer.rows)], answer.outputs.get(name)
        if actual_values is None or actual_values.shape != expected_values.shape:
            return f"{answer.describe(sample)}: `{name}` is missing from the answer, or of another shape"
        differs = ~_equal(actual_values, expected_values, tolerance=tolerance)
        if differs.any():
            place = tuple(np.argwhere(differs)[0])
            row = sample.describe(answer.rows[int(place[0])])
            return f"{row}: `{name}` is {actual_values[place]!s}, offline {expected_values[place]!s}"
    return ""


def is_same(first: Answer, second: Answer) -> bool:
    """Returns whether two answers are the same, up to the rounding of sums that threads add up."""
    if first.reply.status != second.reply.status or first.outputs.keys() != second.outputs.keys():
        return False
    return all(
        bool(_equal(first.outputs[name], second.outputs[name], tolerance=_ROUNDING).all()) for name in first.outputs
    )


def _equal(actual: Array, expected: Array, *, tolerance: float) -> Array:
    if expected.dtype.kind in "biuf" and actual.dtype.kind in "biuf":
        if expected.dtype.kind == actual.dtype.kind == "f":
            return np.isclose(actual, expected, rtol=tolerance, atol=tolerance, equal_nan=True)
        return np.asarray(actual == expected)
    return np.asarray(actual.astype(str) == expected.astype(str))


def _outputs_v2(answer: Any) -> Outputs:
    return {output["name"]: _array(output["data"]).reshape(output["shape"]) for output in answer["outputs"]}


def _outputs_v1(answer: Any) -> Outputs:
    outputs = {"predict": _array(answer["predictions"])}
    return {**outputs, "predict_proba": _array(answer["probabilities"])} if "probabilities" in answer else outputs


def _array(values: list[Any]) -> Array:
    """Returns the values with their own type; null, which stands for what is not finite, as NaN."""
    array = np.asarray(values)
    return array.astype(np.float64) if array.dtype == object else array
