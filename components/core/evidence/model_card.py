"""The model card: what a released model is, by whom it is meant to be used, and what the gates found.

Its parts follow Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelway.components.core.checks import Check, Gate, Mode, Verdict
from modelway.components.core.config.project import Project
from modelway.components.core.evidence.blessing import Blessing
from modelway.components.core.report.html import WORST_FIRST, format_number, render_template

_CHECKS = ("check", "verdict", "observed", "interval", "asked for")
_CHECK_SECTIONS = (
    ("Quantitative analyses", "model", ("metric[", "unseen[", "no_regression[", "test_rows")),
    ("Slices and weak segments", "model", ("slice[", "slice_gap[", "weak_segment[")),
    ("Fairness", "model", ("fairness[",)),
    ("Calibration, robustness and rules", "model", ("calibration", "robustness[", "prediction_rule[")),
    ("Serving", "serving", ("",)),
)


@dataclass(frozen=True)
class CardSection:
    """A section of the card: a sentence, and a table."""

    title: str
    text: str = ""
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class ModelCard:
    """The card of a judged model: as Markdown, and as a self-contained HTML page."""

    markdown: str
    page: str


def render_card(blessing: Blessing, project: Project) -> ModelCard:
    """The card of a judged model."""
    values = {"title": f"Model card: {project.name}", "blessing": blessing, "parts": _sections(blessing, project)}
    package = "modelway.components.core.evidence"
    return ModelCard(*(render_template(package, f"card.{kind}.j2", **values) for kind in ("md", "html")))


def _sections(blessing: Blessing, project: Project) -> list[CardSection]:
    gates = {gate.name: gate for gate in blessing.gates}
    parts = [_details(blessing, project), _use(project), _data(gates, project), _verdicts(blessing)]
    for title, name, prefixes in _CHECK_SECTIONS:
        checks = [check for check in (gates[name].checks if name in gates else ()) if check.name.startswith(prefixes)]
        if checks:
            parts.append(CardSection(title, header=_CHECKS, rows=_rows(checks)))
    waived = [check for gate in blessing.gates for check in gate.checks if check.waiver is not None]
    if waived:
        rows = tuple((check.name, check.message, str(check.waiver)) for check in waived)
        parts.append(
            CardSection("Waivers", "Checks that would block and were waived.", ("check", "message", "waiver"), rows)
        )
    parts.append(CardSection("Evidence", rows=tuple(_hashes(blessing))))
    return parts


def _details(blessing: Blessing, project: Project) -> CardSection:
    model = project.model
    parameters = ", ".join(f"{name} = {value}" for name, value in model.parameters.items())
    rows = [
        ("estimator", model.estimator or model.entrypoint or ""),
        ("parameters", parameters or "defaults"),
        ("task", project.task),
        ("label", project.label + (f", positive: {project.positive}" if project.positive is not None else "")),
        ("features", ", ".join(project.features.columns)),
        ("compared with", f"version {blessing.compared_with}" if blessing.compared_with else "no champion"),
    ]
    rows += [(name, value) for name in ("owner", "license") if (value := getattr(project.card, name)) is not None]
    return CardSection("Model details", rows=tuple(rows))


def _use(project: Project) -> CardSection:
    rows = [
        (name.replace("_", " "), getattr(project.card, name) or "not stated")
        for name in ("intended_use", "out_of_scope", "limitations")
    ]
    rows.append(("sensitive columns", ", ".join(project.sensitive) or "none named"))
    return CardSection("Use", rows=tuple(rows))


def _data(gates: Mapping[str, Gate], project: Project) -> CardSection:
    rows = [("source", project.data.source), ("split", str(project.data.split))]
    gate = gates.get("data")
    if gate is not None:
        names = ("rows", "train_rows", "test_rows", "baseline")
        rows += [(name.replace("_", " "), format_number(gate.facts[name])) for name in names if gate.facts.get(name)]
        counts = gate.counts()
        rows.append(("checks", ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)))
        rows += [(check.name, check.message) for check in gate.checks if check.verdict is Verdict.FAILED]
    facts = gates["model"].facts if "model" in gates else {}
    if facts.get("out_of_fold") is not None:
        rows.append(("model judged from", f"{facts['test_rows']:,} test rows; out of fold: {facts['out_of_fold']}"))
    return CardSection("Training and evaluation data", rows=tuple(rows))


def _verdicts(blessing: Blessing) -> CardSection:
    rows = []
    for gate in blessing.gates:
        counts = gate.counts()
        mode = "" if gate.mode is Mode.ENABLED else gate.mode.value
        rows.append((gate.name, gate.verdict.value, *(str(counts[verdict]) for verdict in Verdict), mode))
    summary = "Blessed: no gate blocks it." if blessing.blessed else "Not blessed."
    return CardSection("Gates", summary, ("gate", "verdict", "passed", "failed", "inconclusive", "mode"), tuple(rows))


def _rows(checks: Iterable[Check]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            check.name,
            check.verdict.value + (", waived" if check.waiver else ""),
            format_number(check.observed),
            " to ".join(map(format_number, check.interval)) if check.interval is not None else "",
            format_number(check.threshold),
        )
        for check in sorted(checks, key=lambda check: WORST_FIRST[check.verdict])
    )


def _hashes(blessing: Blessing) -> Iterable[tuple[str, str]]:
    yield from ((f"{name} SHA-256", value) for name, value in blessing.hashes.model_dump().items() if value)
    origin = (("commit", blessing.git_commit), ("requested by", blessing.requested_by))
    yield from ((name, value) for name, value in origin if value)
    yield from (("image", blessing.image), ("run", blessing.run))
