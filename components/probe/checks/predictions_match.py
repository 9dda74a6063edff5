"""Whether the server's predictions equal the model's offline predictions, and are the same each time."""

from __future__ import annotations

from collections.abc import Sequence

from modelway.components.core.checks import Check, OnInconclusive, inconclusive, passed_or_failed
from modelway.components.core.config.serving_policy import Serving
from modelway.components.probe.answers import Answer, Answers, Outputs, difference, is_same
from modelway.components.probe.requests import Sample


def no_rows_check(rule: OnInconclusive) -> Check:
    """Returns the check of a test split without rows."""
    message = "the test split has no rows, so no predictions were compared; provide a test split with rows"
    return inconclusive("predictions_match[rows]", message, rule=rule, observed=0, threshold=1)


def answer_checks(
    answers: Answers, sample: Sample, *, expected: Outputs | None, error: str, policy: Serving
) -> list[Check]:
    """Checks by protocol and size that answers equal offline predictions, and that repeated requests give the same.

    Args:
        answers: The server's answers.
        sample: The rows.
        expected: The offline predictions; None if there are none.
        error: Why there are none.
        policy: The policy's section `serving`.
    """
    checks = [
        _predictions_match(kind, replies, sample=sample, expected=expected, error=error, policy=policy)
        for kind, replies in answers.by_kind.items()
        if replies
    ]
    if answers.pairs:
        mismatches = [first for first, second in answers.pairs if not is_same(first, second)]
        message = f"{len(answers.pairs)} requests were sent twice: "
        message += (
            f"{len(mismatches)} were answered differently the second time, the first {mismatches[0].describe(sample)}; "
            "fix the model's random state, and keep state out of `predict`"
            if mismatches
            else "each was answered the same"
        )
        count = len(mismatches)
        checks.append(passed_or_failed("same_answer_twice", not count, message=message, observed=count, threshold=0))
    return checks


def _predictions_match(
    kind: str, answers: Sequence[Answer], *, sample: Sample, expected: Outputs | None, error: str, policy: Serving
) -> Check:
    name = f"predictions_match[{kind}]"
    unanswered = next((answer for answer in answers if not answer.outputs), None)
    if unanswered is not None:
        message = f"{unanswered.describe(sample)} was answered {unanswered.reply}"
        return passed_or_failed(name, False, message=f"{message}; a real row must be answered 200")
    if expected is None:
        return inconclusive(
            name, f"there are no offline predictions to compare with: {error}", rule=policy.on_inconclusive
        )
    differences = [
        text for answer in answers if (text := difference(answer, expected, tolerance=policy.tolerance, sample=sample))
    ]
    rows = sum(len(answer.rows) for answer in answers)
    message = f"{rows} rows in {len(answers)} requests: "
    message += (
        f"{len(differences)} answers differ from offline predictions; {differences[0]}; the tolerance is "
        f"{policy.tolerance:g}; keep state and randomness out of `predict`, and serve with training's library versions"
        if differences
        else f"all answers equal offline predictions within {policy.tolerance:g}"
    )
    return passed_or_failed(name, not differences, message=message, observed=len(differences), threshold=0)
