"""Whether malformed requests are refused, and survived."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.measuring import Observed, Trial, wording


def malformed_checks(observed: Observed, policy: Serving) -> list[Check]:
    """A check for each kind of malformed request: refused with 4xx, and the server lives."""
    kinds: dict[str, list[Trial]] = {}
    for trial in observed.trials:
        kinds.setdefault(trial.request.kind, []).append(trial)
    checks = [_malformed(kind, trials, death=observed.death, log=observed.log) for kind, trials in kinds.items()]
    if observed.death:
        message = f"not all malformed requests were sent, since the server had died of {observed.death}"
        checks.append(inconclusive("malformed[all]", message, rule=policy.on_inconclusive))
    return checks


def _malformed(kind: str, trials: Sequence[Trial], *, death: str, log: str) -> Check:
    name = f"malformed[{kind}]"
    for trial in trials:
        status, request = trial.reply.status, trial.request
        good = 400 <= status < 500 or (request.may_be_answered and status == 200)
        if good and trial.survived:
            continue
        after = (
            ""
            if trial.survived
            else f"; it killed the server: {death or 'it no longer answers'}; its log ends with: {log}"
        )
        wanted = "4xx or 200" if request.may_be_answered else "4xx"
        message = f"{wording(request)} was answered {trial.reply}, not {wanted}{after}"
        if request.may_be_answered:
            message += "; impute missing values in the model, or refuse them with an exception that says so"
        return passed_or_failed(name, False, message=message, observed=status, threshold=wanted)
    statuses = " and ".join(sorted({str(trial.reply.status) for trial in trials}))
    many = f"{len(trials)} requests were" if len(trials) > 1 else f"{wording(trials[0].request)} was"
    said = f" ({trials[-1].reply.said})" if trials[-1].reply.said else ""
    message = f"{many} answered {statuses}{said}, and the server lived"
    return passed_or_failed(name, True, message=message, observed=statuses)
