"""Checks, gates and their three-valued verdicts.

A check is one comparison; a gate is the checks of one stage. `inconclusive` means that the evidence
does not suffice to tell, and is never treated as `passed`: the policy says what it does.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TypedDict, Unpack

from pydantic import BaseModel, ConfigDict, ValidationError

from modelway.components.core.errors import DamagedError


class Verdict(StrEnum):
    """What a check or a gate found."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class OnInconclusive(StrEnum):
    """Whether an inconclusive check blocks."""

    BLOCK = "block"
    WARN = "warn"


class Mode(StrEnum):
    """Whether a gate may block: `dry_run` judges and reports only, `disabled` does not judge."""

    ENABLED = "enabled"
    DRY_RUN = "dry_run"
    DISABLED = "disabled"


# The version of the rules by which checks reach their verdicts; a gate that does not name one was judged by the first.
RULES = 2

# Names of checks before 0.2, which waivers may still hold
_FORMER_KINDS = {"predictions_match": "answers", "server_alive": "lives", "server_starts": "starts"}


class Evidence(BaseModel):
    """What was seen when a line of the contract was proposed, and what that makes of a batch.

    Attributes:
        unit: What is counted: ``rows``, ``groups`` of rows, or ``values`` of a column.
        seen_rows: How many rows were seen, or groups.
        seen_bad: How many of them were bad.
        rows: How many rows the batch has, or groups.
        bad: How many of them are bad.
        least: The fewest that fail in a batch of this size; None: not even all of them do.
        share: The least share of bad ones that a batch of this size fails by in 90 % of all cases; None: none.
    """

    model_config = ConfigDict(frozen=True)

    unit: str = "rows"
    seen_rows: int
    seen_bad: int
    rows: int
    bad: int
    least: int | None = None
    share: float | None = None


class Check(BaseModel):
    """One comparison of an observed value with a threshold.

    Attributes:
        name: Unique within its gate, with the subject in brackets: ``drift[age]``.
        verdict: The comparison's verdict.
        observed: The measured value.
        interval: The measured value's confidence interval, if it has one.
        threshold: What the value was compared with.
        message: A sentence for people; says what to do unless the verdict is `passed`.
        blocks: Whether this check, with this verdict, keeps the model from being blessed.
        waiver: Who waived it although it would block, why and until when.
        evidence: What was seen before, if that is what it was judged by.
    """

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")

    name: str
    verdict: Verdict
    observed: float | int | str | None = None
    interval: tuple[float, float] | None = None
    threshold: float | int | str | None = None
    message: str
    blocks: bool = False
    waiver: str | None = None
    evidence: Evidence | None = None


class Values(TypedDict, total=False):
    """What a check compared, where there is anything; see `Check`."""

    observed: float | str | None
    interval: tuple[float, float] | None
    threshold: float | str | None
    evidence: Evidence | None


def judged(name: str, verdict: Verdict, *, message: str, rule: OnInconclusive, **values: Unpack[Values]) -> Check:
    """A check with any verdict: a failed one blocks, and an inconclusive one where the policy's rule says so."""
    blocks = verdict is Verdict.FAILED or (verdict is Verdict.INCONCLUSIVE and rule is OnInconclusive.BLOCK)
    return Check(name=name, verdict=verdict, message=message, blocks=blocks, **values)


def passed_or_failed(name: str, passed: bool, *, message: str, **values: Unpack[Values]) -> Check:
    """A check whose evidence suffices; a failed one blocks."""
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return judged(name, verdict, message=message, rule=OnInconclusive.BLOCK, **values)


def inconclusive(name: str, message: str, *, rule: OnInconclusive, **values: Unpack[Values]) -> Check:
    """A check whose evidence does not suffice; the policy's rule says whether it blocks."""
    return judged(name, Verdict.INCONCLUSIVE, message=message, rule=rule, **values)


class Gate(BaseModel):
    """The checks of one stage and what follows from them.

    Attributes:
        name: ``data``, ``model`` or ``serving``.
        checks: The checks, in order.
        facts: What else was recorded: counts, hashes, the champion's version.
        report: The URI of the report for people, if one was written.
        mode: Whether it may block.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    checks: tuple[Check, ...]
    facts: dict[str, str | int | float | None] = {}
    report: str | None = None
    mode: Mode = Mode.ENABLED

    @property
    def rules(self) -> int:
        """The version of the rules that its checks were judged by."""
        return int(self.facts.get("rules") or 1)

    @property
    def verdict(self) -> Verdict:
        """`failed` if any check failed, else `inconclusive` if any is, else `passed`."""
        return combine(check.verdict for check in self.checks)

    @property
    def proceed(self) -> bool:
        """Whether no check blocks, or the policy lets this gate only report."""
        return self.mode is not Mode.ENABLED or not any(check.blocks for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why the gate blocks, or would if it were enabled; a sentence each, failures before inconclusive checks."""
        blocking = [check for check in self.checks if check.blocks]
        blocking.sort(key=lambda check: check.verdict is not Verdict.FAILED)
        return [f"{check.name}: {check.message}" for check in blocking]

    def counts(self) -> dict[str, int]:
        """How many checks there are of each verdict."""
        return {verdict.value: sum(check.verdict is verdict for check in self.checks) for verdict in Verdict}

    def write(self, path: str | Path) -> None:
        """Writes the gate as JSON."""
        Path(path).write_text(self.model_dump_json(indent=2), encoding="utf-8")

    @classmethod
    def read(cls, path: str | Path) -> Gate:
        """Reads a gate back from JSON.

        Raises:
            DamagedError: it is not a gate's JSON.
        """
        try:
            return cls.model_validate_json(Path(path).read_bytes())
        except ValidationError as error:
            raise DamagedError(
                f"{path} is damaged: it is not a gate's JSON",
                file=str(path),
                remedy="run the release again; of a run on this machine, delete the cache in its home first",
            ) from error


def blocking_reasons(gates: Iterable[Gate]) -> list[str]:
    """Why a model may not proceed by some gates, a sentence each."""
    return [reason for gate in gates if not gate.proceed for reason in gate.reasons]


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict of several: the worst one; nothing checked is inconclusive."""
    present = set(verdicts)
    if Verdict.FAILED in present:
        return Verdict.FAILED
    return Verdict.PASSED if present == {Verdict.PASSED} else Verdict.INCONCLUSIVE


def former_name(name: str) -> str:
    """A check's name before it was renamed; its name if it was not."""
    kind, bracket, subject = name.partition("[")
    return _FORMER_KINDS.get(kind, kind) + bracket + subject
