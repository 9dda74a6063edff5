from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pages import LONG, assert_readable, crowded, shortcomings
from user_files import minimal_project

from modelway.components.core.checks import Gate
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.client import Reply
from modelway.components.probe.load import Load
from modelway.components.probe.measuring import MalformedResult, Measurements
from modelway.components.probe.report import render
from modelway.components.probe.requests import MalformedRequest

PROJECT = minimal_project(name=LONG.replace("_", "-"))
POLICY = Serving.model_validate({"sla": {"p95_ms": 20_000, "p99_ms": 30_000}})


def measurements() -> Measurements:
    """Slow answers to few requests, and refusals at length."""
    milliseconds = np.sort(np.random.default_rng(0).uniform(10_000, 30_000, 40))
    load = Load(milliseconds, np.cumsum(milliseconds) / 1000, 40, (), 60.0)
    request = MalformedRequest("missing column", LONG, f"/v2/models/{LONG}/infer", b"{}")
    reply = Reply(422, json.dumps({"error": f"the column '{LONG}' is missing: {'z' * 200}"}).encode())
    results = (
        MalformedResult(request, reply, survived=True),
        MalformedResult(request, Reply(0, connection_error="no answer"), survived=False),
    )
    return Measurements(load=load, warm_up=load, malformed=results, log=f"Traceback: {LONG * 3}")


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    gate = crowded("serving", ("predictions_match", "latency", "malformed"), {"test_rows": 600})
    return {
        "calm": render(Gate(name="serving", checks=()), PROJECT, measurements=Measurements(), policy=POLICY),
        "crowded": render(gate, PROJECT, measurements=measurements(), policy=POLICY),
    }


def test_pages_are_written_for_a_narrow_panel(pages: dict[str, str]) -> None:
    assert {name: shortcomings(text) for name, text in pages.items()} == {"calm": [], "crowded": []}


def test_pages_are_read_in_a_narrow_panel_without_scrolling_sideways(pages: dict[str, str], tmp_path: Path) -> None:
    assert_readable(pages, tmp_path)


def test_the_page_says_what_each_malformed_request_was_answered(pages: dict[str, str]) -> None:
    text = pages["crowded"]
    assert "422" in text
    assert "The server died." in text
    assert "too few requests" in text
    assert "Traceback" in text


def test_slow_answers_are_written_in_whole_milliseconds(pages: dict[str, str]) -> None:
    table = pages["crowded"].partition("percentile")[2].partition("</table>")[0]
    assert re.search(r">p99</th><td class=\"number\">\d{2},\d{3}</td>", table)
    assert "30,000" in table
