"""Why a model was or was not blessed, in words."""

from __future__ import annotations

import re
from typing import Any

import pytest

from modelway.components.core.checks import Check, Gate, Mode, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.evidence.explanation import as_json, as_markdown, headline, sentences, unpassed_checks
from modelway.components.core.evidence.runs import Attempt, DeploymentRecord, Outcome, RegisteredVersion, State

GOOD = passed_or_failed("columns", True, message="all there")
BAD = passed_or_failed(
    "metric[roc_auc]", False, message="0.51 on 900 rows | at least 0.6", observed=0.51, threshold=0.6
)
UNSURE = inconclusive("test_rows", "12 test rows", rule=OnInconclusive.BLOCK)
WARNED = inconclusive("drift", "no baseline yet", rule=OnInconclusive.WARN)
WAIVED = passed_or_failed("slice[a].f1", False, message="0.2").model_copy(
    update={"blocks": False, "waiver": "waived by ada until 2026-06-30: known"}
)


def outcome(state: State, *gates: Gate, **changes: Any) -> Outcome:
    model = RegisteredVersion(name="loans", version="4", alias="champion", model_hash="h")
    fields: dict[str, Any] = {"run": "run-1", "project": "loans", "git_commit": "c0ffee", "blessing": "b" * 64}
    return Outcome(state=state, gates=gates, model=model if state is State.REGISTERED else None, **fields | changes)


UNDONE = DeploymentRecord(
    run="run-1",
    model="loans",
    version="4",
    environment="staging",
    verdict="undone",
    image="registry.example/loans@sha256:abc",
    restored="",
    reasons=("requests is 0",),
    sentence="version 4 of loans was undone in staging: requests is 0",
    at="2026-11-26T21:00:00+00:00",
)


def gate(name: str, *checks: Check, mode: Mode = Mode.ENABLED) -> Gate:
    return Gate(name=name, checks=checks, mode=mode)


REJECTED = outcome(
    State.REJECTED,
    gate("data", GOOD, WARNED),
    gate("model", WAIVED, UNSURE, GOOD, BAD),
    gate("serving", BAD, mode=Mode.DRY_RUN),
)


def test_what_is_worst_comes_first() -> None:
    assert [(finding.gate, finding.check.name, finding.effect) for finding in unpassed_checks(REJECTED)] == [
        ("model", "metric[roc_auc]", "blocks"),
        ("model", "test_rows", "blocks"),
        ("serving", "metric[roc_auc]", "reported"),
        ("model", "slice[a].f1", "waived"),
        ("data", "drift", "warns"),
    ]


def test_a_rejection_is_told_in_sentences() -> None:
    lines = sentences(REJECTED)
    assert lines[0] == "loans was not blessed in run-1: 2 checks block it."
    assert lines[1] == ("The model gate's metric[roc_auc] failed (blocks): 0.51 on 900 rows | at least 0.6.")
    assert lines[2] == "The model gate's test_rows is inconclusive (blocks): 12 test rows."
    assert "would block, but this gate only reports" in lines[3]
    assert "waived by ada until 2026-06-30: known" in lines[4]
    assert lines[-3:] == [
        "The data gate passed 1 of 2 checks.",
        "The model gate passed 1 of 4 checks.",
        "The serving gate passed 0 of 1 checks.",
    ]


def test_gates_that_were_not_reached_are_named() -> None:
    lines = sentences(outcome(State.REJECTED, gate("data", BAD)))
    assert lines[0].endswith("1 check blocks it.")
    assert lines[-1] == "Not reached: the model and the serving gates."


@pytest.mark.parametrize(
    ("outcome_", "says"),
    [
        (outcome(State.REGISTERED, gate("data", GOOD)), "loans was blessed in run-1: it is version 4, 'champion'."),
        (outcome(State.FAILED, error="out of memory"), "The run run-1 of loans failed: out of memory."),
        (outcome(State.FAILED), "The run run-1 of loans failed."),
        (
            outcome(State.REGISTERED, name="weekly", error="packaging did not finish"),
            "loans was blessed in weekly (run-1): it is version 4, 'champion'; packaging did not finish.",
        ),
        (
            outcome(State.UNDONE, deployment=UNDONE),
            "version 4 of loans was undone in staging: requests is 0.",
        ),
    ],
)
def test_the_headline_says_what_became_of_it(outcome_: Outcome, says: str) -> None:
    assert headline(outcome_) == says


def test_a_disabled_gate_is_no_passed_gate() -> None:
    lines = sentences(outcome(State.REGISTERED, gate("serving", mode=Mode.DISABLED)))
    assert "The serving gate is disabled by the policy, so it was not judged." in lines


def test_the_comment_is_whole_markdown() -> None:
    text = as_markdown(REJECTED)
    assert text.startswith("### ❌ loans was not blessed in run-1: 2 checks block it.\n")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1
    assert "| serving (dry_run) | ❌ failed | 0 | 1 | 0 |" in rows
    assert "- `metric[roc_auc]` blocks: 0.51 on 900 rows \\| at least 0.6" in text
    assert re.search(r"commit `c0ffee` · blessing `b{16}`", text)
    assert as_markdown(outcome(State.REGISTERED, gate("data", GOOD))).startswith("### ✅ loans was blessed")


def test_a_long_list_is_cut_and_counted() -> None:
    checks = [passed_or_failed(f"nulls[c{number}]", False, message="many") for number in range(25)]
    text = as_markdown(outcome(State.REJECTED, gate("data", *checks)))
    assert text.count("\n- `nulls[") == 20
    assert "\n- and 5 more\n" in text


def test_the_data_holds_every_finding() -> None:
    document = as_json(REJECTED)
    assert document["state"] == "rejected"
    assert document["verdicts"] == {"data": "inconclusive", "model": "failed", "serving": "failed"}
    assert [finding["effect"] for finding in document["findings"]] == [
        "blocks",
        "blocks",
        "reported",
        "waived",
        "warns",
    ]
    assert document["findings"][0]["observed"] == 0.51


def test_what_came_after_the_gates_and_before_a_retry_is_told() -> None:
    attempt = Attempt(state=State.FAILED, error="the run ended before a gate decided", at="2026-11-26T20:00:00+00:00")
    after = outcome(
        State.REGISTERED,
        gate("data", GOOD),
        image="registry.example/loans@sha256:abc",
        deployment=UNDONE,
        error=UNDONE.sentence,
        attempts=(attempt,),
    )
    lines = sentences(after)
    assert lines[-3:] == [
        "Packaged as registry.example/loans@sha256:abc.",
        "In staging: version 4 of loans was undone in staging: requests is 0.",
        "Attempt 1 ended as failed at 2026-11-26T20:00:00+00:00: the run ended before a gate decided.",
    ]
    text = as_markdown(after)
    assert text.startswith("### ⚠️ loans was blessed in run-1")
    assert "**The run**" in text
    assert as_json(after)["attempts"][0]["state"] == "failed"


def test_a_promotion_is_told_without_a_table_of_gates() -> None:
    text = as_markdown(outcome(State.UNDONE, deployment=UNDONE, blessing="", git_commit=""))
    assert text.startswith("### ❌ version 4 of loans was undone in staging")
    assert "| gate |" not in text
