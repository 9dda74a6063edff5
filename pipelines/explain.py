"""Why a model was or was not blessed: in plain sentences, worst first, and as Markdown for a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelway.components.core.blessing import GATES
from modelway.components.core.errors import ModelwayError
from modelway.components.core.html import markdown_cell
from modelway.components.core.records import LATEST, OUTCOME, Outcome, State
from modelway.components.core.verdict import Check, Gate, Mode, Verdict

_MARK = {Verdict.PASSED: "✅", Verdict.FAILED: "❌", Verdict.INCONCLUSIVE: "⚠️"}


@dataclass(frozen=True)
class Finding:
    """One check that is worth a sentence.

    Attributes:
        gate: The gate it belongs to.
        check: What was found.
        effect: What it did: ``blocks``, ``waived``, ``reported`` (the gate may not block) or ``warns``.
    """

    gate: str
    check: Check
    effect: str

    def sentence(self) -> str:
        """The finding in words."""
        told = {
            "blocks": "blocks",
            "reported": "would block, but this gate only reports",
            "warns": "warns",
            "waived": self.check.waiver or "",
        }[self.effect]
        verb = "failed" if self.check.verdict is Verdict.FAILED else "cannot be told"
        return f"The {self.gate} gate's {self.check.name} {verb} ({told}): {self.check.message}."


def outcome_of(store: str, run: str | None) -> Outcome:
    """The outcome of a run, or of the one that ended last.

    Raises:
        ModelwayError: the store has no such run.
    """
    found = Outcome.read(store, run or LATEST, OUTCOME)
    if found is None:
        raise ModelwayError(
            f"{store} has no outcome of {'the run ' + run if run else 'any run'}",
            file=store,
            value=run,
            remedy="`modelway run` prints each run's name; name its store with --home or --store",
        )
    return found


def findings(outcome: Outcome) -> list[Finding]:
    """Every check that did not pass: what blocks first, then failures, then what is inconclusive."""
    found = [
        Finding(gate.name, check, _effect(gate, check))
        for gate in outcome.gates
        for check in gate.checks
        if check.verdict is not Verdict.PASSED
    ]
    order = ("blocks", "reported", "waived", "warns")
    return sorted(found, key=lambda one: (order.index(one.effect), one.check.verdict is not Verdict.FAILED))


def _effect(gate: Gate, check: Check) -> str:
    if check.waiver is not None:
        return "waived"
    if not check.blocks:
        return "warns"
    return "blocks" if gate.mode is Mode.ENABLED else "reported"


def headline(outcome: Outcome) -> str:
    """What became of the run, in one sentence."""
    blocking = sum(finding.effect == "blocks" for finding in findings(outcome))
    if outcome.state is State.REGISTERED and outcome.model is not None:
        model = outcome.model
        return f"{model.name} was blessed in {outcome.run}: it is version {model.version}, and {model.alias!r}."
    if outcome.state is State.REJECTED:
        return (
            f"{outcome.project} was not blessed in {outcome.run}: {blocking} check{'s' * (blocking != 1)} "
            f"block{'s' * (blocking == 1)} it."
        )
    return f"{outcome.project} was not judged to the end in {outcome.run}: {outcome.error or 'the run failed'}."


def sentences(outcome: Outcome) -> list[str]:
    """The whole explanation, a sentence each: what became of it, the findings worst first, what passed."""
    told = [headline(outcome), *(finding.sentence() for finding in findings(outcome))]
    for gate in outcome.gates:
        if gate.mode is Mode.DISABLED:
            told.append(f"The {gate.name} gate is disabled by the policy, so nothing is known of it.")
        else:
            passed = gate.counts()[Verdict.PASSED.value]
            told.append(f"The {gate.name} gate passed {passed} of {len(gate.checks)} checks.")
    missing = [name for name in GATES if name not in {gate.name for gate in outcome.gates}]
    if missing and outcome.gates:
        told.append(f"Not reached: the {' and the '.join(missing)} gate{'s' * (len(missing) > 1)}.")
    return told


def as_markdown(outcome: Outcome) -> str:
    """The explanation as a comment for a pull request."""
    mark = "✅" if outcome.state is State.REGISTERED else "❌"
    lines = [f"### {mark} {markdown_cell(headline(outcome))}", ""]
    lines += ["| gate | verdict | passed | failed | inconclusive |", "| --- | --- | --: | --: | --: |"]
    for gate in outcome.gates:
        counts = gate.counts()
        mode = "" if gate.mode is Mode.ENABLED else f" ({gate.mode.value})"
        cells = " | ".join(str(counts[one.value]) for one in Verdict)
        lines.append(f"| {gate.name}{mode} | {_MARK[gate.verdict]} {gate.verdict} | {cells} |")
    found = findings(outcome)
    for title, effects in (("Why", {"blocks"}), ("Also", {"reported", "waived", "warns"})):
        told = [one for one in found if one.effect in effects]
        if told:
            lines += ["", f"**{title}**", ""]
            lines += [f"- `{one.check.name}` {one.effect}: {markdown_cell(one.check.message)}" for one in told[:20]]
            lines += [f"- and {len(told) - 20} more"] * (len(told) > 20)
    if outcome.git_commit or outcome.blessing:
        lines += ["", f"<sub>commit `{outcome.git_commit or 'unknown'}` · blessing `{outcome.blessing[:16]}`</sub>"]
    return "\n".join(lines) + "\n"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The explanation as data: `run`, `state`, `headline`, `findings`, `verdicts`, `model`."""
    return {
        "run": outcome.run,
        "state": outcome.state.value,
        "headline": headline(outcome),
        "findings": [
            {"gate": one.gate, "effect": one.effect, "sentence": one.sentence(), **one.check.model_dump(mode="json")}
            for one in findings(outcome)
        ],
        "verdicts": {gate.name: gate.verdict.value for gate in outcome.gates},
        "model": outcome.model.model_dump() if outcome.model else None,
        "blessing": outcome.blessing,
        "reports": outcome.reports,
    }
