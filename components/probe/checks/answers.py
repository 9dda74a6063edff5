"""The serving gate's checks, made of what the probe saw."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Answer, Asked, Outputs, difference, same
from modelway.components.probe.measuring import Observed, Trial, wording
from modelway.components.probe.requests import Sample


def model_hash_check(found: str, expected: str) -> Check:
    """Whether the model's files are those that were trained."""
    message = (
        "the model's files have the SHA-256 that they were trained with"
        if found == expected
        else f"the model's files are not those that were trained: their SHA-256 is {found}, not {expected}; nothing "
        "was started; train it again, and let nothing but the pipeline write to its artifacts"
    )
    return passed_or_failed("model_hash", found == expected, message, observed=found[:12], threshold=expected[:12])


def starts_check(seconds: float | None, policy: Serving, exit_status: int | None, log: str) -> Check:
    """Whether the server became ready in time; quotes the last lines of its log where it did not."""
    most = policy.timeout_seconds
    if seconds is not None:
        message = f"the model server was ready after {seconds:.2f} seconds; the policy waits for {most:g}"
        return passed_or_failed("starts", True, message, observed=round(seconds, 3), threshold=most)
    how = f"ended with status {exit_status}" if exit_status is not None else f"was not ready within {most:g} seconds"
    message = f"the model server {how}; its log ends with: {log or 'nothing'}"
    return passed_or_failed("starts", False, message, threshold=most)


def no_rows_check(rule: OnInconclusive) -> Check:
    """That nothing could be asked."""
    message = "the test split has no rows, so the server was started and asked nothing; bring rows"
    return inconclusive("answers[rows]", message, rule, observed=0, threshold=1)


def cold_start_check(observed: Observed, sample: Sample, expected: Outputs | None, policy: Serving) -> list[Check]:
    """How long the first right answer took; no check where the policy does not ask."""
    most, first, seconds = policy.sla.cold_start_seconds, observed.first, observed.first_seconds
    if most is None or first is None or seconds is None:
        return []
    wrong = expected is None or difference(first, expected, policy.tolerance, sample)
    if wrong:
        message = "the first answer was not right, so there is no time to judge; see `answers`"
        return [inconclusive("cold_start", message, policy.on_inconclusive, threshold=most)]
    message = f"{seconds:.2f} seconds from starting the server to its first right answer; the policy allows {most:g}"
    if seconds > most:
        message += "; make the model smaller, or relax `serving.sla.cold_start_seconds`"
    return [passed_or_failed("cold_start", seconds <= most, message, observed=round(seconds, 3), threshold=most)]


def answer_checks(
    answers: Asked, sample: Sample, expected: Outputs | None, trouble: str, policy: Serving
) -> list[Check]:
    """Whether the answers equal offline predictions, a check per protocol and size; and are the same when asked twice.

    Args:
        answers: What was asked and answered.
        sample: The rows.
        expected: The offline predictions; None where there are none.
        trouble: Why there are none.
        policy: The tolerance.
    """
    checks = []
    for kind, given in answers.kinds.items():
        checks += [_answers(kind, given, sample, expected, trouble, policy)] if given else []
    if answers.repeated:
        differing = [first for first, second in answers.repeated if not same(first, second)]
        message = f"{len(answers.repeated)} requests were sent twice: "
        message += (
            f"{len(differing)} were answered differently the second time, the first {differing[0].describe(sample)}; "
            "fix the model's random state, and keep state out of `predict`"
            if differing
            else "each was answered the same"
        )
        checks.append(
            passed_or_failed("same_answer_twice", not differing, message, observed=len(differing), threshold=0)
        )
    return checks


def malformed_checks(observed: Observed, policy: Serving) -> list[Check]:
    """A check for each kind of malformed request: refused with 4xx, and the server lives."""
    kinds: dict[str, list[Trial]] = {}
    for trial in observed.trials:
        kinds.setdefault(trial.request.kind, []).append(trial)
    checks = [_malformed(kind, trials, observed.death, observed.log) for kind, trials in kinds.items()]
    if observed.death:
        message = f"not all malformed requests were sent, since the server had died of {observed.death}"
        checks.append(inconclusive("malformed[all]", message, policy.on_inconclusive))
    return checks


def lives_check(observed: Observed) -> Check:
    """That the server lived through everything, or what killed it."""
    message = "the server answered its health after everything that it was asked"
    if observed.death:
        message = (
            f"the server died when it was asked {observed.death}; its log ends with: {observed.log or 'nothing'}; "
            "a model must raise an exception and never end its process"
        )
    return passed_or_failed("lives", not observed.death, message)


def _answers(
    kind: str, given: Sequence[Answer], sample: Sample, expected: Outputs | None, trouble: str, policy: Serving
) -> Check:
    name = f"answers[{kind}]"
    unanswered = next((one for one in given if not one.outputs), None)
    if unanswered is not None:
        message = f"{unanswered.describe(sample)} was answered {unanswered.reply}"
        return passed_or_failed(name, False, f"{message}; a real row must be answered 200")
    if expected is None:
        return inconclusive(name, f"there is nothing to compare with: {trouble}", policy.on_inconclusive)
    differences = [found for one in given if (found := difference(one, expected, policy.tolerance, sample))]
    rows = sum(len(one.rows) for one in given)
    message = f"{rows} rows in {len(given)} requests: "
    message += (
        f"{len(differences)} requests were answered other than offline; {differences[0]}; the tolerance is "
        f"{policy.tolerance:g}; keep state and randomness out of `predict`, and serve with the versions trained with"
        if differences
        else f"all answers equal offline predictions within {policy.tolerance:g}"
    )
    return passed_or_failed(name, not differences, message, observed=len(differences), threshold=0)


def _malformed(kind: str, trials: Sequence[Trial], death: str, log: str) -> Check:
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
        return passed_or_failed(name, False, message, observed=status, threshold=wanted)
    statuses = " and ".join(sorted({str(trial.reply.status) for trial in trials}))
    many = f"{len(trials)} requests were" if len(trials) > 1 else f"{wording(trials[0].request)} was"
    said = f" ({trials[-1].reply.said})" if trials[-1].reply.said else ""
    message = f"{many} answered {statuses}{said}, and the server lived"
    return passed_or_failed(name, True, message, observed=statuses)
