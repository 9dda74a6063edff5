"""`modelway history`: which version each environment served when, why, and who let it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from modelway.components.core.audit.approvals import Approval, approvals
from modelway.components.core.audit.chain import Entry
from modelway.components.core.audit.environments import ENVIRONMENTS, Period, is_rollback, periods
from modelway.components.core.audit.registered_models import RegisteredModel
from modelway.components.core.audit.witness import VerifiedLog
from modelway.pipelines.cli.options import Context, Home, Project, Store, parse_time
from modelway.pipelines.cli.output import Answer, Console, escape, to_minute
from modelway.pipelines.cli.serving import environment_services, print_services, with_services

_WORDS = {
    "rolling-out": "being rolled out",
    "undoing": "being undone",
    "undone-in-part": "undone in part",
    "rolled-back-from": "rolled back from",
}


def history(
    at: Annotated[str, typer.Option("--at", help="Only what was served then: 2026-11-01 or 2026-11-01T14:30.")] = "",
    project: Project = None,
    home: Home = None,
    store: Store = None,
) -> Answer:
    """Shows which version each environment served when, why, and who let it; and whether the cluster serves it now."""
    context = Context.load(project, home, store=store)
    model = context.model
    rows = serving_periods(model, at=parse_time(at) if at else None)
    services = None if at else environment_services(model, context.workspace.policy)

    def print_for_people() -> None:
        _print(model.name, rows)
        print_services(services or {})

    return Answer(rows if services is None else with_services(rows, services), print_for_people)


def serving_periods(model: RegisteredModel, *, at: datetime | None = None) -> list[dict[str, Any]]:
    """What each environment served when, or only what it served at a time, why, and who let it.

    Returns:
        By environment, the newest first: ``environment``, ``version``, ``state`` (``serving``, ``served``,
        ``rolling-out``, ``undoing``, ``undone``, ``undone-in-part``, ``rolled-back-from``), ``since``, ``until`` (None:
        still), the ``event`` that began it, ``by``, ``run`` and ``blessing`` of the version, its ``image``, the
        ``approvals`` that were valid when it was first served there, and ``why`` in sentences.

    Raises:
        BrokenLogError: a link of the audit log is broken.
    """
    log = model.verified_log()
    return [
        _row(log, period, first_served=_first_served(log.entries, period))
        for name in ENVIRONMENTS
        for period in reversed(periods(log.entries, model.name, environment=name))
        if at is None or (period.since <= at and (period.until is None or at < period.until))
    ]


def _first_served(entries: Sequence[Entry], period: Period) -> datetime:
    """When the version was first served in the environment, which it may have been returned to: its approvals held."""
    environment_periods = periods(entries, period.entry.model, environment=period.environment)
    return min(earlier.since for earlier in environment_periods if earlier.version == period.version)


def _row(log: VerifiedLog, period: Period, *, first_served: datetime) -> dict[str, Any]:
    entry = period.entry
    version_entries = [
        earlier
        for earlier in log.entries[: entry.number]
        if (earlier.model, earlier.version) == (entry.model, period.version)
    ]
    registration = next((earlier for earlier in version_entries if earlier.event == "registered"), None)
    blessing = registration.details.get("blessing_sha256", "") if registration is not None else ""
    valid_approvals = [
        approval
        for approval in approvals(version_entries, entry.model, version=period.version, environment=period.environment)
        if approval.entry <= log.witnessed
        and datetime.fromisoformat(approval.until) >= first_served
        and approval.blessing_sha256 == (blessing or approval.blessing_sha256)
    ]
    return {
        "environment": period.environment,
        "version": period.version,
        "state": period.state,
        "since": period.since.isoformat(),
        "until": None if period.until is None else period.until.isoformat(),
        "event": entry.event,
        "by": entry.actor,
        "run": registration.details.get("run", "") if registration is not None else "",
        "blessing": blessing or next((approval.blessing_sha256 for approval in valid_approvals), ""),
        "image": entry.details.get("image", ""),
        "approvals": [
            approval.model_dump(include={"by", "reason", "at", "until", "identity"}) for approval in valid_approvals
        ],
        "why": _why(period, registration, valid_approvals=valid_approvals, witnessed=log.witnessed),
    }


def _why(
    period: Period, registration: Entry | None, *, valid_approvals: Sequence[Approval], witnessed: int
) -> list[str]:
    entry = period.entry
    sentences = []
    if registration is not None:
        run, blessing = registration.details.get("run", ""), registration.details.get("blessing_sha256", "")
        sentences.append(
            f"Version {period.version} was blessed{f' in {run}' if run else ''} (blessing {blessing[:12]})."
        )
    sentences += [
        f"{approval.by} approved it: {approval.reason} (identity: {approval.identity})." for approval in valid_approvals
    ]
    reason = f": {entry.details['reason']}" if entry.details.get("reason") else ""
    replaced = entry.details.get("replaced", "")
    deed = {
        "registered": f"{entry.actor} released it",
        "deployed": f"{entry.actor} {'began to roll back to it' if is_rollback(entry) else 'deployed it'}",
        "promoted": f"{entry.actor} promoted it",
        "rolled-back": f"{entry.actor} rolled back {f'from version {replaced} ' if replaced else ''}to it",
        "undone": f"It was restored when version {entry.version} was undone",
        "undone-in-part": f"It was restored when version {entry.version} was undone in part",
    }[entry.event]
    sentences.append(f"{deed}{reason}.")
    if end := _end(period):
        sentences.append(end)
    if entry.number > witnessed:
        sentences.append(f"MLflow does not witness this, which is entry {entry.number} of the audit log.")
    return sentences


def _end(period: Period) -> str:
    """What has become of the version, and why, a sentence; empty where it serves, or another was promoted."""
    entry = period.end or period.undoing
    if entry is None or period.state == "served":
        return ""
    deed = {
        "undoing": "It is being undone",
        "undone": f"It was undone{' without a verdict' if period.inconclusive else ''}",
        "undone-in-part": "It was undone in part: some of its pods still serve",
        "rolled-back-from": f"{entry.actor} rolled back from it to version {entry.version}",
    }[period.state]
    reason = entry.details.get("reason", "")
    return f"{deed}{f': {reason}' if reason else ''}."


def _print(model: str, rows: list[dict[str, Any]]) -> None:
    table = Table("environment", "version", "state", "since", "until", "why", box=None, pad_edge=False)
    table.title, table.title_justify = f"{escape(model)}: what was served", "left"
    for row in rows:
        until = to_minute(row["until"]) if row["until"] else "now"
        why = escape(" ".join(row["why"]))
        state = _WORDS.get(row["state"], row["state"])
        table.add_row(row["environment"], row["version"], state, to_minute(row["since"]), until, why)
    Console().print(table if rows else f"no environment served {escape(model)}")
