from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from modelway.components.core.checks import Gate, Mode, OnInconclusive, Verdict, inconclusive, passed_or_failed
from modelway.components.core.config.policy import Policy
from modelway.components.core.config.waivers import Waiver, judged_gate, lapsed
from modelway.components.core.errors import ModelwayError

Text = Callable[..., str]
CHECKS = (
    passed_or_failed("drift[age]", False, message="PSI 0.4"),
    inconclusive("drift[sex]", "few rows", rule=OnInconclusive.BLOCK),
    passed_or_failed("columns", True, message="all there"),
)


def waiver(**changes: Any) -> Waiver:
    fields = {"gate": "data", "check": "drift[age]", "reason": "new plan", "by": "ada", "until": "2026-06-30"}
    return Waiver.model_validate({**fields, **changes})


def gate_of(*waivers: Waiver, as_of: str = "2026-06-01", mode: Mode = Mode.ENABLED) -> Gate:
    return judged_gate("data", CHECKS, facts={}, mode=mode, waivers=waivers, as_of=as_of)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("drift[age]", {"drift[age]"}),
        ("drift[*]", {"drift[age]", "drift[sex]"}),
        ("*[sex]", {"drift[sex]"}),
        ("*", {"drift[age]", "drift[sex]", "columns"}),
        ("d*[*e]", {"drift[age]"}),
        ("drift[ag*age]", set()),
        ("drift", set()),
        ("drift[a-z]*", set()),
    ],
)
def test_a_waiver_covers_what_its_pattern_says(pattern: str, names: set[str]) -> None:
    assert {check.name for check in CHECKS if waiver(check=pattern).covers("data", check.name)} == names
    assert not waiver(check=pattern).covers("model", "drift[age]")


@pytest.mark.parametrize(
    ("former", "check"),
    [("lives", "server_alive"), ("starts", "server_starts"), ("answers[*]", "predictions_match[v2 single]")],
)
def test_a_waiver_by_a_checks_former_name_still_covers_it(former: str, check: str) -> None:
    former_waiver = waiver(gate="serving", check=former)
    assert former_waiver.covers("serving", check)
    assert not former_waiver.covers("serving", "malformed[null]")
    assert not waiver(gate="serving", check="drift[*]").covers("serving", check)


def test_a_waived_check_keeps_its_verdict_and_says_who_let_it_pass() -> None:
    gate = gate_of(waiver())
    check = gate.checks[0]
    assert (check.verdict, check.blocks) == (Verdict.FAILED, False)
    assert check.waiver == "waived by ada until 2026-06-30: new plan"
    assert gate.verdict is Verdict.FAILED
    assert gate.reasons == ["drift[sex]: few rows"]
    assert not gate.proceed
    assert gate_of(waiver(check="drift[*]")).proceed


@pytest.mark.parametrize(("day", "holds"), [("2026-06-30", True), ("2026-07-01", False)])
def test_a_waiver_holds_until_the_end_of_its_day(day: str, holds: bool) -> None:
    assert (gate_of(waiver(), as_of=day).checks[0].waiver is not None) is holds


def test_without_a_day_it_is_today() -> None:
    today = dt.datetime.now(dt.UTC).date()
    assert gate_of(waiver(until=today), as_of="").checks[0].waiver is not None
    assert gate_of(waiver(until=today - dt.timedelta(days=1)), as_of="").checks[0].waiver is None


def test_a_check_that_does_not_block_needs_no_waiver() -> None:
    assert gate_of(waiver(check="*")).checks[2].waiver is None


@pytest.mark.parametrize(("mode", "proceeds"), [(Mode.ENABLED, False), (Mode.DRY_RUN, True), (Mode.DISABLED, True)])
def test_only_an_enabled_gate_blocks(mode: Mode, proceeds: bool) -> None:
    gate = gate_of(mode=mode)
    assert gate.proceed is proceeds
    assert gate.verdict is Verdict.FAILED
    assert len(gate.reasons) == 2


def test_a_waiver_that_ended_or_was_taken_back_is_found_out() -> None:
    gate = gate_of(waiver())
    assert lapsed(gate, [waiver()], as_of="2026-06-30") == []
    assert [check.name for check in lapsed(gate, [waiver()], as_of="2026-07-01")] == ["drift[age]"]
    assert [check.name for check in lapsed(gate, [], as_of="2026-06-01")] == ["drift[age]"]
    assert lapsed(gate_of(), [], as_of="2026-06-01") == []


@pytest.mark.parametrize("key", ["gate", "check", "reason", "by", "until"])
def test_a_waiver_says_everything(policy_text: Text, key: str) -> None:
    fields = waiver().model_dump(mode="json")
    del fields[key]
    with pytest.raises(ModelwayError, match="this key is required") as error:
        Policy.parse(policy_text({"waivers": [fields]}))
    assert error.value.key == f"waivers.0.{key}"


@pytest.mark.parametrize(("key", "value"), [("reason", "  "), ("by", ""), ("until", "soon"), ("gate", "latency")])
def test_a_waiver_means_something(policy_text: Text, key: str, value: str) -> None:
    with pytest.raises(ModelwayError) as error:
        Policy.parse(policy_text({"waivers": [{**waiver().model_dump(mode="json"), key: value}]}))
    assert error.value.key == f"waivers.0.{key}"
