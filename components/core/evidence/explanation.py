"""How a run ended and why: in plain sentences, worst first, and as Markdown for a pull request or dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelway.components.core.checks import Check, Gate, Mode, Verdict
from modelway.components.core.evidence.blessing import GATES
from modelway.components.core.evidence.runs import Outcome, State
from modelway.components.core.report.html import markdown_cell

# What a check that did not pass can do, the worst first, in words; a waiver has its own
_EFFECTS = {"blocks": "blocks", "reported": "would block, but this gate only reports", "waived": "", "warns": "warns"}
_MARK = {Verdict.PASSED: "✅", Verdict.FAILED: "❌", Verdict.INCONCLUSIVE: "⚠️"}


@dataclass(frozen=True)
class UnpassedCheck:
    """A check that did not pass.

    Attributes:
        gate: The name of its gate.
        check: The check.
        effect: Its effect: ``blocks``, ``waived``, ``reported`` (the gate may not block) or ``warns``.
    """

    gate: str
    check: Check
    effect: str

    def sentence(self) -> str:
        """The check in words."""
        effect_text = self.check.waiver or _EFFECTS[self.effect]
        verb = "failed" if self.check.verdict is Verdict.FAILED else "is inconclusive"
        return f"The {self.gate} gate's {self.check.name} {verb} ({effect_text}): {self.check.message}."


def unpassed_checks(outcome: Outcome) -> list[UnpassedCheck]:
    """Every check that did not pass: what blocks first, then failures, then what is inconclusive."""
    unpassed = [
        UnpassedCheck(gate.name, check, _effect(gate, check))
        for gate in outcome.gates
        for check in gate.checks
        if check.verdict is not Verdict.PASSED
    ]
    order = list(_EFFECTS)
    return sorted(unpassed, key=lambda item: (order.index(item.effect), item.check.verdict is not Verdict.FAILED))


def _effect(gate: Gate, check: Check) -> str:
    if check.waiver is not None:
        return "waived"
    if not check.blocks:
        return "warns"
    return "blocks" if gate.mode is Mode.ENABLED else "reported"


def headline(outcome: Outcome) -> str:
    """How the run ended, in one sentence."""
    if outcome.state is State.REGISTERED and outcome.model is not None:
        model, rest = outcome.model, f"; {outcome.error}" if outcome.error else ""
        alias_text = f"{model.alias!r}" if model.alias else "as an earlier run registered it, and no alias moved"
        return f"{model.name} was blessed in {outcome.label}: it is version {model.version}, {alias_text}{rest}."
    if outcome.state is State.REJECTED:
        blocking = sum(finding.effect == "blocks" for finding in unpassed_checks(outcome))
        return (
            f"{outcome.project} was not blessed in {outcome.label}: {blocking} check{'s' * (blocking != 1)} "
            f"block{'s' * (blocking == 1)} it."
        )
    if outcome.deployment is not None:
        return f"{outcome.deployment.sentence.rstrip('.')}."
    run = f"The run {outcome.label} of {outcome.project}" if outcome.project else f"The run {outcome.label}"
    if outcome.state is State.STOPPED:
        return f"{run} was stopped: {outcome.error}."
    if outcome.state is State.INTERRUPTED:
        return f"{run} was {outcome.error}."
    return f"{run} failed: {outcome.error}." if outcome.error else f"{run} failed."


def sentences(outcome: Outcome) -> list[str]:
    """The whole explanation, a sentence each: how the run ended, what did not pass, worst first, and what passed."""
    lines = [headline(outcome), *(finding.sentence() for finding in unpassed_checks(outcome))]
    for gate in outcome.gates:
        if gate.mode is Mode.DISABLED:
            lines.append(f"The {gate.name} gate is disabled by the policy, so it was not judged.")
        else:
            passed = gate.counts()[Verdict.PASSED.value]
            lines.append(f"The {gate.name} gate passed {passed} of {len(gate.checks)} checks.")
    missing = [name for name in GATES if name not in {gate.name for gate in outcome.gates}]
    if missing and outcome.gates:
        lines.append(f"Not reached: the {' and the '.join(missing)} gate{'s' * (len(missing) > 1)}.")
    return [*lines, *_rest(outcome)]


def _rest(outcome: Outcome) -> list[str]:
    """Why a run was started, what it did after its gates, and how it ended before retries, a sentence each."""
    sentences = []
    if outcome.request_reason:
        sentences.append(f"It was started for this reason: {outcome.request_reason.rstrip('.')}.")
    if outcome.image:
        sentences.append(f"Packaged as {outcome.image}.")
    if outcome.deployment is not None and outcome.gates:
        sentences.append(f"In {outcome.deployment.environment}: {outcome.deployment.sentence.rstrip('.')}.")
    for number, attempt in enumerate(outcome.attempts, 1):
        error = f": {attempt.error}" if attempt.error else ""
        sentences.append(f"Attempt {number} ended as {attempt.state} at {attempt.at}{error.rstrip('.')}.")
    return sentences


def as_markdown(outcome: Outcome) -> str:
    """The explanation as a comment for a pull request."""
    good = outcome.state in {State.REGISTERED, State.PROMOTED}
    mark = "❌" if not good else "⚠️" if outcome.error else "✅"
    lines = [f"### {mark} {markdown_cell(headline(outcome))}", ""]
    if outcome.gates:
        lines += ["| gate | verdict | passed | failed | inconclusive |", "| --- | --- | --: | --: | --: |"]
    for gate in outcome.gates:
        counts = gate.counts()
        mode = "" if gate.mode is Mode.ENABLED else f" ({gate.mode.value})"
        cells = " | ".join(str(counts[verdict.value]) for verdict in Verdict)
        lines.append(f"| {gate.name}{mode} | {_MARK[gate.verdict]} {gate.verdict} | {cells} |")
    unpassed = unpassed_checks(outcome)
    for title, effects in (("Why", {"blocks"}), ("Also", {"reported", "waived", "warns"})):
        items = [item for item in unpassed if item.effect in effects]
        if items:
            lines += ["", f"**{title}**", ""]
            rows = [(item.check, item.effect) for item in items[:20]]
            lines += [f"- `{check.name}` {effect}: {markdown_cell(check.message)}" for check, effect in rows]
            lines += [f"- and {len(items) - 20} more"] * (len(items) > 20)
    if rest := [f"- {markdown_cell(sentence)}" for sentence in _rest(outcome)]:
        lines += ["", "**The run**", "", *rest]
    if outcome.git_commit or outcome.blessing:
        lines += ["", f"<sub>commit `{outcome.git_commit or 'unknown'}` · blessing `{outcome.blessing[:16]}`</sub>"]
    return "\n".join(lines) + "\n"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The explanation as data: `run`, `state`, `headline`, `findings`, `verdicts`, `model`."""
    return {
        "run": outcome.run,
        "name": outcome.name,
        "state": outcome.state.value,
        "request_reason": outcome.request_reason,
        "headline": headline(outcome),
        "findings": [
            {
                "gate": finding.gate,
                "effect": finding.effect,
                "sentence": finding.sentence(),
                **finding.check.model_dump(mode="json"),
            }
            for finding in unpassed_checks(outcome)
        ],
        "verdicts": {gate.name: gate.verdict.value for gate in outcome.gates},
        "model": outcome.model.model_dump() if outcome.model else None,
        "blessing": outcome.blessing,
        "reports": outcome.reports,
        "error": outcome.error,
        "image": outcome.image,
        "deployment": outcome.deployment.model_dump() if outcome.deployment else None,
        "attempts": [attempt.model_dump(mode="json") for attempt in outcome.attempts],
    }
