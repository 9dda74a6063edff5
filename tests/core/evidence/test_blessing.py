from __future__ import annotations

import json
from typing import Any

import pytest

from modelway.components.core.checks import Check, Gate, Mode, OnInconclusive, Verdict, inconclusive, passed_or_failed
from modelway.components.core.evidence.blessing import Blessing, Hashes, bless

GOOD = passed_or_failed("metric[f1]", True, message="0.9", observed=0.9, threshold=0.5, interval=(0.88, 0.92))
BAD = passed_or_failed("latency[p99]", False, message="900 ms", observed=900.0, threshold=100.0)
UNSURE = inconclusive("drift", "no baseline", rule=OnInconclusive.WARN)


def gate(name: str, *checks: Check, mode: Mode = Mode.ENABLED) -> Gate:
    return Gate(name=name, checks=checks or (GOOD,), mode=mode)


def blessing(*gates: Gate, **changes: Any) -> Blessing:
    hashes = Hashes(**{"model": "m", "project": "p", "contract": "c", "policy": "q", **changes.pop("hashes", {})})
    fields = {
        "project": "loans",
        "run": "run-1",
        "git_commit": "abc",
        "requested_by": "ada",
        "compared_with": "3",
        **changes,
    }
    return bless(gates or (gate("data"), gate("model"), gate("serving")), hashes, **fields)


@pytest.mark.parametrize(
    ("gates", "blessed", "verdict"),
    [
        ((gate("data"), gate("model"), gate("serving")), True, Verdict.PASSED),
        ((gate("data", UNSURE), gate("model"), gate("serving")), True, Verdict.INCONCLUSIVE),
        ((gate("data"), gate("model"), gate("serving", BAD)), False, Verdict.FAILED),
        ((gate("data"), gate("model"), gate("serving", BAD, mode=Mode.DRY_RUN)), True, Verdict.FAILED),
        ((gate("data"), gate("model")), False, Verdict.PASSED),
        ((gate("data"),), False, Verdict.PASSED),
    ],
)
def test_a_model_is_blessed_when_every_gate_was_reached_and_lets_it_proceed(
    gates: tuple[Gate, ...], blessed: bool, verdict: Verdict
) -> None:
    document = blessing(*gates)
    assert (document.blessed, document.verdict) == (blessed, verdict)


def test_its_reasons_are_those_of_the_gates_that_block() -> None:
    document = blessing(gate("data", BAD, mode=Mode.DRY_RUN), gate("model"), gate("serving", BAD))
    assert document.reasons == ["latency[p99]: 900 ms"]


def test_the_document_says_every_check_in_full() -> None:
    content = json.loads(blessing().content())
    assert content["gates"][1]["checks"] == [
        {
            "name": "metric[f1]",
            "verdict": "passed",
            "observed": 0.9,
            "interval": [0.88, 0.92],
            "threshold": 0.5,
            "message": "0.9",
            "blocks": False,
            "waiver": None,
            "evidence": None,
        }
    ]
    assert Blessing.model_validate_json(blessing().content()).hashes.model == "m"


@pytest.mark.parametrize("name", sorted(Hashes.model_fields))
def test_it_is_bound_to_each_hash(name: str) -> None:
    identical = blessing(hashes={name: "other"}).identity == blessing().identity
    assert identical is (name == "request")  # what a run was asked for says nothing of what was judged
    assert blessing(hashes={name: "other"}).sha256() != blessing().sha256()


def test_judging_the_same_again_is_the_same_blessing_in_another_document() -> None:
    first, second = blessing(), blessing(run="run-2")
    assert first.identity == second.identity
    assert first.sha256() != second.sha256()
    assert blessing(compared_with="4").identity != first.identity


def test_the_image_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWAY_IMAGE", "registry/modelway@sha256:1")
    assert blessing().image == "registry/modelway@sha256:1"
    monkeypatch.delenv("MODELWAY_IMAGE")
    assert blessing().image.startswith("modelway ")
