"""Findings: whether each service or setting that a run needs is there, missing, unreachable or refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from modelway.components.core.addresses import without_secrets
from modelway.components.core.errors import CredentialsError, ModelwayError, UnavailableError


class Status(StrEnum):
    """The status of a service or setting; the worst first."""

    MISSING = "missing"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    UNKNOWN = "not checked"
    UNSET = "not configured"
    OK = "ok"

    @property
    def blocks(self) -> bool:
        """Whether it must be fixed before a run."""
        return self in {Status.MISSING, Status.REFUSED, Status.UNREACHABLE}


_ERRORS: dict[Status, type[ModelwayError]] = {Status.UNREACHABLE: UnavailableError, Status.REFUSED: CredentialsError}


@dataclass(frozen=True)
class Finding:
    """The state of one service or setting. What is secret in an address is hidden.

    Attributes:
        subject: The service or setting, such as ``MLflow``.
        status: Its status.
        message: What was found, in one sentence.
        remedy: What to do about it; empty if there is nothing to do.
        key: The setting concerned, if any.
        file: The file or address concerned, if any.
    """

    subject: str
    status: Status
    message: str
    remedy: str = ""
    key: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        for name in ("subject", "message", "remedy", "file"):
            text = getattr(self, name)
            if text:
                object.__setattr__(self, name, without_secrets(text))

    @classmethod
    def of(cls, subject: str, error: ModelwayError) -> Finding:
        """The finding that an error amounts to."""
        status = next((status for status, kind in _ERRORS.items() if isinstance(error, kind)), Status.MISSING)
        return cls(subject, status, error.message, error.remedy, key=error.key, file=error.file)

    def as_json(self) -> dict[str, str]:
        """The fields that are set."""
        return {name: str(value) for name, value in asdict(self).items() if value}


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """The findings, those that block first, without duplicates."""
    unique: dict[tuple[str, ...], Finding] = {}
    for finding in findings:
        identity = ("", finding.message) if finding.status.blocks else (finding.subject, finding.message)
        unique.setdefault(identity, finding)
    order = list(Status)
    return sorted(unique.values(), key=lambda finding: order.index(finding.status))


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """One object for ``--json``: ``ok``, whether nothing blocks, and the ``findings``."""
    return {
        "ok": not any(finding.status.blocks for finding in findings),
        "findings": [finding.as_json() for finding in findings],
    }


def as_text(findings: Sequence[Finding]) -> str:
    """A line for each finding, and its remedy below it."""
    width = max((len(finding.subject) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.status:<14}  {finding.subject:<{width}}  {finding.message}")
        if finding.remedy:
            lines.append(f"    remedy: {finding.remedy}")
    return "\n".join(lines)


def as_error(findings: Sequence[Finding]) -> ModelwayError | None:
    """One error that names all that blocks; None if nothing does.

    Its message and remedy list all; its other fields are the first finding's. It is an `UnavailableError` or a
    `CredentialsError` where all findings are of that kind.
    """
    wrong = [finding for finding in worst_first(findings) if finding.status.blocks]
    if not wrong:
        return None
    kinds = {_ERRORS.get(finding.status, ModelwayError) for finding in wrong}
    kind = kinds.pop() if len(kinds) == 1 else ModelwayError
    message, remedy = wrong[0].message, wrong[0].remedy
    if len(wrong) > 1:
        message = f"{len(wrong)} problems with what the run needs"
        message += "".join(f"\n  {number}. {finding.message}" for number, finding in enumerate(wrong, 1))
        remedies: dict[str, list[str]] = {}
        for number, finding in enumerate(wrong, 1):
            remedies.setdefault(finding.remedy, []).append(str(number))
        remedy = "".join(f"\n  {' and '.join(numbers)}. {text}" for text, numbers in remedies.items())
    return kind(message, key=wrong[0].key, file=wrong[0].file, remedy=remedy)
