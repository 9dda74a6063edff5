"""How soon a rollout is ended because it certainly fails, and how often one that is at its bound is ended wrongly.

Draws versions whose requests are bad with a known share, and looks at the counts after each request, as an analysis at
most can. What ends a rollout here is the part of its analysis that does not wait for `minimum_requests`.

    uv run python benchmarks/rollout_certainty.py
    uv run python benchmarks/rollout_certainty.py --rollouts 10000 --json
"""

from __future__ import annotations

import json
from bisect import bisect_left
from typing import Annotated, Any

import numpy as np
import typer

from modelway.components.deploy.objectives import is_certainly_above

BOUNDS = (0.01, 0.05)
SHARES = (1.0, 0.5, 0.1, 0.05)
REQUESTS = 2_000
AT_ONCE = 1_000


def least_bad(bound: float) -> Any:
    """The fewest bad requests that are certainly too many, of 1 to `REQUESTS` requests."""
    return np.array(
        [
            bisect_left(range(total + 1), True, key=lambda bad: is_certainly_above(bad, total, share=bound))
            for total in range(1, REQUESTS + 1)
        ]
    )


def ends(share: float, least: Any, *, rollouts: int, dice: np.random.Generator) -> Any:
    """After how many requests each rollout of a version is ended; infinite where it is not."""
    results = []
    for _ in range(rollouts // AT_ONCE):
        bad = (dice.random((AT_ONCE, REQUESTS), dtype=np.float32) < share).cumsum(axis=1, dtype=np.int32)
        is_ended = bad >= least
        results.append(np.where(is_ended.any(axis=1), is_ended.argmax(axis=1) + 1, np.inf))
    return np.concatenate(results)


def main(
    rollouts: Annotated[int, typer.Option(help="How many rollouts are drawn for each line, in thousands.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Prints a line for each bound and share."""
    dice, lines = np.random.default_rng(15), []
    for bound in BOUNDS:
        least = least_bad(bound)
        for share in (bound, *(share for share in SHARES if share > bound)):
            requests = ends(share, least, rollouts=rollouts if share == bound else 10 * AT_ONCE, dice=dice)
            median, most = np.quantile(requests, [0.5, 0.9], method="higher")
            ended = float(np.isfinite(requests).mean())
            lines.append({"bound": bound, "share": share, "ended": ended, "median": median, "90 %": most})
    if as_json:
        print(json.dumps(lines))
        return
    for line in lines:
        print("  ".join(f"{key} {value:g}" for key, value in line.items()))


if __name__ == "__main__":
    typer.run(main)
