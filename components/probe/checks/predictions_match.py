"""Whether the server's predictions are those that the model makes offline, and the same each time."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Answer, Asked, Outputs, difference, same
from modelway.components.probe.requests import Sample


def no_rows_check(rule: OnInconclusive) -> Check:
    """That nothing could be asked."""
    message = "the test split has no rows, so the server was started and asked nothing; bring rows"
    return inconclusive("predictions_match[rows]", message, rule=rule, observed=0, threshold=1)


def answer_checks(
    answers: Asked, sample: Sample, *, expected: Outputs | None, trouble: str, policy: Serving
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
        checks += (
            [_answers(kind, given, sample=sample, expected=expected, trouble=trouble, policy=policy)] if given else []
        )
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
            passed_or_failed("same_answer_twice", not differing, message=message, observed=len(differing), threshold=0)
        )
    return checks


def _answers(
    kind: str, given: Sequence[Answer], *, sample: Sample, expected: Outputs | None, trouble: str, policy: Serving
) -> Check:
    name = f"predictions_match[{kind}]"
    unanswered = next((one for one in given if not one.outputs), None)
    if unanswered is not None:
        message = f"{unanswered.describe(sample)} was answered {unanswered.reply}"
        return passed_or_failed(name, False, message=f"{message}; a real row must be answered 200")
    if expected is None:
        return inconclusive(name, f"there is nothing to compare with: {trouble}", rule=policy.on_inconclusive)
    differences = [
        found for one in given if (found := difference(one, expected, tolerance=policy.tolerance, sample=sample))
    ]
    rows = sum(len(one.rows) for one in given)
    message = f"{rows} rows in {len(given)} requests: "
    message += (
        f"{len(differences)} requests were answered other than offline; {differences[0]}; the tolerance is "
        f"{policy.tolerance:g}; keep state and randomness out of `predict`, and serve with the versions trained with"
        if differences
        else f"all answers equal offline predictions within {policy.tolerance:g}"
    )
    return passed_or_failed(name, not differences, message=message, observed=len(differences), threshold=0)
