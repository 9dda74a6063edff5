"""Waivers: checks that are let pass by name, for a reason, until a day; and the gate with waivers applied."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from modelway.components.core.checks import RULES, Check, Gate, Mode, former_name
from modelway.components.core.config.document import Section

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Waiver(Section):
    """Lets one blocking check pass: its verdict stays, and who let it pass is in the evidence."""

    gate: Literal["data", "model", "serving"]
    check: Text = Field(description="The check's name as the report has it; `*` stands for any text.")
    reason: Text
    by: Text = Field(description="Who takes responsibility.")
    until: dt.date = Field(description="The last day it holds; after it the check blocks again.")

    def covers(self, gate: str, check: str) -> bool:
        """Whether this is about a check, by its name or by the one that it had before it was renamed."""
        pattern = re.sub(r"[?[]", r"[\g<0>]", self.check)  # of a file pattern's signs, only `*` is one
        return gate == self.gate and any(fnmatchcase(name, pattern) for name in (check, former_name(check)))

    def __str__(self) -> str:
        return f"waived by {self.by} until {self.until}: {self.reason}"


def judged_gate(
    name: str,
    checks: Iterable[Check],
    *,
    facts: dict[str, str | int | float | None],
    mode: Mode,
    waivers: Sequence[Waiver],
    as_of: str,
) -> Gate:
    """The gate of some checks under the policy's mode and its waivers that hold on a day, ISO 8601; empty: today."""
    holding = _holding(waivers, as_of)
    judged_checks = tuple(_waived(name, check, waivers=holding) for check in checks)
    return Gate(name=name, checks=judged_checks, facts={**facts, "rules": RULES}, mode=mode)


def lapsed(gate: Gate, waivers: Sequence[Waiver], *, as_of: str = "") -> list[Check]:
    """The checks of a gate whose waivers are not, or no longer, in the policy."""
    holding = {str(waiver) for waiver in _holding(waivers, as_of)}
    return [check for check in gate.checks if check.waiver is not None and check.waiver not in holding]


def _holding(waivers: Sequence[Waiver], as_of: str) -> list[Waiver]:
    today = dt.date.fromisoformat(as_of) if as_of else dt.datetime.now(dt.UTC).date()
    return [waiver for waiver in waivers if waiver.until >= today]


def _waived(gate: str, check: Check, *, waivers: Sequence[Waiver]) -> Check:
    if not check.blocks:
        return check
    match = next((waiver for waiver in waivers if waiver.covers(gate, check.name)), None)
    return check if match is None else check.model_copy(update={"blocks": False, "waiver": str(match)})
